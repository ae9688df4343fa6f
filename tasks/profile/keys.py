"""What makes two rows the same, and which split a prompt belongs to.

Text is compared after Unicode NFC and with white space collapsed, so a copy that went through
another editor is still a copy. A split is a function of the prompt alone: equal prompts fall
together, and neither reordering nor appending rows moves a row from one split to another.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

from tasks.encoding import turn_text

__all__ = ["answer_key", "content_key", "normalized", "prompt_key", "share_of", "split_of"]

Row = dict[str, Any]

KEY_BYTES = 16


def normalized(text: str) -> str:
    """Return the text in NFC with each run of white space as one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def prompt_key(row: Row) -> bytes:
    """Return the key of what a model is given: all but the last answer; of raw text, all."""
    return _key(_prompt_parts(row))


def answer_key(row: Row) -> bytes:
    """Return the key of the last answer; of raw text, nothing."""
    if "messages" in row:
        return _key([turn_text(row["messages"][-1])])
    return _key([row.get("completion", "")])


def content_key(row: Row) -> bytes:
    """Return the key of everything in the row."""
    return prompt_key(row) + answer_key(row)


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
        return [part for m in row["messages"][:-1] for part in (m["role"], turn_text(m))]
    return [row["prompt"]] if "prompt" in row else [row["text"]]


def _key(parts: list[str]) -> bytes:
    joined = "\x1f".join(normalized(part) for part in parts)
    return hashlib.sha256(joined.encode()).digest()[:KEY_BYTES]
