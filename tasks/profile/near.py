"""Near-duplicates: rows whose wording is almost the same, found by MinHash and checked exactly.

Each row is the set of its runs of three words (shingles). MinHash (Broder 1997) with 64 functions
in 16 bands of 4 finds pairs that may be alike: of two rows with Jaccard similarity s, a share of
1 - (1 - s^4)^16, which is 0.99 at s = 0.7. Each such pair is then compared exactly; at most 9 of 58
shingles change with 3 of 60 words, s >= 0.73, so such a row is found. Measured recall and the
libraries beside it: `bench/near_duplicates.py`.

Two rows that say the same of different things are no duplicates. So rows are compared only if they
have the same short or structured answer and, below 100 words, the same numerals; and shingles that
stand in a tenth of all rows (instructions, templates) are left out of the comparison.

Nothing depends on the order of the rows: candidates are sorted by the hash of their content.
"""

from __future__ import annotations

import numpy
from numpy import ndarray

from tasks.profile.shingles import (
    CHUNK_ROWS,
    Texts,
    chunks,
    mixed,
    own_shingles,
    template_shingles,
)
from tasks.profile.words import NUMERAL

__all__ = ["find_clusters", "groups_of"]

FUNCTIONS, BANDS = 64, 16
SHINGLE_WORDS = 3
THRESHOLD = 0.7
#: In a row of fewer shingles each word weighs more, so more of them have to be the same.
SHORT_SHINGLES, SHORT_THRESHOLD = 20, 0.85
#: Rows of fewer words are told apart by their numerals. A heuristic.
NUMERALS_BELOW_WORDS = 100
CHUNK_PAIRS = 1 << 14
#: In a bucket each row is compared with so many that follow it.
NEIGHBOURS = 15


def find_clusters(texts: Texts, rows: ndarray) -> ndarray:
    """Return for each of all rows a row that stands for its cluster; alone, it is its own.

    Args:
        texts: The words of all rows.
        rows: The rows to compare, by number: one of each exact duplicate, in any order.

    The one that stands for a cluster has its smallest content hash.
    """
    total = len(texts.offsets) - 1
    clusters = _Clusters(total)
    ordered = rows[numpy.argsort(texts.content[rows], kind="stable")]
    if len(ordered) > 1:
        templates = template_shingles(texts, ordered, SHINGLE_WORDS)
        apart = texts.apart ^ _numerals(texts)
        for keys in _bands(texts, ordered, templates, apart[ordered]):
            for first, second in _candidates(keys):
                pairs = clusters.separate(ordered[first], ordered[second])
                alike = _alike(texts, pairs, templates, apart)
                clusters.join(pairs[:, alike])
    return clusters.representatives(texts.content)


def groups_of(cluster: ndarray, prompt: ndarray, rows: ndarray) -> ndarray:
    """Return a group for each of all rows: these rows with a cluster or a prompt in common."""
    groups = _Clusters(len(cluster))
    for values in (cluster, prompt):
        order = rows[numpy.argsort(values[rows], kind="stable")]
        same = values[order[1:]] == values[order[:-1]]
        groups.join(numpy.stack([order[1:][same], order[:-1][same]]))
    return groups.roots()


class _Clusters:
    """Disjoint sets of rows."""

    def __init__(self, total: int) -> None:
        self.parent = numpy.arange(total)

    def roots(self) -> ndarray:
        parent = self.parent
        while (parent != parent[parent]).any():
            parent = parent[parent]
        self.parent = parent
        return parent

    def separate(self, first: ndarray, second: ndarray) -> ndarray:
        """Return the pairs that are not in one cluster already, each once, as two rows."""
        roots = self.roots()
        new = roots[first] != roots[second]
        return numpy.stack([first[new], second[new]])

    def join(self, pairs: ndarray) -> None:
        parent = self.parent
        for first, second in pairs.T.tolist():
            while parent[first] != first:
                first = parent[first]
            while parent[second] != second:
                second = parent[second]
            parent[second] = first

    def representatives(self, content: ndarray) -> ndarray:
        roots = self.roots()
        order = numpy.argsort(content, kind="stable")[::-1]
        best = numpy.arange(len(roots))
        best[roots[order]] = order
        return best[roots]


def _numerals(texts: Texts) -> ndarray:
    """Return for each row a number that is the same for the same numerals, in any order."""
    total = len(texts.offsets) - 1
    sums = numpy.zeros(total, numpy.uint64)
    for rows in chunks(numpy.arange(total)):
        start, end = texts.offsets[rows[0]], texts.offsets[rows[-1] + 1]
        words = numpy.asarray(texts.words[start:end])
        at = numpy.flatnonzero(words & NUMERAL)
        row = numpy.searchsorted(texts.offsets, at + start, side="right") - 1
        numpy.add.at(sums, row, mixed(words[at].astype(numpy.uint64)))
    return numpy.where(numpy.diff(texts.offsets) < NUMERALS_BELOW_WORDS, sums, 0)


def _bands(texts: Texts, rows: ndarray, templates: ndarray, apart: ndarray) -> ndarray:
    """Return (bands, rows) keys: rows with an equal key in a band are candidates; 0 is none."""
    random = numpy.random.default_rng(3)
    multiply = random.integers(0, 1 << 31, FUNCTIONS, numpy.uint32) * numpy.uint32(2) + 1
    flip = random.integers(0, 1 << 32, FUNCTIONS, numpy.uint32)
    keys = numpy.zeros((BANDS, len(rows)), numpy.uint64)
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = rows[start : start + CHUNK_ROWS]
        shingles, count = own_shingles(texts, chunk, templates, SHINGLE_WORDS)
        filled = numpy.flatnonzero(count)
        if not len(filled):
            continue
        begins = (numpy.cumsum(count) - count)[filled]
        for function in range(FUNCTIONS):
            hashed = (shingles ^ flip[function]) * multiply[function]
            least = numpy.minimum.reduceat(hashed, begins).astype(numpy.uint64)
            band = keys[function * BANDS // FUNCTIONS]
            at = start + filled
            band[at] = mixed(band[at] + least + numpy.uint64(function + 1))
    filled = keys[0] != 0
    keys[:, filled] = mixed(keys[:, filled] ^ apart[filled]) | numpy.uint64(1)
    return keys


def _candidates(keys: ndarray) -> list[tuple[ndarray, ndarray]]:
    """Yield pairs of positions with an equal key: all of a small bucket, neighbours of a large."""
    order = numpy.argsort(keys, kind="stable")
    order = order[keys[order] != 0]
    keys = keys[order]
    same = keys[1:] == keys[:-1]
    found = []
    for step in range(1, NEIGHBOURS + 1):
        at = numpy.flatnonzero(same)
        if not len(at):
            break
        first, second = order[at], order[at + step]
        found += [
            (first[i : i + CHUNK_PAIRS], second[i : i + CHUNK_PAIRS])
            for i in range(0, len(at), CHUNK_PAIRS)
        ]
        same = keys[step + 1 :] == keys[: -step - 1]
    return found


def _alike(texts: Texts, pairs: ndarray, templates: ndarray, apart: ndarray) -> ndarray:
    """Return which of these pairs have enough shingles in common."""
    first, second = pairs
    sides, sizes = [], []
    for rows in (first, second):
        shingles, count = own_shingles(texts, rows, templates, SHINGLE_WORDS)
        pair = numpy.repeat(numpy.arange(len(rows), dtype=numpy.uint64), count)
        keys = numpy.unique(pair << numpy.uint64(32) | shingles)
        sides.append(keys)
        sizes.append(numpy.bincount((keys >> numpy.uint64(32)).astype(int), minlength=len(rows)))
    both = numpy.sort(numpy.concatenate(sides))
    shared = both[1:][both[1:] == both[:-1]]
    common = numpy.bincount((shared >> numpy.uint64(32)).astype(int), minlength=len(first))
    either = sizes[0] + sizes[1] - common
    wanted = numpy.where(numpy.minimum(*sizes) < SHORT_SHINGLES, SHORT_THRESHOLD, THRESHOLD)
    return (common >= wanted * either) & (either > 0) & (apart[first] == apart[second])
