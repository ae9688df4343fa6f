"""A JSON file that is one list of rows, read one row at a time: memory holds a window of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path

from tasks.errors import DataError
from tasks.readers.json_rows import DECODER, object_row
from tasks.readers.raw import MAX_ROW_BYTES, RawRow, broken, has_broken_bytes
from tasks.readers.streams import open_text

__all__ = ["read"]

CHUNK_CHARACTERS = 2**20
SPACE = " \t\r\n"


def read(path: Path, column_names: Sequence[str] = ()) -> Iterator[RawRow]:
    """Yield every row of the list; its line is its number in the list.

    Raises:
        DataError: The file is no JSON, no list, cut off, or a row is beyond all bounds.
    """
    del column_names
    with open_text(path, newline="\n") as file:
        window = _Window(path, file)
        if window.next_mark() != "[":
            raise _no_list(path, window)
        window.take(1)
        number = 0
        while (mark := window.next_mark()) != "]" or number:
            if number:
                if mark == "]":
                    break
                if mark != ",":
                    raise window.broken(0, "Expecting ',' delimiter")
                window.take(1)
                window.next_mark()
            number += 1
            value, text = window.value(number)
            if has_broken_bytes(text):
                yield RawRow(number, text, "undecodable")
            else:
                yield object_row(number, value, text)
        window.take(1)
        if window.next_mark():
            raise window.broken(0, "Extra data")


class _Window:
    """The part of a file that is being read, and where it stands."""

    def __init__(self, path: Path, file: TextIOWrapper) -> None:
        self.path = path
        self.file = file
        self.text = ""
        self.at = 0
        self.ended = False
        self.place = (1, 1)

    def next_mark(self) -> str:
        """Pass over white space; return the character there, nothing at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in SPACE:
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def take(self, characters: int) -> None:
        """Go on by that many."""
        self.at += characters

    def value(self, number: int) -> tuple[object, str]:
        """Take a value; return it and its text, after as much reading as it needs."""
        while True:
            error: tuple[int, str] | None = None
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
                # Of a number, more digits may follow; of all else, nothing does.
                if self.ended or self.text[end : end + 1] in (*SPACE, ",", "]"):
                    text = self.text[self.at : end]
                    self.at = end
                    return value, text
            except RecursionError:
                raise self.broken(0, f"row {number} is nested too deeply", "Take it out.") from None
            except json.JSONDecodeError as problem:
                error = problem.pos - self.at, problem.msg
            except ValueError as problem:
                error = 0, f"row {number}: {problem}"
            if len(self.text) - self.at > MAX_ROW_BYTES:
                why = f"row {number} is no JSON, or larger than {MAX_ROW_BYTES // 2**20} MiB"
                raise self.broken(0, why, "Mend it, or take it out.")
            if not self.more() and error is not None:
                raise self.broken(*error)

    def more(self) -> bool:
        """Read on, at least as much again as there is; say whether there was more."""
        self.place = self.where(0)
        self.text = self.text[self.at :]
        self.at = 0
        chunk = self.file.read(max(CHUNK_CHARACTERS, len(self.text)))
        self.text += chunk
        self.ended = not chunk
        return bool(chunk)

    def where(self, ahead: int) -> tuple[int, int]:
        """Return line and column of a character ahead."""
        before = self.text[: self.at + ahead]
        line, column = self.place
        newlines = before.count("\n")
        if newlines:
            return line + newlines, len(before) - before.rindex("\n")
        return line, column + len(before)

    def broken(self, ahead: int, problem: str, mend: str = "Mend the JSON there.") -> DataError:
        """Return the error of the character ahead."""
        rest = self.text[self.at + ahead :]
        if not rest.strip():
            mend = "The file is empty or cut off: fetch it again."
        return broken(self.path, self.where(ahead), rest, problem, mend)


def _no_list(path: Path, window: _Window) -> DataError:
    """Return the error of a file that does not begin with a list."""
    if not window.next_mark():
        return window.broken(0, "holds nothing")
    try:
        value, _text = window.value(1)
    except DataError as error:
        return error
    if window.next_mark():
        mend = "It looks like JSON Lines: name it .jsonl." if isinstance(value, dict) else ""
        return window.broken(0, "Extra data", mend or "Mend the JSON there.")
    return DataError(
        f"{path}: line 1, column 1: holds {_kind(value)}, not a list of rows. "
        "Write [{...}, {...}], or one object a line in a .jsonl file."
    )


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return f"one object with the keys {', '.join(map(ascii, list(value)[:5]))}"
    return {str: "a text", bool: "a truth value", type(None): "null"}.get(type(value), "a number")
