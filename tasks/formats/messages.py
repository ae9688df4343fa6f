"""Chats: {"messages": [{"role": "user", "content": "..."}, ...]}, as OpenAI and TRL write them.

A system message may come first; then user and assistant alternate, and the assistant has the last
word, else there is nothing to learn from the last turn. Other keys of a message are left out.
"""

from __future__ import annotations

from typing import Any

from tasks.formats.fields import problem_of

__all__ = ["COLUMNS", "detect", "to_canonical"]

COLUMNS = ("messages",)


def detect(columns: frozenset[str], sample: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the reading of these columns: a `messages` column that holds lists."""
    if "messages" in columns and any(isinstance(row.get("messages"), list) for row in sample):
        return [{"messages": "messages"}]
    return []


def to_canonical(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return {"messages": [...]} of role and content only, and every reason against the row."""
    messages = row.get("messages")
    if messages is None:
        return None, ["missing_column"]
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        return None, ["wrong_type"]
    reasons = [] if _roles_alternate(messages) else ["wrong_roles"]
    for message in messages:
        empty = "empty_answer" if message.get("role") == "assistant" else "empty_prompt"
        problem = problem_of(message.get("content"), empty)
        if problem and problem not in reasons:
            reasons.append(problem)
    if reasons:
        return None, reasons
    return {"messages": [{"role": m["role"], "content": m["content"]} for m in messages]}, []


def _roles_alternate(messages: list[dict[str, Any]]) -> bool:
    roles = [message.get("role") for message in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    return bool(turns) and turns == ["user", "assistant"] * (len(turns) // 2)
