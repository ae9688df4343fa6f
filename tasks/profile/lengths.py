"""How long rows may be, and whether their answers can be checked: from token counts alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy
from numpy import ndarray

from tasks.errors import DataError, RecipeError
from tasks.profile.rows import Table
from tasks.recipe import DatasetSection

__all__ = [
    "check_max_length",
    "checkable",
    "choose_max_length",
    "overlength_error",
    "percentile",
    "percentiles",
    "positions_of",
]

#: What different architectures call the longest input they were made for.
POSITION_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
#: A longest row up to this many times the 99th percentile is kept whole. A heuristic.
TAIL = 1.5
CHECKABLE_SHARE = 0.95


def positions_of(config: dict[str, Any]) -> int | None:
    """Return how many positions the model has; None if its config.json does not say."""
    inner = config.get("text_config")
    for place in (config, inner if isinstance(inner, dict) else {}):
        for key in POSITION_KEYS:
            if isinstance(place.get(key), int):
                return place[key]
    return None


def check_max_length(dataset: DatasetSection, positions: int | None) -> None:
    """Refuse a length the model has no positions for, before any row is read.

    Raises:
        RecipeError: `dataset.max_length` is more than the model has positions.
    """
    wanted = dataset.max_length
    if wanted is not None and positions is not None and wanted > positions:
        raise RecipeError(
            f"dataset.max_length = {wanted}: the model has {positions} positions "
            f"(max_position_embeddings). Set at most {positions}, or leave it out."
        )


def choose_max_length(
    dataset: DatasetSection, lengths: Sequence[int] | ndarray, positions: int | None
) -> tuple[int, str]:
    """Return tokens a row may have, and why.

    The recipe's; else the smallest multiple of 8 that holds the longest row, or the 99th percentile
    if the longest is beyond 1.5 times that; never more than the model's positions. For p99 = 100
    and a longest row of 140: 144; of 151: 104.

    """
    if dataset.max_length is not None:
        return dataset.max_length, "the recipe's"
    longest, p99 = int(numpy.max(lengths)), percentile(lengths, 99)
    if longest <= TAIL * p99 or dataset.on_overlength == "raise":
        wanted, why = longest, f"holds the longest row ({longest} tokens)"
    else:
        wanted, why = (
            p99,
            (
                f"holds 99 % of the rows ({p99} tokens); the longest has {longest}, more than "
                f"{TAIL} times that"
            ),
        )
    rounded = max(8, math.ceil(wanted / 8) * 8)
    if positions is not None and rounded > positions:
        return positions, f"the model's positions; {rounded} would be needed, which {why}"
    return rounded, f"the smallest multiple of 8 that {why}"


def overlength_error(table: Table, rows: ndarray, max_length: int) -> DataError:
    """Return the error that names the rows that are too long, for `on_overlength: raise`."""
    tokens = table.rows["tokens"]
    shown = ", ".join(f"{table.place(row)} ({tokens[row]})" for row in rows[:10].tolist())
    more = f" and {len(rows) - 10:,} more" if len(rows) > 10 else ""
    return DataError(
        f"dataset.on_overlength = raise: {len(rows):,} rows have more than {max_length} tokens: "
        f"{shown}{more}. Shorten them, raise dataset.max_length, or set drop or truncate."
    )


def percentile(values: Sequence[int] | ndarray, percent: float) -> int:
    """Return the smallest value that at least `percent` of the values do not exceed.

    Nearest rank: of 1..100 the 99th percentile is 99. At most 1 % lie above it, never more.
    """
    ordered = numpy.sort(values)
    if not len(ordered):
        return 0
    return int(ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)])


def percentiles(rows: ndarray) -> dict[str, int]:
    """Return p50, p90, p95, p99 and max of the tokens of a row."""
    lengths = rows["tokens"] - rows["truncated_tokens"]
    named = {f"p{percent}": percentile(lengths, percent) for percent in (50, 90, 95, 99)}
    return {**named, "max": int(lengths.max(initial=0))}


def checkable(rows: ndarray) -> bool:
    """Say whether at least 95 % of the answers are JSON or at most 16 tokens long."""
    return bool(len(rows)) and bool(rows["checkable"].mean() >= CHECKABLE_SHARE)
