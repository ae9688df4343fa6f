"""Pairs: a prompt and its completion, under the names public data sets give them.

Both are texts, or both are lists of messages (TRL's conversational form): then the row is a chat
of which the completion's turns are learned. Without an `instruction` column (that is Alpaca) also
input/output and input/response are pairs.
"""

from __future__ import annotations

from typing import Any

from tasks.formats.fields import read_text
from tasks.formats.turns import pair_of_turns, read_tools

__all__ = ["COLUMNS", "detect", "holds_chats", "to_canonical", "to_chat"]

COLUMNS = ("prompt", "completion", "tools")

PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("question", "answer"),
    ("input", "output"),
    ("input", "response"),
)


def detect(columns: frozenset[str], sample: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return a reading for each pair of columns there is."""
    if "instruction" in columns:
        return []
    readings = [
        {"prompt": prompt, "completion": completion}
        for prompt, completion in PAIRS
        if prompt in columns and completion in columns
    ]
    if "tools" in columns:
        for reading in readings:
            if holds_chats(row.get(reading["completion"]) for row in sample):
                reading["tools"] = "tools"
    return readings


def holds_chats(values: Any) -> bool:  # noqa: ANN401 - values of any row
    """Say whether a column holds messages (a list of objects, or one object) in any row."""
    return any(isinstance(value, list | dict) for value in values)


def to_canonical(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return {"prompt", "completion"} untouched, and every reason against the row."""
    prompt, reasons = read_text(row, "prompt", "empty_prompt")
    completion, more = read_text(row, "completion", "empty_answer")
    reasons = list(dict.fromkeys([*reasons, *more]))
    return (None, reasons) if reasons else ({"prompt": prompt, "completion": completion}, [])


def to_chat(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return {"messages": [...]} of both, the prompt's own answers with weight 0."""
    turns, reasons = pair_of_turns(row.get("prompt"), row.get("completion"))
    tools, more = read_tools(row.get("tools"))
    if reasons or more:
        return None, [*reasons, *more]
    return {"messages": turns, **({"tools": tools} if tools else {})}, []
