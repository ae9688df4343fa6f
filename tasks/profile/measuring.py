"""The first reading: every row becomes a RowProfile, with the tokenizer and template of training.

What is counted here is what `tasks/encoding.py` gives the trainer, so that "no learned token" or
"longer than max_length" mean the same in the data gate as in the run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.encoding import Encoded, Encoder, answer_of, turn_text
from tasks.profile.keys import answer_key, prompt_key
from tasks.profile.privacy import screen
from tasks.profile.reading import RawRow, read_rows
from tasks.profile.rows import DataFile, RowProfile
from tasks.profile.shapes import SAMPLE_ROWS, Shape

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Meter", "end_tokens", "measure", "rows_of", "survey"]

#: An answer of at most this many tokens can be compared word by word. A heuristic.
SHORT_ANSWER_TOKENS = 16
PROGRESS_ROWS = 500

Row = dict[str, Any]


def rows_of(file: DataFile) -> Iterator[RawRow]:
    """Yield the rows of a file that are used: all, or the first `limit`."""
    return islice(read_rows(file.path, file.column_names), file.limit)


def survey(file: DataFile) -> tuple[int, list[Row]]:
    """Return how many rows a file has and its first readable ones; a broken file is found here.

    Raises:
        DataError: The file as a whole cannot be parsed.
    """
    rows, sample = 0, []
    for row in rows_of(file):
        rows += 1
        if row.problem is None and len(sample) < SAMPLE_ROWS:
            sample.append(row.raw)
    return rows, sample


def measure(
    files: Sequence[DataFile], shape: Shape, meter: Meter, progress: Callable[[int], None]
) -> list[RowProfile]:
    """Return the profile of every row, in file order; `progress` hears how many are done."""
    profiles: list[RowProfile] = []
    for file in files:
        for raw in rows_of(file):
            profiles.append(_profile(file, raw, shape, meter))
            if len(profiles) % PROGRESS_ROWS == 0:
                progress(len(profiles))
    return profiles


def _profile(file: DataFile, raw: RawRow, shape: Shape, meter: Meter) -> RowProfile:
    profile = RowProfile(file, raw.line)
    if raw.problem is not None:
        profile.reasons.append(raw.problem)
        return profile
    row, profile.reasons = shape.to_canonical(raw.raw)
    if row is not None:
        meter.fill(profile, screen(profile, row, meter.encoder.dataset))
    return profile


def end_tokens(tokenizer: PreTrainedTokenizerBase, folder: Path) -> frozenset[int]:
    """Return the tokens generation stops at: EOS and those of generation_config.json."""
    ends = {tokenizer.eos_token_id}
    path = folder / "generation_config.json"
    if path.is_file():
        given = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
        ends |= set(given) if isinstance(given, list) else {given}
    return frozenset(end for end in ends if end is not None)


class Meter:
    """Counts the tokens of canonical rows with an Encoder."""

    def __init__(self, encoder: Encoder, ends: frozenset[int]) -> None:
        self.encoder = encoder
        self.ends = ends
        self.special = frozenset(encoder.tokenizer.all_special_ids) | ends

    def fill(self, profile: RowProfile, row: Row) -> None:
        """Write a row's keys and counts into its profile, with what the template says to it."""
        row_type = self.encoder.row_type
        answer = answer_of(row, row_type)
        profile.prompt, profile.answer = prompt_key(row), answer_key(row)
        profile.answer_chars = len(answer)
        profile.prompt_chars = _characters(row) - len(answer)
        try:
            encoded = self.encoder.encode(row)
            start, end = self._answer_span(row, encoded)
        except ValueError:
            profile.reasons.append("template_refused")
            return
        ids, mask = encoded.input_ids, encoded.loss_mask
        profile.tokens, profile.loss_tokens = len(ids), sum(mask)
        profile.prompt_tokens, profile.answer_tokens = start, end - start
        profile.bos_count = ids.count(self.encoder.tokenizer.bos_token_id)
        profile.ends = self._learns_to_end(encoded)
        words = sum(token not in self.special for token in ids[start:end])
        profile.checkable = row_type != "text" and (
            words <= SHORT_ANSWER_TOKENS or _is_json(answer)
        )
        if not profile.loss_tokens:
            profile.reasons.append("no_loss_tokens")

    def cut(self, profile: RowProfile, row: Row, max_length: int) -> None:
        """Count again as the row is after truncation; only an end left to learn is nothing."""
        encoded = self.encoder.encode(row)
        short = encoded.cut(max_length)
        profile.truncated_tokens = len(encoded.input_ids) - len(short.input_ids)
        profile.loss_tokens = sum(short.loss_mask)
        profile.ends = self._learns_to_end(short)
        learned = (
            token for token, bit in zip(short.input_ids, short.loss_mask, strict=True) if bit
        )
        if not any(token not in self.ends for token in learned):
            profile.reasons.append("no_loss_tokens")

    def _answer_span(self, row: Row, encoded: Encoded) -> tuple[int, int]:
        """Return where the last answer begins and ends among the tokens; raw text has none."""
        mask = encoded.loss_mask
        if self.encoder.row_type == "text":
            return 0, 0
        if all(mask):
            return len(self.encoder.encode_prompt(row)), len(mask)
        end = len(mask) - mask[::-1].index(1) if 1 in mask else len(mask)
        start = end - [*mask[:end][::-1], 0].index(0)
        return start, end

    def _learns_to_end(self, encoded: Encoded) -> bool:
        """Say whether the last learned token, white space aside, is one generation stops at."""
        learned = [t for t, bit in zip(encoded.input_ids, encoded.loss_mask, strict=True) if bit]
        while learned and learned[-1] not in self.special:
            if str(self.encoder.tokenizer.decode([learned[-1]])).strip():
                return False
            learned.pop()
        return bool(learned) and learned[-1] in self.ends


def _characters(row: Row) -> int:
    if "messages" in row:
        return sum(len(turn_text(turn)) for turn in row["messages"])
    return sum(len(row.get(name, "")) for name in ("prompt", "completion", "text"))


def _is_json(answer: str) -> bool:
    try:
        json.loads(answer)
    except (ValueError, RecursionError):
        return False
    return True
