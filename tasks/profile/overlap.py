"""How much of a row stands word by word in a split that judges it: overlap of runs of 8 words.

A row that contains a test row, or is a part of one, is no near-duplicate and still gives the answer
away. Runs of 8 words as in PaLM's contamination study (Chowdhery et al. 2022, section 8: 70 % of
the 8-grams); runs that stand in a tenth of all rows (instructions) do not count.
"""

from __future__ import annotations

import numpy
from numpy import ndarray

from tasks.profile.shingles import Texts, chunks, mixed, own_shingles, template_shingles

__all__ = ["overlap_with"]

RUN_WORDS = 8
#: Bits of the filter for each run that is looked for: 2 probes then err once in 1,000 runs.
BITS_PER_RUN = 64
MOST_BITS = 1 << 32


def overlap_with(texts: Texts, judging: ndarray, rows: ndarray) -> ndarray:
    """Return for each of `rows` which share of its runs of words stands in the judging rows.

    Rows of fewer than 8 words are left at 0: their near-duplicates are found by other means.
    """
    long = numpy.diff(texts.offsets) >= RUN_WORDS
    judging, found = judging[long[judging]], numpy.zeros(len(rows), numpy.float32)
    if not len(judging):
        return found
    templates = template_shingles(texts, numpy.flatnonzero(long), RUN_WORDS)
    known = _Filter(int((texts.offsets[judging + 1] - texts.offsets[judging]).sum()))
    for chunk in chunks(judging):
        known.add(own_shingles(texts, chunk, templates, RUN_WORDS)[0])
    places = numpy.flatnonzero(long[rows])
    for chunk in chunks(places):
        runs, count = own_shingles(texts, rows[chunk], templates, RUN_WORDS)
        which = numpy.repeat(numpy.arange(len(chunk)), count)
        shared = numpy.bincount(which[known.has(runs)], minlength=len(chunk))
        found[chunk] = shared / numpy.maximum(count, 1)
    return found


class _Filter:
    """A set of numbers as bits, two for each (Bloom 1970)."""

    def __init__(self, runs: int) -> None:
        wanted = max(1 << 16, BITS_PER_RUN * runs)
        self.bits = min(MOST_BITS, 1 << int(wanted - 1).bit_length())
        self.bytes = numpy.zeros(self.bits // 8, numpy.uint8)

    def _probes(self, runs: ndarray) -> tuple[ndarray, ndarray]:
        number = mixed(runs.astype(numpy.uint64) + numpy.uint64(1))
        half = numpy.uint64(32)
        return (number & numpy.uint64(self.bits - 1)), ((number >> half) % numpy.uint64(self.bits))

    def add(self, runs: ndarray) -> None:
        for probe in self._probes(runs):
            place, bit = probe >> numpy.uint64(3), probe.astype(numpy.uint8) & 7
            numpy.bitwise_or.at(self.bytes, place, numpy.left_shift(1, bit).astype(numpy.uint8))

    def has(self, runs: ndarray) -> ndarray:
        first, second = (
            self.bytes[probe >> numpy.uint64(3)] >> (probe.astype(numpy.uint8) & 7) & 1
            for probe in self._probes(runs)
        )
        return (first & second).astype(bool)
