"""Alpaca: instruction, an optional input, and output (or `response`, as GPTeacher and Dolly have it).

Taori et al. 2023, https://github.com/tatsu-lab/stanford_alpaca. With a chat template a row becomes
a chat; without one it gets the prompt text that Alpaca was trained with, so that a base model sees
where the instruction ends. `history` ([[asked, answered], ...]) and `system` are LLaMA-Factory's.
"""

from __future__ import annotations

from typing import Any

from tasks.formats.fields import problem_of, read_text

__all__ = ["COLUMNS", "detect", "to_canonical", "to_prompt_completion"]

COLUMNS = ("instruction", "input", "output", "history", "system")

WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further "
    "context. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
)
WITHOUT_INPUT = (
    "Below is an instruction that describes a task. Write a response that appropriately "
    "completes the request.\n\n### Instruction:\n{instruction}\n\n### Response:\n"
)


def detect(columns: frozenset[str], sample: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return a reading for each answer column there is beside `instruction`."""
    del sample
    if "instruction" not in columns:
        return []
    given = {
        name: name for name in ("instruction", "input", "history", "system") if name in columns
    }
    if "input" not in columns and "context" in columns:
        given["input"] = "context"  # as Dolly 15k has it
    return [{**given, "output": name} for name in ("output", "response") if name in columns]


def to_canonical(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return a chat, one turn after the history's, and every reason against the row."""
    fields, reasons = _read(row)
    if reasons:
        return None, reasons
    instruction, context, output = fields["instruction"], fields["input"], fields["output"]
    asked = f"{instruction}\n\n{context}" if context else instruction
    turns = [{"role": "system", "content": fields["system"]}] if fields["system"] else []
    for question, answer in [*fields["history"], (asked, output)]:
        turns.append({"role": "user", "content": question})
        turns.append({"role": "assistant", "content": answer})
    return {"messages": turns}, []


def to_prompt_completion(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return Alpaca's own prompt text and the output, and every reason against the row.

    Earlier turns stand before it in the same form; a system text stands before all.
    """
    fields, reasons = _read(row)
    if reasons:
        return None, reasons
    before = f"{fields['system']}\n\n" if fields["system"] else ""
    for question, answer in fields["history"]:
        before += WITHOUT_INPUT.format(instruction=question) + answer + "\n\n"
    form = WITH_INPUT if fields["input"] else WITHOUT_INPUT
    prompt = form.format(instruction=fields["instruction"], input=fields["input"])
    return {"prompt": before + prompt, "completion": fields["output"]}, []


def _read(row: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    instruction, reasons = read_text(row, "instruction", "empty_prompt")
    output, more = read_text(row, "output", "empty_answer")
    history, against = _history(row.get("history"))
    found = [*reasons, *more, *against]
    fields: dict[str, Any] = {"instruction": instruction, "output": output, "history": history}
    for name in ("input", "system"):
        fields[name], against = read_text(row, name, "")
        found += [] if row.get(name) is None or against == [""] else against
    return fields, list(dict.fromkeys(found))


def _history(value: object) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the turns before: a list of [asked, answered], or nothing."""
    if value is None or value == []:
        return [], []
    if not isinstance(value, list) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in value
    ):
        return [], ["wrong_type"]
    problems = [
        problem_of(text, word)
        for pair in value
        for text, word in zip(pair, ("empty_prompt", "empty_answer"), strict=True)
    ]
    return [(pair[0], pair[1]) for pair in value], [problem for problem in problems if problem]
