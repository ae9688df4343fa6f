"""Chats: {"messages": [{"role": "user", "content": "..."}, ...]}, as OpenAI and TRL write them.

`tools` and `system` columns go with them where there are any. What a turn may be, and in which
order, is in `tasks/formats/turns.py`; other keys of a message are left out.
"""

from __future__ import annotations

from typing import Any

from tasks.formats.turns import read_tools, read_turns, with_system

__all__ = ["COLUMNS", "NAMES", "chat_columns", "detect", "to_canonical"]

COLUMNS = ("messages", "system", "tools")

#: What public data sets call the column that holds a chat.
NAMES = ("messages", "conversations", "conversation")


def detect(columns: frozenset[str], sample: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return a reading for each column that holds lists of messages with roles."""
    return [
        {"messages": name, **_beside(columns)} for name in chat_columns(columns, sample, "role")
    ]


def chat_columns(columns: frozenset[str], sample: list[dict[str, Any]], key: str) -> list[str]:
    """Return the columns that hold lists of objects with that key; of empty lists, `role` is ours."""
    found = []
    for name in NAMES:
        chats = [chat for chat in (row.get(name) for row in sample) if isinstance(chat, list)]
        turns = [turn for chat in chats for turn in chat if isinstance(turn, dict)]
        keys = {each for turn in turns for each in turn}
        if name in columns and chats and (key in keys or (key == "role" and "from" not in keys)):
            found.append(name)
    return found


def to_canonical(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return {"messages": [...]}, with "tools" if there are any, and every reason against the row."""
    turns, reasons = read_turns(with_system(row.get("messages"), row.get("system")))
    tools, more = read_tools(row.get("tools"))
    if reasons or more:
        return None, [*reasons, *more]
    return {"messages": turns, **({"tools": tools} if tools else {})}, []


def _beside(columns: frozenset[str]) -> dict[str, str]:
    return {name: name for name in ("system", "tools") if name in columns}
