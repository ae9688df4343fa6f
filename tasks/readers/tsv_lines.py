"""Tab-separated values: one row a line, a field between two tabs, quotes are text like any other.

So IANA has it (text/tab-separated-values, 1993), and so it loses nothing: read with quoting, a file
with an odd number of quotes loses rows (sms-spam: 5,572 of 5,574 through `datasets`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tasks.readers.headers import check_header, check_names, empty_file
from tasks.readers.raw import RawRow, has_broken_bytes, oversized, refuse_conflict
from tasks.readers.streams import lines_of, open_bytes

__all__ = ["read"]


def read(path: Path, column_names: Sequence[str] = ()) -> Iterator[RawRow]:
    """Yield a row for every line that is not blank, but the header.

    Args:
        path: The file.
        column_names: The columns of a file without a header.

    Raises:
        DataError: The file as a whole is none, or its columns have no usable names.
    """
    names = list(column_names)
    first = True
    with open_bytes(path) as stream:
        for line, data, whole in lines_of(stream):
            text = data.decode("utf-8", errors="surrogateescape").rstrip("\r\n")
            fields = text.split("\t")
            if first:
                first = False
                if not names:
                    check_header(path, fields, "\t")
                    names = fields
                    continue
                check_names(path, fields, names)
            if "\t" in text or text.strip():  # two empty fields are a row, not a blank line
                refuse_conflict(path, line, text)
                yield _row(line, text, names, fields) if whole else oversized(line, text)
    if first:
        raise empty_file(path)


def _row(line: int, text: str, names: list[str], fields: list[str]) -> RawRow:
    if len(fields) != len(names):
        return RawRow(line, text, "wrong_number_of_fields")
    if has_broken_bytes(text):
        return RawRow(line, text, "undecodable")
    return RawRow(line, dict(zip(names, fields, strict=True)))
