"""Guanaco: a chat as one flat text, `### Human: ... ### Assistant: ...`, in a `text` column.

The form of the OpenAssistant sample that QLoRA was shown with (Dettmers et al. 2023, arXiv
2305.14314; timdettmers/openassistant-guanaco). With a chat template the turns become a chat;
without one all before the last answer is the prompt, as it stands.
"""

from __future__ import annotations

import re
from typing import Any

from tasks.formats.fields import read_text
from tasks.formats.turns import read_turns

__all__ = ["COLUMNS", "detect", "looks_flat", "to_canonical", "to_prompt_completion"]

COLUMNS = ("text",)

#: Where a turn begins; in openassistant-guanaco nothing stands between a turn and the next mark.
TURN = re.compile(r"### ?(Human|User|Assistant|System):[ \t]?")
ROLES = {"Human": "user", "User": "user", "Assistant": "assistant", "System": "system"}


def detect(columns: frozenset[str], sample: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the reading of a `text` column most of whose rows are such chats."""
    return [{"text": "text"}] if "text" in columns and looks_flat(sample) else []


def looks_flat(sample: list[dict[str, Any]]) -> bool:
    """Say whether more than half of the texts open with a human's or system's turn and have an answer."""
    texts = [row["text"] for row in sample if isinstance(row.get("text"), str)]
    flat = sum(
        re.match(r"\s*### ?(Human|User|System):", text) is not None and "Assistant:" in text
        for text in texts
    )
    return 2 * flat > len(texts)


def to_canonical(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return a chat of the turns, and every reason against the row."""
    parts, reasons = _split(row)
    if reasons:
        return None, reasons
    turns, reasons = read_turns([{"role": role, "content": text} for role, text, _at in parts])
    return (None, reasons) if reasons else ({"messages": turns}, [])


def to_prompt_completion(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return all before the last answer and that answer, and every reason against the row."""
    canonical, reasons = to_canonical(row)
    if canonical is None:
        return None, reasons
    *_, (_role, answer, begins) = _split(row)[0]
    prompt = row["text"][:begins]
    gap = prompt[len(prompt.rstrip()) :]
    # White space goes to the answer: a prompt that ends in it has other tokens than the whole.
    return {"prompt": prompt.rstrip(), "completion": gap + answer}, []


def _split(row: dict[str, Any]) -> tuple[list[tuple[str, str, int]], list[str]]:
    """Return role, text and where the text begins of each turn; text before the first is none."""
    text, reasons = read_text(row, "text", "empty_answer")
    if reasons:
        return [], reasons
    marks = list(TURN.finditer(text))
    if not marks or text[: marks[0].start()].strip():
        return [], ["wrong_roles"]
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [
        (ROLES[mark[1]], text[mark.end() : end].strip(), mark.end())
        for mark, end in zip(marks, ends, strict=True)
    ], []
