"""Comma-separated values (RFC 4180): a record may span lines; each stands where it begins."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path

from tasks.errors import DataError
from tasks.readers.headers import check_header, check_names, empty_file
from tasks.readers.raw import MAX_ROW_BYTES, RawRow, broken, has_broken_bytes, refuse_conflict
from tasks.readers.streams import open_text

__all__ = ["read"]


def read(path: Path, column_names: Sequence[str] = ()) -> Iterator[RawRow]:
    """Yield a row for every record but the header.

    Args:
        path: The file.
        column_names: The columns of a file without a header.

    Raises:
        DataError: The file as a whole is none: no usable header, a quote that never closes, a row
            beyond all bounds, UTF-16, an unresolved merge, damaged packing.
    """
    names = list(column_names)
    first = True
    for text, fields in _records(path):
        if first and text.problem is None:
            first = False
            if not names:
                check_header(path, fields, ",")
                names = fields
                continue
            check_names(path, fields, names)
        if first:
            mend = "Mend the first line."
            raise broken(path, (1, 1), str(text.raw), "a record that is no CSV", mend)
        if text.problem is not None:
            yield text
        elif fields:
            refuse_conflict(path, text.line, str(text.raw))
            yield _row(text, names, fields)
    if first:
        raise empty_file(path)


def _records(path: Path) -> Iterator[tuple[RawRow, list[str]]]:
    """Yield each record: its text and line with what is wrong with it, and its fields."""
    csv.field_size_limit(MAX_ROW_BYTES)
    taken: list[str] = []
    with open_text(path, newline="") as file:
        reader = csv.reader(_remembering(path, file, taken), strict=True)
        while True:
            line = reader.line_num + 1
            taken.clear()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if "unexpected end" in str(error) or "field limit" in str(error):
                    raise _unclosed_quote(path, line, taken[0]) from None
                yield RawRow(line, "".join(taken).rstrip("\r\n"), "not_csv"), []
                continue
            yield RawRow(line, "".join(taken).rstrip("\r\n")), fields


def _remembering(path: Path, file: TextIOWrapper, taken: list[str]) -> Iterator[str]:
    """Yield the lines and keep those of the record being read."""
    number = 0
    while line := file.readline(MAX_ROW_BYTES + 1):
        number += 1
        if len(line) > MAX_ROW_BYTES and not line.endswith(("\n", "\r")):
            raise DataError(
                f"{path}: line {number}: is longer than {MAX_ROW_BYTES // 2**20} MiB: "
                f"{line[:40]!a}... Take it out, or break it into rows."
            )
        taken.append(line)
        yield line


def _row(text: RawRow, names: list[str], fields: list[str]) -> RawRow:
    if len(fields) != len(names):
        return replace(text, problem="wrong_number_of_fields")
    if has_broken_bytes(str(text.raw)):
        return replace(text, problem="undecodable")
    return RawRow(text.line, dict(zip(names, fields, strict=True)))


def _unclosed_quote(path: Path, line: int, text: str) -> DataError:
    column = text.find('"') + 1
    problem = "a quote opens here and never closes, so all that follows is one field"
    mend = 'Close it, or double every quote that is meant as text ("").'
    return broken(path, (line, column), text[max(column - 1, 0) :], problem, mend)
