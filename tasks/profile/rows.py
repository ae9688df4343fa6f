"""Rows as numbers: where each stood, what was found about it, and how many tokens it has.

A row is a RowProfile while it is measured and a record of an array from then on: a million rows
take 200 MB, where a million objects take gigabytes and a million texts more. Texts are read again
to be written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy
from numpy import ndarray

from tasks.signals.row import COLUMNS, WIDE, Signals

__all__ = ["REASONS", "SPLITS", "STRUCTURE", "DataFile", "RowProfile", "SplitName", "Table", "bits"]

#: What makes a row no example at all.
STRUCTURE = (
    *("not_json", "not_csv", "undecodable", "not_an_object", "wrong_number_of_fields"),
    *("oversized", "too_deep", "duplicate_key"),
    *("missing_column", "wrong_type", "wrong_roles", "bad_tool_call", "bad_tools"),
    *("unknown_label", "empty_prompt", "template_refused"),
)

#: Every word for a rejection; a row is counted under the first one that is true of it.
REASONS = (
    *STRUCTURE,
    *("empty_answer", "same_answers", "no_loss_tokens", "overlength", "private_data"),
    "special_tokens_in_text",
    *("duplicate", "leaks_into_test", "leaks_into_validation"),
    *("near_leaks_into_test", "near_leaks_into_validation", "bridges_splits"),
    *("near_duplicate", "conflict"),
)

#: Of a row that could not be read.
NO_SIGNALS = Signals()

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")

#: Counts of a row, as they are called in the profile.
COUNTS = (
    *("tokens", "prompt_tokens", "loss_tokens", "answer_tokens", "truncated_tokens"),
    *("prompt_chars", "answer_chars", "bos_count"),
    *("special_tokens", "special_tokens_removed"),
)
#: 64-bit hashes of a row, see tasks/profile/keys.py; `apart` is what near-duplicates must share.
HASHES = ("text", "prompt", "answer", "content", "apart")
FLAGS = ("whole", "ends", "checkable")

ROW = numpy.dtype(
    [
        *(("file", "i2"), ("line", "i8"), ("reasons", "u8")),
        *((name, "u8") for name in HASHES),
        *((name, "i4") for name in COUNTS),
        *((name, "?") for name in FLAGS),
        *((name, "i8" if name in WIDE else "i4") for name in COLUMNS),
    ]
)


@dataclass(frozen=True)
class DataFile:
    """A file the recipe names; `split` is where its rows go, None: by the hash of their prompt.

    `limit` is how many of its rows are used (None: all); `source` is its name in records;
    `column_names` are those of a file without a header. `part` is its source in a mixture and
    `share` the share of its rows that is drawn.
    """

    key: str
    path: Path
    source: str
    split: SplitName | None
    limit: int | None = None
    column_names: tuple[str, ...] = ()
    part: int = 0
    share: float = 1.0


@dataclass(slots=True)
class RowProfile:
    """One row as it is measured. Tokens are those of the whole row, before any cut.

    `whole` says that it has a canonical form; a broken row has neither hashes nor counts.
    """

    line: int
    file: int = 0
    reasons: list[str] = field(default_factory=list)
    whole: bool = False
    text: int = 0
    prompt: int = 0
    answer: int = 0
    content: int = 0
    apart: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    loss_tokens: int = 0
    answer_tokens: int = 0
    truncated_tokens: int = 0
    prompt_chars: int = 0
    answer_chars: int = 0
    bos_count: int = 0
    special_tokens: int = 0
    special_tokens_removed: int = 0
    ends: bool = False
    checkable: bool = False
    signals: Signals = NO_SIGNALS


def bits(*words: str) -> numpy.uint64:
    """Return the number in which these reasons' bits are set."""
    return numpy.uint64(sum(1 << REASONS.index(word) for word in set(words)) if words else 0)


def as_records(profiles: Sequence[RowProfile]) -> ndarray:
    """Return the profiles as an array of ROW."""
    records: ndarray = numpy.empty(len(profiles), ROW)
    for name in ("file", "line", *HASHES, *COUNTS, *FLAGS):
        records[name] = [getattr(profile, name) for profile in profiles]
    for name, column in zip(COLUMNS, zip(*(p.signals for p in profiles), strict=True), strict=True):
        records[name] = column
    records["reasons"] = [bits(*profile.reasons) for profile in profiles]
    return records


class Table:
    """All rows of a data set in columns, with what is decided about them.

    Attributes:
        files: The files that were read; `rows["file"]` is a position among them.
        rows: An array of ROW, in the order of the files.
        found: Bits of everything that is true of a row, whether it is rejected for it or not.
        split: A position in SPLITS, -1 for a row that never got one.
        cluster: The row that stands for a row's near-duplicates; its own number if it has none.
        overlap: For a judging split, which share of a row's word sequences stands in it.
    """

    def __init__(self, files: Sequence[DataFile], rows: ndarray) -> None:
        self.files = files
        self.rows = rows
        self.found: ndarray = rows["reasons"].copy()
        self.split = numpy.full(len(rows), -1, numpy.int8)
        self.cluster = numpy.arange(len(rows))
        self.overlap = {name: numpy.zeros(len(rows), numpy.float32) for name in SPLITS[1:]}

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def kept(self) -> ndarray:
        """Which rows are examples of a split."""
        return self.rows["reasons"] == 0

    def is_in(self, split: str) -> ndarray:
        """Return which kept rows are in a split."""
        return self.kept & (self.split == SPLITS.index(split))

    def has(self, *words: str) -> ndarray:
        """Return which rows any of these words is true of."""
        return (self.found & bits(*words)) != 0

    def mark(self, word: str, which: ndarray, *, reject: bool) -> None:
        """Say that a word is true of rows, and whether they are rejected for it."""
        self.found[which] |= bits(word)
        if reject:
            self.rows["reasons"][which] |= bits(word)

    def first_reason(self) -> ndarray:
        """Return for each row the position in REASONS it is counted under, -1 for a kept one."""
        reasons = self.rows["reasons"]
        lowest = reasons & (~reasons + numpy.uint64(1))
        return numpy.where(lowest > 0, numpy.log2(numpy.maximum(lowest, 1)), -1).astype(numpy.int8)

    def counts(self, which: ndarray | None = None) -> dict[str, int]:
        """Return how many of these rows (all) are counted under each reason, most first."""
        first = self.first_reason() if which is None else self.first_reason()[which]
        counted = numpy.bincount(first[first >= 0], minlength=len(REASONS))
        order = numpy.argsort(-counted, kind="stable")
        return {REASONS[at]: int(counted[at]) for at in order if counted[at]}

    def most_overlap(self) -> ndarray:
        """Return the larger of each row's overlaps."""
        return numpy.max(list(self.overlap.values()), axis=0)

    def check(self) -> None:
        """Rows in are rows out and rows rejected: every row is in a split or has a reason."""
        kept = sum(int(self.is_in(split).sum()) for split in SPLITS)
        assert kept + sum(self.counts().values()) == len(self), "a row was lost"

    def place(self, row: int) -> str:
        """Return `data.jsonl:12` for a row."""
        return f"{self.files[self.rows['file'][row]].source}:{self.rows['line'][row]}"
