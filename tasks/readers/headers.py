"""What the columns of a delimited file are called: its first line, or the recipe.

`dataset.column_names` says that there is no header: read as one, the first example would be lost
without a word (mgsm: 249 of 250 rows through `datasets`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tasks.errors import DataError
from tasks.readers.raw import broken, refuse_conflict

__all__ = ["check_header", "check_names", "empty_file"]


def check_header(path: Path, header: list[str], separator: str) -> None:
    """Refuse a first line that cannot name columns.

    Raises:
        DataError: Another separator, two columns alike or one without a name, a merge conflict.
    """
    shown = separator.join(header)
    refuse_conflict(path, 1, shown)
    other = next((mark for mark in ";\t|," if mark in shown and mark != separator), None)
    if len(header) == 1 and other:
        place = (1, shown.index(other) + 1)
        mend = "Save it with commas." if separator == "," else "Save it with tabs, or name it .csv."
        raise broken(path, place, shown, f"separated by {other!r}", mend)
    if len(set(header)) != len(header) or "" in [name.strip() for name in header]:
        mend = (
            "Name every column, each differently, in the first line; if that line is no header, "
            "name them in dataset.column_names."
        )
        raise broken(path, (1, 1), shown, "a column without a name, or two alike", mend)


def check_names(path: Path, first: list[str], names: Sequence[str]) -> None:
    """Refuse names from the recipe that cannot be those of the first line's fields.

    Raises:
        DataError: There are more or fewer, or the line is a header after all.
    """
    if len(first) != len(names):
        raise DataError(
            f"{path}: line 1 has {len(first)} fields, dataset.column_names names {len(names)} "
            f"({', '.join(names)}). Name one for each."
        )
    if [field.strip() for field in first] == list(names):
        raise DataError(
            f"{path}: line 1 is a header: it holds the names themselves. Leave out "
            "dataset.column_names."
        )


def empty_file(path: Path) -> DataError:
    """Return the error of a file without a first line."""
    mend = "The first line of such a file names its columns."
    return broken(path, (1, 1), "", "is empty", mend)
