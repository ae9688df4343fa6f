"""The turns of a chat: who speaks when, tool calls and their answers, one spelling for all sources.

A canonical turn is {"role", "content"} with content always a string; an assistant's may have
`tool_calls` ([{"type": "function", "function": {"name", "arguments": {...}}}]) and `weight` 0 (not
learned, OpenAI's word), a tool's may have `name` and `tool_call_id`. Order: a system turn may come
first; user and assistant alternate; tool turns follow a call and are answered by the assistant, who
has the last word, else there is nothing to learn from the last turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tasks.formats.fields import problem_of

__all__ = ["as_text", "pair_of_turns", "read_call", "read_tools", "read_turns", "with_system"]

Turn = dict[str, Any]

#: OpenAI's older and newer words beside ours.
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
#: How a turn says that it is not to be learned: OpenAI's key, then axolotl's two.
LEARNED_KEYS = ("weight", "train", "training")
EMPTY = {"assistant": "empty_answer", "tool": None}


def read_turns(value: object) -> tuple[list[Turn], list[str]]:
    """Return the canonical turns of a list of messages, and every reason against them."""
    if value is None:
        return [], ["missing_column"]
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return [], ["wrong_type"]
    turns: list[Turn] = []
    reasons: list[str] = []
    for message in value:
        turn, problems = _read_turn(message)
        turns.append(turn)
        reasons += problems
    if not _in_order(turns):
        reasons.insert(0, "wrong_roles")
    return ([], list(dict.fromkeys(reasons))) if reasons else (turns, [])


def read_call(value: object) -> Turn | None:
    """Return a tool call in one spelling, or None if it is none.

    Taken are OpenAI's {"function": {"name", "arguments"}} and the bare inner object; arguments are
    an object, or one written as JSON text (as OpenAI sends it), because templates write objects.
    """
    if not isinstance(value, dict):
        return None
    function = value.get("function")
    inner = function if isinstance(function, dict) else value
    name, arguments = inner.get("name"), inner.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return None
    arguments = {} if arguments is None else arguments
    if not isinstance(name, str) or not name.strip() or not isinstance(arguments, dict):
        return None
    call: Turn = {"type": "function", "function": {"name": name, "arguments": arguments}}
    if isinstance(value.get("id"), str):
        call["id"] = value["id"]
    return call if _encodable(call) else None


def read_tools(value: object) -> tuple[list[Turn], list[str]]:
    """Return the tools a chat may call, as a list of JSON schemas; written as text or as a list."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            return [], ["bad_tools"]
    if value is None:
        return [], []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return [], ["bad_tools"]
    tools = []
    for tool in value:
        inner = tool["function"] if isinstance(tool.get("function"), dict) else tool
        if not isinstance(inner.get("name"), str) or not _encodable(inner):
            return [], ["bad_tools"]
        tools.append({"type": "function", "function": inner})
    return tools, []


def with_system(value: object, system: object) -> object:
    """Return messages with the text of a `system` column before them, if it has any.

    A chat that has a system turn of its own keeps the two, which `read_turns` then refuses: nobody
    can know which one is meant.
    """
    if not isinstance(system, str) or not system.strip() or not isinstance(value, list):
        return value
    return [{"role": "system", "content": system}, *value]


def pair_of_turns(prompt: object, completion: object) -> tuple[list[Turn], list[str]]:
    """Return one chat of a prompt's turns and a completion's; only the latter are learned.

    Each may also be a text: then it is one turn of the user or of the assistant.
    """
    before = _as_messages(prompt, "user")
    after = _as_messages(completion, "assistant")
    if before is None or after is None:
        return [], ["missing_column"]
    if not isinstance(before, list) or not isinstance(after, list):
        return [], ["wrong_type"]
    turns, reasons = read_turns([*before, *after])
    if reasons:
        return [], reasons
    if not before or not after or turns[len(before)]["role"] != "assistant":
        return [], ["wrong_roles"]
    for turn in turns[: len(before)]:
        if turn["role"] == "assistant":
            turn["weight"] = 0
    return turns, []


def as_text(turns: Iterable[Turn]) -> str:
    """Return the turns as one text that is the same for the same chat; never shown to a model."""
    return json.dumps(list(turns), ensure_ascii=False, sort_keys=True)


def _as_messages(value: object, role: str) -> object:
    if isinstance(value, dict):
        return [value]
    return [{"role": role, "content": value}] if isinstance(value, str) else value


def _read_turn(message: dict[str, Any]) -> tuple[Turn, list[str]]:
    """Return a canonical turn and what speaks against it; the role is checked by `_in_order`."""
    role = ROLES.get(str(message.get("role")), "")
    calls, problems = _read_calls(message.get("tool_calls")) if role == "assistant" else ([], [])
    content = _joined(message.get("content"))
    may_be_empty = bool(calls) or bool(problems) or role == "tool"
    if may_be_empty and (content is None or content == ""):
        content = ""
    else:
        problem = problem_of(content, EMPTY.get(role, "empty_prompt") or "")
        problems += [problem] if problem else []
    turn: Turn = {"role": role, "content": content}
    if calls:
        turn["tool_calls"] = calls
    if role == "assistant" and any(message.get(key) in (0, False) for key in LEARNED_KEYS):
        turn["weight"] = 0
    if role == "tool":
        turn |= {k: message[k] for k in ("name", "tool_call_id") if isinstance(message.get(k), str)}
    return turn, problems


def _read_calls(value: object) -> tuple[list[Turn], list[str]]:
    if value is None or value == []:
        return [], []
    calls = [read_call(each) for each in value] if isinstance(value, list) else [None]
    good = [call for call in calls if call is not None]
    return good, [] if len(good) == len(calls) else ["bad_tool_call"]


def _joined(content: object) -> object:
    """Return content that is written in parts ([{"type": "text", "text": ...}]) as one text."""
    if not isinstance(content, list) or not content:
        return content
    parts = [part.get("text") if isinstance(part, dict) else None for part in content]
    return "".join(map(str, parts)) if all(isinstance(part, str) for part in parts) else content


def _in_order(turns: list[Turn]) -> bool:
    """Say whether system? (user assistant (tool+ assistant)*)+ is how the turns follow."""
    rest = turns[1:] if turns and turns[0]["role"] == "system" else turns
    before = "answer"
    for turn in rest:
        role = turn["role"]
        if role == "assistant":
            if before not in ("user", "tool"):
                return False
            before = "call" if turn.get("tool_calls") else "answer"
        elif role == "user" and before == "answer":
            before = "user"
        elif role == "tool" and before in ("call", "tool"):
            before = "tool"
        else:
            return False
    return bool(rest) and rest[-1]["role"] == "assistant"


def _encodable(value: object) -> bool:
    """Say whether a value nested in a turn has an encoding: no half of a surrogate pair."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, TypeError, RecursionError):
        return False
    return True
