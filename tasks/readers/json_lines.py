"""JSON Lines: one object a line. A broken line is a row with its reason; blank lines are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tasks.readers.json_rows import parse_row
from tasks.readers.raw import RawRow, oversized, refuse_conflict
from tasks.readers.streams import lines_of, open_bytes

__all__ = ["read"]


def read(path: Path, column_names: Sequence[str] = ()) -> Iterator[RawRow]:
    """Yield a row for every line that is not blank.

    Raises:
        DataError: The file as a whole is none: UTF-16, an unresolved merge, damaged packing.
    """
    del column_names
    with open_bytes(path) as stream:
        for line, data, whole in lines_of(stream):
            if not data.strip():
                continue
            text = data.decode("utf-8", errors="surrogateescape").rstrip("\r\n")
            refuse_conflict(path, line, text)
            yield parse_row(line, text) if whole else oversized(line, text)
