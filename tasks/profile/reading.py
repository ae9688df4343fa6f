"""Raw files as rows that know where they stood; how each kind is read is in `tasks/readers/`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tasks.base_model import find_path
from tasks.errors import DataError
from tasks.readers import KINDS, kind_of
from tasks.readers.raw import RawRow
from tasks.readers.streams import PACKED

__all__ = ["RawRow", "find_data", "read_rows"]


def find_data(key: str, name: str) -> Path:
    """Return the file that a recipe key names.

    Raises:
        DataError: There is no such file, or it is of a kind that is not read here.
    """
    path = find_path(name)
    if path is None or not path.is_file():
        raise DataError(
            f"{key}: {name}: no such file, neither from {Path.cwd()} nor from the checkout."
        )
    if not kind_of(path):
        raise DataError(
            f"{key}: {name}: is of a kind that is not read here ({path.suffix or 'no suffix'}). "
            f"Allowed: {', '.join(KINDS)}, text also with {' or '.join(PACKED)} behind. Save it as "
            "one of these."
        )
    return path


def read_rows(path: Path, column_names: Sequence[str] = ()) -> Iterator[RawRow]:
    """Yield every row of a file, in order.

    Args:
        path: A file of a kind in `tasks.readers.KINDS`.
        column_names: The columns of a CSV or TSV file without a header.

    Raises:
        DataError: The file as a whole cannot be parsed; the message says where and how to mend it.
    """
    return KINDS[kind_of(path)].read(path, column_names)
