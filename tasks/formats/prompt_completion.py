"""Pairs: a prompt and its completion, under the names public data sets give them.

Without an `instruction` column (that is Alpaca) also input/output and input/response are pairs.
"""

from __future__ import annotations

from typing import Any

from tasks.formats.fields import read_text

__all__ = ["COLUMNS", "detect", "to_canonical"]

COLUMNS = ("prompt", "completion")

PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("question", "answer"),
    ("input", "output"),
    ("input", "response"),
)


def detect(columns: frozenset[str], sample: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return a reading for each pair of columns there is."""
    del sample
    if "instruction" in columns:
        return []
    return [
        {"prompt": prompt, "completion": completion}
        for prompt, completion in PAIRS
        if prompt in columns and completion in columns
    ]


def to_canonical(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return {"prompt", "completion"} untouched, and every reason against the row."""
    prompt, reasons = read_text(row, "prompt", "empty_prompt")
    completion, more = read_text(row, "completion", "empty_answer")
    reasons = list(dict.fromkeys([*reasons, *more]))
    return (None, reasons) if reasons else ({"prompt": prompt, "completion": completion}, [])
