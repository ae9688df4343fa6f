"""Bytes of a file, unpacked on the way (.gz, .zst), never more of them than is sane.

A packed file that grows more than 200-fold is taken for a compression bomb: text packs 3- to
10-fold, and rows that are all alike, 100-fold. The bound holds while streaming, so nothing is
unpacked to the disk, and memory holds one row.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from tasks.errors import DataError
from tasks.readers.raw import MAX_ROW_BYTES

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["PACKED", "lines_of", "open_bytes", "open_text"]

PACKED = (".gz", ".zst")
MAX_RATIO = 200
#: Below this no ratio is suspicious; above the other, the file is to be unpacked by hand.
RATIO_COUNTS_FROM_BYTES = 64 * 2**20
MAX_UNPACKED_BYTES = 2**40
BOM = b"\xef\xbb\xbf"
#: UTF-16 with and without its mark, UTF-32: the first two characters of JSON and CSV are ASCII.
OTHER_UNICODE = (b"\xff\xfe", b"\xfe\xff", b"\0")


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading, unpacked if its name ends in .gz or .zst.

    Raises:
        DataError: It is UTF-16 or UTF-32, or (while it is read) damaged, cut off, or a bomb.
    """
    stream: io.BufferedReader[Any] = path.open("rb")
    if path.suffix.lower() in PACKED:
        stream = io.BufferedReader(_Unpacked(path, stream), 2**18)
    try:
        start = stream.peek(4)[:4]
        if start.startswith(OTHER_UNICODE) or start[1:2] == b"\0":
            raise DataError(f"{path}: line 1, column 1: is UTF-16 text. Save it as UTF-8.")
    except DataError:
        stream.close()
        raise
    return stream


def open_text(path: Path, newline: str) -> io.TextIOWrapper:
    """Open a file as text; bytes that are not UTF-8 become lone surrogates."""
    return io.TextIOWrapper(
        open_bytes(path), encoding="utf-8-sig", errors="surrogateescape", newline=newline
    )


def lines_of(stream: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Yield number and bytes of each line, and whether that is all of it.

    Of a line longer than a row may be, the beginning is given and the rest passed over.
    """
    number = 0
    while line := stream.readline(MAX_ROW_BYTES + 1):
        number += 1
        if number == 1 and line.startswith(BOM):
            line = line[len(BOM) :]
        whole = len(line) <= MAX_ROW_BYTES or line.endswith(b"\n")
        yield number, line, whole
        while not whole:
            line = stream.readline(2**20)
            whole = not line or line.endswith(b"\n")


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of a stream, counted against the packed ones."""

    def __init__(self, path: Path, packed: BinaryIO) -> None:
        self.path = path
        self.packed = packed
        self.unpacked_bytes = 0
        self.inner: BinaryIO
        if path.suffix.lower() == ".gz":
            self.inner = cast("BinaryIO", gzip.GzipFile(fileobj=packed))
        else:
            import pyarrow

            self.inner = cast("BinaryIO", pyarrow.CompressedInputStream(packed, "zstd"))

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer; refuse a stream that is damaged or grows beyond reason."""
        view = memoryview(buffer)
        try:
            data = self.inner.read(len(view))
        except (OSError, EOFError, zlib.error) as error:
            cut = isinstance(error, EOFError) or "runcated" in str(error)
            problem = "is cut off" if cut else f"cannot be unpacked ({error})"
            raise DataError(f"{self.path}: {problem}. Fetch or pack it again.") from None
        view[: len(data)] = data
        self.unpacked_bytes += len(data)
        self._refuse_bomb()
        return len(data)

    def _refuse_bomb(self) -> None:
        limit = max(RATIO_COUNTS_FROM_BYTES, MAX_RATIO * self.packed.tell())
        if self.unpacked_bytes > min(limit, MAX_UNPACKED_BYTES):
            raise DataError(
                f"{self.path}: {self.packed.tell():,} bytes unpack to more than "
                f"{self.unpacked_bytes:,}: this looks like a compression bomb. If it is not, unpack "
                "it yourself and name the unpacked file."
            )

    def close(self) -> None:
        """Close both."""
        if not self.closed:
            self.inner.close()
            self.packed.close()
        super().close()
