"""Raw files as rows that know where they stood: JSON Lines, JSON, CSV, Parquet.

A line that cannot be a row is yielded with its reason, so that nothing is lost on the way in. A
file that cannot be read as a whole is a DataError with place, offending text and mend. Bytes that
are not UTF-8 are carried as lone surrogates, so a broken row can be written out again untouched.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tasks.base_model import find_path
from tasks.errors import DataError

__all__ = ["RawRow", "find_data", "read_rows"]

#: What an unresolved merge leaves in a text file; no JSON line and no CSV header begins like it.
CONFLICT = re.compile(r"(<{7}|>{7}|\|{7})( |$)")
BROKEN_BYTES = re.compile("[\\udc80-\\udcff]")
SHOWN_CHARACTERS = 40


@dataclass(frozen=True)
class RawRow:
    """One row of a file: its 1-based line (row number in JSON and Parquet) and what stood there.

    `raw` is the row untouched: the parsed object, or the text if it is none; `problem` says why.
    """

    line: int
    raw: Any
    problem: str | None = None


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
    if path.suffix.lower() not in READERS:
        raise DataError(
            f"{key}: {name}: is of a kind that is not read here ({path.suffix or 'no suffix'}). "
            f"Allowed: {', '.join(READERS)}. Save it as one of these."
        )
    return path


def read_rows(path: Path) -> Iterator[RawRow]:
    """Yield every row of a file, in order.

    Raises:
        DataError: The file as a whole cannot be parsed; the message says where and how to mend it.
    """
    return READERS[path.suffix.lower()](path)


def _jsonl(path: Path) -> Iterator[RawRow]:
    _refuse_utf16(path)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            _refuse_conflict(path, line, text)
            yield _json_row(line, text.rstrip("\r\n"))


def _json_row(line: int, text: str) -> RawRow:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return RawRow(line, text, "undecodable" if _has_broken_bytes(text) else "not_json")
    if _has_broken_bytes(text):
        return RawRow(line, text, "undecodable")
    return _object_row(line, value)


def _object_row(line: int, value: object) -> RawRow:
    return RawRow(line, value, None if isinstance(value, dict) else "not_an_object")


def _json(path: Path) -> Iterator[RawRow]:
    _refuse_utf16(path)
    text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    try:
        rows = json.loads(text)
    except RecursionError:
        raise DataError(f"{path}: is nested too deeply to be a list of rows.") from None
    except json.JSONDecodeError as error:
        mend = "Mend the JSON there."
        if error.msg == "Extra data" and text.lstrip()[:1] == "{":
            mend = "It looks like JSON Lines: name it .jsonl."
        elif text[: error.pos].strip() == "" or error.pos >= len(text.rstrip()):
            mend = "The file is empty or cut off: fetch it again."
        place = (error.lineno, error.colno)
        raise _broken(path, place, text[error.pos :], error.msg, mend) from None
    if not isinstance(rows, list):
        raise DataError(
            f"{path}: line 1, column 1: holds {_kind(rows)}, not a list of rows. "
            "Write [{...}, {...}], or one object a line in a .jsonl file."
        )
    for number, value in enumerate(rows, 1):
        yield _object_row(number, value)


def _csv(path: Path) -> Iterator[RawRow]:
    _refuse_utf16(path)
    csv.field_size_limit(2**31 - 1)
    taken: list[str] = []
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(_remembering(file, taken), strict=True)
        header = _csv_header(path, reader, taken)
        while True:
            line = reader.line_num + 1
            taken.clear()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if "unexpected end" in str(error):
                    raise _unclosed_quote(path, line, taken[0]) from None
                yield RawRow(line, "".join(taken).rstrip("\r\n"), "not_csv")
                continue
            if fields:
                _refuse_conflict(path, line, taken[0])
                yield _csv_row(RawRow(line, "".join(taken).rstrip("\r\n")), header, fields)


def _remembering(lines: Iterable[str], taken: list[str]) -> Iterator[str]:
    """Yield the lines and keep those of the record being read."""
    for line in lines:
        taken.append(line)
        yield line


def _csv_row(text: RawRow, header: list[str], fields: list[str]) -> RawRow:
    if len(fields) != len(header):
        return replace(text, problem="wrong_number_of_fields")
    if _has_broken_bytes(text.raw):
        return replace(text, problem="undecodable")
    return RawRow(text.line, dict(zip(header, fields, strict=True)))


def _csv_header(path: Path, reader: Iterator[list[str]], taken: list[str]) -> list[str]:
    try:
        header = next(reader)
    except StopIteration:
        mend = "The first line of a CSV file names its columns."
        raise _broken(path, (1, 1), "", "is empty", mend) from None
    except csv.Error as error:
        raise _broken(path, (1, 1), taken[0], str(error), "Mend the header.") from None
    shown = ",".join(header)
    _refuse_conflict(path, 1, shown)
    other = next((mark for mark in ";\t|" if mark in shown), None)
    if len(header) == 1 and other:
        place = (1, shown.index(other) + 1)
        raise _broken(path, place, shown, f"separated by {other!r}", "Save it with commas.")
    if len(set(header)) != len(header) or "" in [name.strip() for name in header]:
        mend = "Name every column, each differently, in the first line."
        raise _broken(path, (1, 1), shown, "a column without a name, or two alike", mend)
    return header


def _parquet(path: Path) -> Iterator[RawRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=2048):
                for value in batch.to_pylist():
                    number += 1
                    yield RawRow(number, value)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: is no readable Parquet file ({str(error).splitlines()[0]}). Write it again."
        ) from None


def _refuse_utf16(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path}: line 1, column 1: is UTF-16 text. Save it as UTF-8.")


def _refuse_conflict(path: Path, line: int, text: str) -> None:
    if CONFLICT.match(text):
        mend = "Resolve the merge and write the file again."
        raise _broken(path, (line, 1), text, "a git conflict marker", mend)


def _unclosed_quote(path: Path, line: int, text: str) -> DataError:
    column = text.find('"') + 1
    problem = "a quote opens here and never closes, so all that follows is one field"
    mend = 'Close it, or double every quote that is meant as text ("").'
    return _broken(path, (line, column), text[max(column - 1, 0) :], problem, mend)


def _broken(path: Path, place: tuple[int, int], text: str, problem: str, mend: str) -> DataError:
    shown = f": {text.strip().splitlines()[0][:SHOWN_CHARACTERS]!a}" if text.strip() else ""
    line, column = place
    return DataError(f"{path}: line {line}, column {column}: {problem}{shown}. {mend}")


def _has_broken_bytes(text: str) -> bool:
    return BROKEN_BYTES.search(text) is not None


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return f"one object with the keys {', '.join(map(ascii, list(value)[:5]))}"
    return {str: "a text", bool: "a truth value", type(None): "null"}.get(type(value), "a number")


READERS = {".jsonl": _jsonl, ".json": _json, ".csv": _csv, ".parquet": _parquet}
