"""Raw files as rows that know where they stood; how each kind is read is in `tasks/readers/`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tasks.readers import KINDS, kind_of
from tasks.readers.raw import RawRow

__all__ = ["RawRow", "read_rows"]


def read_rows(path: Path, column_names: Sequence[str] = ()) -> Iterator[RawRow]:
    """Yield every row of a file, in order.

    Args:
        path: A file of a kind in `tasks.readers.KINDS`.
        column_names: The columns of a CSV or TSV file without a header.

    Raises:
        DataError: The file as a whole cannot be parsed; the message says where and how to mend it.
    """
    return KINDS[kind_of(path)].read(path, column_names)
