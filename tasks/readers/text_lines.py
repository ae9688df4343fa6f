"""Plain text: one example a line, as `datasets` and LLaMA-Factory read .txt files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tasks.readers.raw import RawRow, has_broken_bytes, oversized
from tasks.readers.streams import lines_of, open_bytes

__all__ = ["read"]


def read(path: Path, column_names: Sequence[str] = ()) -> Iterator[RawRow]:
    """Yield {"text": line} for every line that is not blank.

    Raises:
        DataError: The file as a whole is none: UTF-16, damaged packing.
    """
    del column_names
    with open_bytes(path) as stream:
        for line, data, whole in lines_of(stream):
            if not data.strip():
                continue
            text = data.decode("utf-8", errors="surrogateescape").rstrip("\r\n")
            if not whole:
                yield oversized(line, text)
            elif has_broken_bytes(text):
                yield RawRow(line, text, "undecodable")
            else:
                yield RawRow(line, {"text": text})
