"""The runs of words (shingles) of rows as numbers, and which of them are a template's.

A shingle that stands in a tenth of all rows belongs to an instruction or a template and says
nothing about a row. All is done for many rows at once: their words lie one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy
from numpy import ndarray

__all__ = [
    "CHUNK_ROWS",
    "Texts",
    "chunks",
    "mixed",
    "own_shingles",
    "shingles_of",
    "template_shingles",
]

#: A shingle in more than this share of the rows, and in more than so many, is a template's.
TEMPLATE_SHARE, TEMPLATE_ROWS = 0.1, 50

CHUNK_ROWS = 1 << 15
#: Places that shingles are counted in: four for each word, so that few share one; at most 4M.
MOST_COUNTER_BITS = 22


@dataclass(frozen=True)
class Texts:
    """The words of all rows, one after the other; row i has `words[offsets[i]:offsets[i + 1]]`.

    `content` is a hash of each row's whole text, `apart` one that near-duplicates must share.
    """

    words: ndarray
    offsets: ndarray
    content: ndarray
    apart: ndarray

    @classmethod
    def of(cls, rows: ndarray, words: Path, offsets: ndarray) -> Texts:
        """Return the texts of an array of ROW whose words stand in a file, which is mapped."""
        empty = not offsets[-1]
        mapped = numpy.zeros(0, numpy.uint32) if empty else numpy.memmap(words, numpy.uint32, "r")
        return cls(mapped, offsets, rows["content"], rows["apart"])


def shingles_of(texts: Texts, rows: ndarray, words: int) -> tuple[ndarray, ndarray]:
    """Return the runs of so many words in these rows, one after the other, and how many each has.

    A row that is shorter is one run.
    """
    start, end = texts.offsets[rows], texts.offsets[rows + 1]
    length = end - start
    count = numpy.where(length >= words, length - words + 1, length > 0)
    place = numpy.repeat(start - numpy.cumsum(count) + count, count) + numpy.arange(count.sum())
    last = numpy.repeat(end, count) - 1
    number = numpy.zeros(len(place), numpy.uint32)
    for step in range(words):
        at = place + step
        word = numpy.where(at <= last, texts.words[numpy.minimum(at, last)], 0)
        number = (number ^ word) * numpy.uint32(0x9E3779B1)
        number ^= number >> numpy.uint32(15)
    number *= numpy.uint32(0x85EBCA6B)
    return number ^ (number >> numpy.uint32(13)), count


def chunks(rows: ndarray) -> list[ndarray]:
    """Return rows in parts that are worked on at once."""
    return [rows[at : at + CHUNK_ROWS] for at in range(0, len(rows), CHUNK_ROWS)]


def template_shingles(texts: Texts, rows: ndarray, words: int) -> ndarray:
    """Return which shingles, by the lowest bits of their number, stand in too many rows."""
    total = int(texts.offsets[-1])
    counts = numpy.zeros(1 << min(MOST_COUNTER_BITS, total.bit_length() + 2), numpy.int64)
    for chunk in chunks(rows):
        shingles, _count = shingles_of(texts, chunk, words)
        counts += numpy.bincount(_place(shingles, counts), minlength=len(counts))
    return counts > max(TEMPLATE_ROWS, TEMPLATE_SHARE * len(rows))


def _place(shingles: ndarray, places: ndarray) -> ndarray:
    return (shingles & numpy.uint32(len(places) - 1)).astype(numpy.int64)


def own_shingles(
    texts: Texts, rows: ndarray, templates: ndarray, words: int
) -> tuple[ndarray, ndarray]:
    """Return the shingles of these rows that are no template's, and how many each row has."""
    shingles, count = shingles_of(texts, rows, words)
    own = ~templates[_place(shingles, templates)]
    which = numpy.repeat(numpy.arange(len(rows)), count)[own]
    return shingles[own], numpy.bincount(which, minlength=len(rows))


def mixed(value: ndarray) -> ndarray:
    """Return 64-bit numbers with every bit depending on all (splitmix64, Steele et al. 2014)."""
    value = (value ^ (value >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return value ^ (value >> numpy.uint64(31))
