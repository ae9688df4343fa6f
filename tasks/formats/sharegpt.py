"""ShareGPT: {"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", ...}]}.

The dump at https://sharegpt.com that Vicuna was trained on (2023); the words for tool calls are
LLaMA-Factory's: `function_call` holds {"name", "arguments"} as JSON text, or a list of them, and
`observation` is what the tool said. `system` and `tools` may be columns of their own.
"""

from __future__ import annotations

import json
from typing import Any

from tasks.formats import messages
from tasks.formats.messages import chat_columns

__all__ = ["COLUMNS", "detect", "to_canonical"]

COLUMNS = ("conversations", "system", "tools")

#: Who speaks, in the words of ShareGPT, LLaMA-Factory and axolotl.
SPEAKERS = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "system": "system",
    "observation": "tool",
    "function_response": "tool",
    "tool": "tool",
}


def detect(columns: frozenset[str], sample: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return a reading for each column that holds lists of {"from", "value"}."""
    beside = {name: name for name in ("system", "tools") if name in columns}
    return [{"conversations": name, **beside} for name in chat_columns(columns, sample, "from")]


def to_canonical(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return {"messages": [...]}, with "tools" if there are any, and every reason against the row."""
    turns = row.get("conversations")
    if isinstance(turns, list) and all(isinstance(turn, dict) for turn in turns):
        turns = [_message(turn) for turn in turns]
    chat = {"messages": turns, "system": row.get("system"), "tools": row.get("tools")}
    return messages.to_canonical(chat)


def _message(turn: dict[str, Any]) -> dict[str, Any]:
    speaker, value = str(turn.get("from")).lower(), turn.get("value")
    message = {key: turn[key] for key in ("weight", "train", "training", "name") if key in turn}
    message["role"] = SPEAKERS.get(speaker, speaker)
    if speaker == "function_call":
        return {**message, "content": "", "tool_calls": _calls(value)}
    return {**message, "content": value}


def _calls(value: object) -> object:
    """Return what stands in a function_call; what is no JSON is left to be refused as a call."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return [None]
    return value if isinstance(value, list) and value else [value]
