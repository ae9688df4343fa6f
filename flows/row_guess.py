"""Row guess: how many rows a recipe's file holds and how long they are, without preparing them.

`finetune plan` counts rows and tokens exactly, with the model's tokenizer; `finetune recommend`
answers at once and takes four bytes of a line for a token (heuristic), which it says.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tasks.base_model import find_path
from tasks.contracts import Record
from tasks.errors import DataError
from tasks.recipe import DatasetSection, Recipe

__all__ = ["BYTES_PER_TOKEN", "RowGuess", "facts_beside", "guess_rows"]

#: Heuristic: English text in current vocabularies; keys and braces of a row count as text.
BYTES_PER_TOKEN = 4


class RowGuess(Record):
    """Training rows, their tokens together, and the tokens of the longest; all guessed."""

    rows: int
    tokens: int
    longest: int
    source: str


def guess_rows(recipe: Recipe) -> RowGuess:
    """Return what the recipe's file probably holds for training.

    Raises:
        DataError: There is no such file, or it is not what its name says.
    """
    parts = [_guess(section) for section in recipe.dataset.sections()]
    return RowGuess(
        rows=sum(part.rows for part in parts),
        tokens=sum(part.tokens for part in parts),
        longest=max(part.longest for part in parts),
        source="; ".join(part.source for part in parts),
    )


def _guess(dataset: DatasetSection) -> RowGuess:
    assert isinstance(dataset.path, str), "a section of one source"
    path = find_path(dataset.path)
    if path is None or not path.is_file():
        raise DataError(
            f"dataset.path: {dataset.path}: no such file, neither from {Path.cwd()} nor in the "
            "checkout. Give a JSONL, JSON, CSV or Parquet file, or say --rows and --seq-len."
        )
    rows, size, longest = _measure(path)
    split_off = 0.0 if dataset.validation_path else dataset.validation_size
    split_off += 0.0 if dataset.test_path else dataset.test_size
    used = min(rows, dataset.max_rows or rows)
    kept = max(1, round(used * (1 - split_off)))
    limit = dataset.max_length or longest
    mean = min(size / max(1, rows), limit * BYTES_PER_TOKEN) / BYTES_PER_TOKEN
    return RowGuess(
        rows=kept,
        tokens=max(1, round(kept * mean)),
        longest=max(1, min(limit, longest)),
        source=f"{path.name}: {rows:,} rows, {BYTES_PER_TOKEN} bytes taken for a token",
    )


def _measure(path: Path) -> tuple[int, int, int]:
    """Return rows, bytes of all rows, and tokens of the longest."""
    if path.suffix == ".parquet":
        import pyarrow.parquet

        about = pyarrow.parquet.read_metadata(path)
        size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        mean = size / max(1, about.num_rows)
        return about.num_rows, size, round(4 * mean / BYTES_PER_TOKEN)
    if path.suffix == ".json":
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{path}: is not JSON ({error}).") from None
        rows = read if isinstance(read, list) else [read]
        lengths = [len(json.dumps(row, ensure_ascii=False).encode()) for row in rows]
    else:
        with path.open("rb") as file:
            lengths = [len(line) for line in file if line.strip()]
        lengths = lengths[1:] if path.suffix == ".csv" else lengths
    longest = max(lengths, default=0)
    return len(lengths), sum(lengths), -(-longest // BYTES_PER_TOKEN)


def facts_beside(recipe: Recipe | None, rows: int, tokens: int) -> dict[str, Any]:
    """Return what a recipe freezes, and its general rows, taken to be as long as the others."""
    if recipe is None:
        return {}
    mean = tokens / rows
    replayed = recipe.replay.rows_beside(rows) if recipe.replay else 0
    return {
        "freeze": recipe.freeze,
        "ewc": recipe.ewc is not None,
        "reference_tokens": round(recipe.ewc.samples * mean) if recipe.ewc else 0,
        "replay_rows": replayed,
        "replay_tokens": round(replayed * mean),
    }
