"""A row as it stood in its file, and the errors of files that cannot be read as a whole.

A line that cannot be a row is yielded with its reason, so that nothing is lost on the way in. Bytes
that are not UTF-8 are carried as lone surrogates, so a broken row can be written out untouched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import DataError

__all__ = ["MAX_ROW_BYTES", "RawRow", "broken", "has_broken_bytes", "oversized", "refuse_conflict"]

#: A row beyond this is no example of anything: about four million tokens. It bounds memory.
MAX_ROW_BYTES = 16 * 2**20
SHOWN_CHARACTERS = 40
#: What is kept of a row that is too large to keep.
KEPT_CHARACTERS = 1000

#: What an unresolved merge leaves in a text file; no JSON line and no CSV header begins like it.
CONFLICT = re.compile(r"(<{7}|>{7}|\|{7})( |$)")
BROKEN_BYTES = re.compile("[\\udc80-\\udcff]")


@dataclass(frozen=True)
class RawRow:
    """One row of a file: its 1-based line (row number in JSON, Parquet, Arrow) and what stood there.

    `raw` is the row untouched: the parsed object, or the text if it is none; `problem` says why.
    """

    line: int
    raw: Any
    problem: str | None = None


def oversized(line: int, start: str) -> RawRow:
    """Return the row that stands for one that is too large: its beginning alone is kept."""
    return RawRow(line, start[:KEPT_CHARACTERS], "oversized")


def broken(path: Path, place: tuple[int, int], text: str, problem: str, mend: str) -> DataError:
    """Return the error of a file: where, what stands there, what is wrong, how to mend it."""
    shown = f": {text.strip().splitlines()[0][:SHOWN_CHARACTERS]!a}" if text.strip() else ""
    line, column = place
    return DataError(f"{path}: line {line}, column {column}: {problem}{shown}. {mend}")


def refuse_conflict(path: Path, line: int, text: str) -> None:
    """Refuse a file with the marks of an unresolved merge.

    Raises:
        DataError: The line is such a mark.
    """
    if text[:1] in "<>|" and CONFLICT.match(text):
        mend = "Resolve the merge and write the file again."
        raise broken(path, (line, 1), text, "a git conflict marker", mend)


def has_broken_bytes(text: str) -> bool:
    """Say whether a text that was read with `surrogateescape` held bytes that are not UTF-8."""
    return not text.isascii() and BROKEN_BYTES.search(text) is not None
