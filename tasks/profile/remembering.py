"""What is kept from one preparation to the next: measured rows, and which split each prompt is in.

Measured rows are one array of ROW, sorted by the hash of a row's exact text, that every process
maps into memory: of a file to which rows were added, only those are measured. Splits keep an added
row from moving others. Both are for one recipe's data set, named after all they depend on; without
them the result of an unchanged data set is the same, only later.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy
from numpy import ndarray

from tasks.profile.rows import ROW, Table

__all__ = ["Assignments", "Remembered"]

ASSIGNED = numpy.dtype([("prompt", "u8"), ("split", "i1")])


class Remembered:
    """Rows measured before; empty where there is no such file, or one of another layout."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows = _load(path, ROW)
        self._texts: ndarray = self._rows["text"].copy()

    def __reduce__(self) -> tuple[type[Remembered], tuple[Path]]:
        """Another process maps the file itself."""
        return Remembered, (self.path,)

    def find(self, texts: Sequence[int]) -> ndarray:
        """Return where the rows with these hashes stand, -1 for a text not seen before."""
        return _places(self._texts, numpy.array(texts, numpy.uint64))

    def records(self, at: ndarray) -> ndarray:
        """Return a copy of the rows that stand there."""
        return numpy.array(self._rows[at])

    def replace(self, rows: ndarray) -> None:
        """Remember these rows instead."""
        _text, first = numpy.unique(rows["text"], return_index=True)
        _save(self.path, rows[first])


class Assignments:
    """The split of each prompt that had one by its hash."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = _load(path, ASSIGNED)

    def find(self, table: Table) -> ndarray:
        """Return for each row the split that its prompt was given before, -1 for a new one."""
        at = _places(self._known["prompt"].copy(), table.rows["prompt"])
        if not len(self._known):
            return at.astype(numpy.int8)
        return numpy.where(at >= 0, self._known["split"][at], -1).astype(numpy.int8)

    def replace(self, table: Table) -> None:
        """Remember where these rows are, beside what is known of others.

        Rows of a file that is a split of its own are left out, they are where their file is; and
        so are rows that bridge splits, for they are in none.
        """
        by_hash = [file.split is None for file in table.files]
        divided = numpy.array(by_hash)[table.rows["file"]] & (table.split >= 0)
        rows = numpy.flatnonzero(divided & ~table.has("bridges_splits"))
        now: ndarray = numpy.empty(len(rows), ASSIGNED)
        now["prompt"], now["split"] = table.rows["prompt"][rows], table.split[rows]
        both = numpy.concatenate([self._known, now])
        _prompt, first = numpy.unique(both["prompt"], return_index=True)
        _save(self.path, both[first])


def _places(known: ndarray, wanted: ndarray) -> ndarray:
    if not len(known):
        return numpy.full(len(wanted), -1)
    at = numpy.searchsorted(known, wanted)
    at[at == len(known)] = 0
    return numpy.where(known[at] == wanted, at, -1)


def _load(path: Path, kind: numpy.dtype) -> ndarray:
    try:
        found = numpy.load(path, mmap_mode="r")
    except (OSError, ValueError):
        return numpy.zeros(0, kind)
    return found if found.dtype == kind else numpy.zeros(0, kind)


def _save(path: Path, array: ndarray) -> None:
    """Write a file so that a reader sees the old one or the new one."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with half.open("wb") as file:
        numpy.save(file, array)
    half.replace(path)
