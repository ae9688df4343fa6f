"""What happens to rows with private data or control tokens in them, where rows become examples.

Redaction comes before tokens are counted and keys are made, so that what is measured, compared
and split is what is trained. Rows are named by their lines; what was found is never repeated.
"""

from __future__ import annotations

from typing import Any

import numpy
from numpy import ndarray

from tasks.errors import DataError
from tasks.profile.rows import RowProfile, Table
from tasks.profile.special_tokens import SpecialTokens
from tasks.recipe import DatasetSection
from tasks.signals.redaction import redacted
from tasks.signals.row import PRIVATE, Signals, signals_of

__all__ = ["as_trained", "check_private", "screen"]

Row = dict[str, Any]
NAMED_ROWS = 10


def screen(profile: RowProfile, row: Row, dataset: DatasetSection, special: SpecialTokens) -> Row:
    """Write a row's signals, and a reason if it has to go, into its profile; return it as trained."""
    marks = special.count(row)
    if marks and dataset.on_special_tokens == "remove":
        profile.special_tokens_removed = marks
        row = special.without(row)
    else:
        profile.special_tokens = marks
        if marks and dataset.on_special_tokens == "drop":
            profile.reasons.append("special_tokens_in_text")
    profile.signals = signals_of(row)
    found = _private(profile.signals)
    if not found:
        return row
    if dataset.on_pii == "drop":
        profile.reasons.append("private_data")
    if dataset.on_pii == "redact":
        profile.signals = profile.signals._replace(redacted=found)
    return redacted(row) if profile.signals.redacted else row


def as_trained(row: Row, counts: ndarray, special: SpecialTokens) -> Row:
    """Return the row as it goes on: without what its profile (a record of ROW) counts as gone."""
    if counts["special_tokens_removed"]:
        row = special.without(row)
    return redacted(row) if counts["redacted"] else row


def check_private(table: Table, dataset: DatasetSection) -> None:
    """Refuse a data set with private data under `on_pii: raise`.

    Raises:
        DataError: A row has private data; the message names the lines, not what they say.
    """
    if dataset.on_pii != "raise":
        return
    counts = numpy.stack([table.rows[kind] for kind in PRIVATE])
    having = numpy.flatnonzero(counts.any(axis=0))
    if len(having):
        named = having[:NAMED_ROWS].tolist()
        kinds = [
            ", ".join(k for k, n in zip(PRIVATE, counts[:, row], strict=True) if n) for row in named
        ]
        shown = ", ".join(f"{table.place(r)} ({k})" for r, k in zip(named, kinds, strict=True))
        more = f" and {len(having) - NAMED_ROWS:,} more" if len(having) > NAMED_ROWS else ""
        raise DataError(
            f"dataset.on_pii = raise: {len(having):,} rows have private data: {shown}{more}. "
            "Remove them, or set redact, drop or warn."
        )


def _private(signals: Signals) -> int:
    return sum(getattr(signals, kind) for kind in PRIVATE)
