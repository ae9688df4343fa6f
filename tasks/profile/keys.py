"""What makes two rows the same, and which split a prompt belongs to.

Text is compared after Unicode NFC and with white space collapsed, so a copy that went through
another editor is still a copy. A split is a function of the prompt alone: equal prompts fall
together, and neither reordering nor appending rows moves a row from one split to another.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any, NamedTuple

from tasks.encoding import turn_text

__all__ = ["RowKeys", "answer_key", "content_key", "key_number", "normalized", "prompt_key",
           "row_keys", "share_of", "split_of", "text_key"]  # fmt: skip

Row = dict[str, Any]

KEY_BYTES = 16
NUMBER_BYTES = 8
#: The highest bit of a content hash: set where the text is not in its normal form.
UNTIDY = 1 << 63


class RowKeys(NamedTuple):
    """A row's hashes as 64-bit numbers: of its prompt, of its answer, and of its exact text.

    The smallest `content` survives among duplicates: one in its normal form before any other.
    Among a million rows two that differ share a number once in 10**7 data sets.
    """

    prompt: int
    answer: int
    content: int


def normalized(text: str) -> str:
    """Return the text in NFC with each run of white space as one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def row_keys(row: Row) -> RowKeys:
    """Return the three hashes of a row."""
    prompt, answer = _prompt_parts(row), _answer_parts(row)
    tidy_prompt, tidy_answer = _joined(prompt), _joined(answer)
    content = text_key(row) >> 1
    tidy = tidy_prompt == "\x1f".join(prompt) and tidy_answer == "\x1f".join(answer)
    return RowKeys(
        prompt=key_number(_digest(tidy_prompt)),
        answer=key_number(_digest(tidy_answer)),
        content=content if tidy else content | UNTIDY,
    )


def text_key(row: Row) -> int:
    """Return the hash of everything that stands in a row, just as it stands."""
    return key_number(_digest(json.dumps(row, sort_keys=True)))


def prompt_key(row: Row) -> bytes:
    """Return the key of what a model is given: all but the last answer; of raw text, all."""
    return _digest(_joined(_prompt_parts(row)))


def answer_key(row: Row) -> bytes:
    """Return the key of the last answer; of raw text, nothing."""
    return _digest(_joined(_answer_parts(row)))


def content_key(row: Row) -> bytes:
    """Return the key of everything in the row."""
    return prompt_key(row) + answer_key(row)


def key_number(key: bytes) -> int:
    """Return the first eight bytes of a key as a number."""
    return int.from_bytes(key[:NUMBER_BYTES], "big")


def share_of(key: bytes) -> float:
    """Return where a prompt's hash lies in [0, 1); uniform over prompts."""
    return int.from_bytes(key[:7], "big") / 2**56


def split_of(key: bytes, *, validation_size: float, test_size: float) -> str:
    """Return train, validation or test for a prompt's key.

    With shares of 0.1 each: below 0.1 test, below 0.2 validation, from there on train.
    """
    share = share_of(key)
    if share < test_size:
        return "test"
    return "validation" if share < test_size + validation_size else "train"


def _prompt_parts(row: Row) -> list[str]:
    if "messages" in row:
        parts = [part for m in row["messages"][:-1] for part in (m["role"], turn_text(m))]
        return [*parts, json.dumps(row["tools"], sort_keys=True)] if row.get("tools") else parts
    return [row["prompt"]] if "prompt" in row else [row["text"]]


def _answer_parts(row: Row) -> list[str]:
    if "messages" in row:
        return [turn_text(row["messages"][-1])]
    return [row["completion"]] if "completion" in row else []


def _joined(parts: list[str]) -> str:
    return "\x1f".join(map(normalized, parts))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:KEY_BYTES]
