"""Preference pairs: a better and a worse answer, for DPO and its kin (Rafailov et al. 2023).

`chosen` and `rejected` are texts or lists of messages, with a `prompt` or with the prompt as their
common beginning (TRL's explicit and implicit forms, arXiv 2305.18290). Rows are validated and
measured by their chosen answer; supervised training of them is refused (`refuse_training`), because
what the rejected answer teaches would be lost without a word.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from tasks.errors import DataError
from tasks.formats.fields import read_text
from tasks.formats.turns import as_text, pair_of_turns

__all__ = ["COLUMNS", "detect", "refuse_training", "to_canonical", "to_chat"]

COLUMNS = ("prompt", "chosen", "rejected")


def detect(columns: frozenset[str], sample: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the reading of `chosen` and `rejected` columns, with the prompt's if there is one."""
    del sample
    if not {"chosen", "rejected"} <= columns:
        return []
    named = next((name for name in ("prompt", "question", "instruction") if name in columns), None)
    given = {"prompt": named} if named else {}
    return [{**given, "chosen": "chosen", "rejected": "rejected"}]


def to_canonical(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return prompt and chosen answer as a pair, with the rejected one, and reasons against it."""
    chosen, reasons = read_text(row, "chosen", "empty_answer")
    rejected, more = read_text(row, "rejected", "empty_answer")
    prompt, against = "", []
    if row.get("prompt") is not None:
        prompt, against = read_text(row, "prompt", "empty_prompt")
    found = [*reasons, *more, *against]
    if not found and chosen.strip() == rejected.strip():
        found.append("same_answers")
    if not found and not prompt:
        prompt, chosen, rejected = _common_beginning(chosen, rejected)
        if not prompt.strip():
            found.append("empty_prompt")
        elif not chosen.strip() or not rejected.strip():
            found.append("empty_answer")
    if found:
        return None, list(dict.fromkeys(found))
    return {"prompt": prompt, "completion": chosen, "rejected": rejected}, []


def to_chat(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the chosen chat, with the rejected answer's turns, and every reason against the row."""
    prompt, chosen, rejected = row.get("prompt"), row.get("chosen"), row.get("rejected")
    if isinstance(chosen, list) and isinstance(rejected, list) and not isinstance(prompt, list):
        # The prompt is their common beginning; a prompt column that is text repeats it.
        shared = 0
        while shared < min(len(chosen), len(rejected)) and chosen[shared] == rejected[shared]:
            shared += 1
        if shared == max(len(chosen), len(rejected)):
            return None, ["same_answers"]
        if shared or prompt is None:
            prompt, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
    better, reasons = pair_of_turns(prompt, chosen)
    worse, more = pair_of_turns(prompt, rejected)
    found = [*reasons, *more]
    if not found and as_text(better) == as_text(worse):
        found.append("same_answers")
    if found:
        return None, list(dict.fromkeys(found))
    return {"messages": better, "rejected": worse}, []


def refuse_training(path: str) -> DataError:
    """Return the error that supervised training of pairs ends in, with how to train all the same."""
    return DataError(
        f"{path}: holds preference pairs: supervised training would drop what was rejected, and DPO "
        "is not there yet. To learn the chosen answers alone, set dataset.format: messages with "
        "dataset.columns: {messages: chosen} where they are whole chats, else "
        "dataset.format: prompt_completion with dataset.columns: {prompt: prompt, completion: chosen}."
    )


def _common_beginning(chosen: str, rejected: str) -> tuple[str, str, str]:
    """Return what both begin with, up to the last white space, and what is left of each."""
    alike = takewhile(lambda marks: marks[0] == marks[1], zip(chosen, rejected, strict=False))
    shared = "".join(mark for mark, _same in alike)
    end = max((i for i, mark in enumerate(shared) if mark.isspace()), default=-1)
    # The white space goes to the answers: a prompt that ends in it has other tokens than the whole.
    end = len(shared[: end + 1].rstrip())
    return shared[:end], chosen[end:], rejected[end:]
