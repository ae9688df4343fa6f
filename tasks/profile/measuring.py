"""One row becomes numbers: its hashes, its words, and its tokens as training will see them.

What is counted here is what `tasks/encoding.py` gives the trainer, so that "no learned token" or
"longer than max_length" mean the same in the data gate as in the run. Which process measures which
rows is in `tasks/profile/pooling.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
from numpy import ndarray

from tasks.encoding import Encoded, Encoder, answer_of, turn_text
from tasks.profile.keys import key_number, row_keys, text_key
from tasks.profile.mixing import is_drawn
from tasks.profile.privacy import as_trained, screen
from tasks.profile.reading import RawRow, read_rows
from tasks.profile.remembering import Remembered
from tasks.profile.rows import DataFile, RowProfile, as_records
from tasks.profile.shapes import SAMPLE_ROWS, Shape
from tasks.profile.special_tokens import SpecialTokens
from tasks.profile.words import compared_text, word_hashes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Measured", "Meter", "end_tokens", "rows_of", "sample_of"]

#: An answer of at most this many tokens can be compared word by word. A heuristic.
SHORT_ANSWER_TOKENS = 16
#: Rows with different answers of at most this many words are no near-duplicates. A heuristic.
SHORT_ANSWER_WORDS = 8

Row = dict[str, Any]


def rows_of(file: DataFile) -> Iterator[RawRow]:
    """Yield the rows of a file that are used: all, a drawn share, or the first `limit`."""
    rows = read_rows(file.path, file.column_names)
    if file.share < 1:
        rows = (row for row in rows if is_drawn(row, file.share))
    return islice(rows, file.limit)


def sample_of(file: DataFile) -> list[Row]:
    """Return the first readable rows of a file, which its format is read off.

    Raises:
        DataError: The file as a whole cannot be parsed.
    """
    readable = (row.raw for row in rows_of(file) if row.problem is None)
    return list(islice(readable, SAMPLE_ROWS))


def end_tokens(tokenizer: PreTrainedTokenizerBase, folder: Path) -> frozenset[int]:
    """Return the tokens generation stops at: EOS and those of generation_config.json."""
    ends = {tokenizer.eos_token_id}
    path = folder / "generation_config.json"
    if path.is_file():
        given = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
        ends |= set(given) if isinstance(given, list) else {given}
    return frozenset(end for end in ends if end is not None)


@dataclass(frozen=True)
class Measured:
    """What was measured of some rows: an array of ROW, and all their words with counts a row."""

    rows: ndarray
    words: ndarray
    word_counts: ndarray


class Meter:
    """Measures rows with one Encoder; it can be sent to another process.

    `remembered` holds rows that were measured before, with the same Encoder.
    """

    def __init__(
        self, shape: Shape, encoder: Encoder, ends: frozenset[int], remembered: Remembered
    ) -> None:
        self.shape = shape
        self.encoder = encoder
        self.ends = ends
        self.special = frozenset(encoder.tokenizer.all_special_ids) | ends
        self.remembered = remembered
        self.marks = SpecialTokens.of(encoder.tokenizer)

    @property
    def can_be_sent(self) -> bool:
        """Whether another process can load the tokenizer's class without the model's own code."""
        return type(self.encoder.tokenizer).__module__.startswith("transformers.")

    def measure(self, file: int, raws: Sequence[RawRow]) -> Measured:
        """Return what is measured of some rows of the file with that number, in their order."""
        profiles = [RowProfile(raw.line, file) for raw in raws]
        whole: list[tuple[int, Row]] = []
        for at, (profile, raw) in enumerate(zip(profiles, raws, strict=True)):
            if raw.problem is not None:
                profile.reasons.append(raw.problem)
                continue
            row, profile.reasons = self.shape.to_canonical(raw.raw, file)
            if row is not None:
                profile.whole, profile.text = True, text_key(row)
                whole.append((at, row))
        known = self.remembered.find([profiles[at].text for at, _row in whole])
        self._fill_all(
            [(profiles[at], row) for (at, row), k in zip(whole, known, strict=True) if k < 0]
        )
        rows = as_records(profiles)
        places = numpy.array([at for at, _row in whole], int)
        self._recall(rows, places[known >= 0], known[known >= 0])
        words = [_NO_WORDS] * len(raws)
        for at, row in whole:
            words[at] = word_hashes(compared_text(as_trained(row, rows[at], self.marks)))
        return Measured(rows, numpy.concatenate([_NO_WORDS, *words]), _lengths(words))

    def _recall(self, rows: ndarray, at: ndarray, known: ndarray) -> None:
        """Fill in what was measured of a row's very text before; only its place is new."""
        before = self.remembered.records(known)
        for place in ("file", "line"):
            before[place] = rows[place][at]
        rows[at] = before

    def _fill_all(self, new: list[tuple[RowProfile, Row]]) -> None:
        dataset = self.encoder.dataset
        trained = [screen(profile, row, dataset, self.marks) for profile, row in new]
        encoded = self.encoder.encode_batch(trained)
        for (profile, _row), row, each in zip(new, trained, encoded, strict=True):
            profile.prompt, profile.answer, profile.content = row_keys(row)
            self._fill(profile, row, each)

    def _fill(self, profile: RowProfile, row: Row, encoded: Encoded | ValueError) -> None:
        """Write a row's counts into its profile, or that the template refuses it."""
        row_type = self.encoder.row_type
        answer = answer_of(row, row_type)
        profile.answer_chars = len(answer)
        profile.prompt_chars = _characters(row) - len(answer)
        structured = row_type != "text" and _is_json(answer)
        if row_type != "text" and (structured or len(answer.split()) <= SHORT_ANSWER_WORDS):
            profile.apart = key_number(hashlib.sha256(answer.encode()).digest())
        try:
            if isinstance(encoded, ValueError):
                raise encoded
            start, end = self._answer_span(row, encoded)
        except ValueError:
            profile.reasons.append("template_refused")
            return
        ids, mask = encoded.input_ids, encoded.loss_mask
        profile.tokens, profile.loss_tokens = len(ids), sum(mask)
        profile.prompt_tokens, profile.answer_tokens = start, end - start
        profile.bos_count = ids.count(self.encoder.tokenizer.bos_token_id)
        profile.ends = self._learns_to_end(encoded)
        profile.checkable = row_type != "text" and (
            structured
            or end - start - sum(map(self.special.__contains__, ids[start:end]))
            <= SHORT_ANSWER_TOKENS
        )
        if not profile.loss_tokens:
            profile.reasons.append("no_loss_tokens")

    def cut(
        self, place: tuple[int, RawRow], max_length: int, counts: ndarray
    ) -> dict[str, int | bool]:
        """Return what is other in a row after truncation; only an end left to learn is nothing.

        `place` is the number of the row's file, and the row; `counts` its record of ROW.
        """
        file, raw = place
        row, _reasons = self.shape.to_canonical(raw.raw, file)
        assert row is not None
        encoded = self.encoder.encode(as_trained(row, counts, self.marks))
        short = encoded.cut(max_length)
        learned = zip(short.input_ids, short.loss_mask, strict=True)
        return {
            "truncated_tokens": len(encoded.input_ids) - len(short.input_ids),
            "loss_tokens": sum(short.loss_mask),
            "ends": self._learns_to_end(short),
            "nothing": self.encoder.row_type != "labelled"
            and not any(bit and token not in self.ends for token, bit in learned),
        }

    def _answer_span(self, row: Row, encoded: Encoded) -> tuple[int, int]:
        """Return where the last answer begins and ends among the tokens; raw text has none."""
        mask = encoded.loss_mask
        if self.encoder.row_type == "text":
            return 0, 0
        if self.encoder.row_type == "labelled":  # the label is no token
            return len(mask), len(mask)
        if all(mask):
            return len(self.encoder.encode_prompt(row)), len(mask)
        end = len(mask) - mask[::-1].index(1) if 1 in mask else len(mask)
        start = end - [*mask[:end][::-1], 0].index(0)
        return start, end

    def _learns_to_end(self, encoded: Encoded) -> bool:
        """Say whether the last learned token, white space aside, is one generation stops at.

        A text for a head is not generated, so it has nothing to end.
        """
        if self.encoder.row_type == "labelled":
            return True
        for at in range(len(encoded.loss_mask) - 1, -1, -1):
            if not encoded.loss_mask[at]:
                continue
            token = encoded.input_ids[at]
            if token in self.special:
                return token in self.ends
            if str(self.encoder.tokenizer.decode([token])).strip():
                return False
        return False


_NO_WORDS = numpy.zeros(0, numpy.uint32)


def _lengths(arrays: Sequence[ndarray]) -> ndarray:
    return numpy.fromiter(map(len, arrays), numpy.int64, len(arrays))


def _characters(row: Row) -> int:
    if "messages" in row:
        return sum(len(turn_text(turn)) for turn in row["messages"])
    return sum(len(row.get(name, "")) for name in ("prompt", "completion", "text"))


def _is_json(answer: str) -> bool:
    """Say whether an answer is JSON; a bare word is none, a number or an object is."""
    if answer.lstrip()[:1] not in _JSON_STARTS:
        return False
    try:
        json.loads(answer)
    except (ValueError, RecursionError):
        return False
    return True


#: How JSON may begin; it saves parsing prose.
_JSON_STARTS = tuple('{["-0123456789tfnNI')
