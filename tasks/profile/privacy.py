"""What happens to rows with private data: `dataset.on_pii`, where rows become examples.

Redaction comes before tokens are counted and keys are made, so that what is measured, compared
and split is what is trained. Rows are named by their lines; what was found is never repeated.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tasks.errors import DataError
from tasks.profile.rows import RowProfile
from tasks.recipe import DatasetSection
from tasks.signals.redaction import redacted
from tasks.signals.row import PRIVATE, Signals, signals_of

__all__ = ["as_trained", "check_private", "screen"]

Row = dict[str, Any]
NAMED_ROWS = 10


def screen(profile: RowProfile, row: Row, dataset: DatasetSection) -> Row:
    """Write a row's signals, and a reason if it has to go, into its profile; return it as trained."""
    profile.signals = signals_of(row)
    found = _private(profile.signals)
    if not found:
        return row
    if dataset.on_pii == "drop":
        profile.reasons.append("private_data")
    if dataset.on_pii == "redact":
        profile.signals = profile.signals._replace(redacted=found)
    return as_trained(profile, row)


def as_trained(profile: RowProfile, row: Row) -> Row:
    """Return the row as it goes on: masked where its profile says so."""
    return redacted(row) if profile.signals.redacted else row


def check_private(rows: Iterable[RowProfile], dataset: DatasetSection) -> None:
    """Refuse a data set with private data under `on_pii: raise`.

    Raises:
        DataError: A row has private data; the message names the lines, not what they say.
    """
    if dataset.on_pii != "raise":
        return
    having = [row for row in rows if _private(row.signals)]
    if having:
        shown = ", ".join(f"{row.file.source}:{row.line} ({_kinds(row)})" for row in having[:10])
        more = f" and {len(having) - NAMED_ROWS} more" if len(having) > NAMED_ROWS else ""
        raise DataError(
            f"dataset.on_pii = raise: {len(having)} rows have private data: {shown}{more}. "
            "Remove them, or set redact, drop or warn."
        )


def _private(signals: Signals) -> int:
    return sum(getattr(signals, kind) for kind in PRIVATE)


def _kinds(row: RowProfile) -> str:
    return ", ".join(kind for kind in PRIVATE if getattr(row.signals, kind))
