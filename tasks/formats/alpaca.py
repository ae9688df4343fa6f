"""Alpaca: instruction, an optional input, and output (or `response`, as GPTeacher has it).

Taori et al. 2023, https://github.com/tatsu-lab/stanford_alpaca. With a chat template a row becomes
a chat of one turn; without one it gets the prompt text that Alpaca was trained with, so that a
base model sees where the instruction ends.
"""

from __future__ import annotations

from typing import Any

from tasks.formats.fields import read_text

__all__ = ["COLUMNS", "detect", "to_canonical", "to_prompt_completion"]

COLUMNS = ("instruction", "input", "output")

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
    given = {name: name for name in ("instruction", "input") if name in columns}
    return [{**given, "output": name} for name in ("output", "response") if name in columns]


def to_canonical(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return a chat of one turn, and every reason against the row."""
    instruction, context, output, reasons = _read(row)
    if reasons:
        return None, reasons
    asked = f"{instruction}\n\n{context}" if context else instruction
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": output}]
    return {"messages": turns}, []


def to_prompt_completion(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return Alpaca's own prompt text and the output, and every reason against the row."""
    instruction, context, output, reasons = _read(row)
    if reasons:
        return None, reasons
    form = WITH_INPUT if context else WITHOUT_INPUT
    return {"prompt": form.format(instruction=instruction, input=context), "completion": output}, []


def _read(row: dict[str, Any]) -> tuple[str, str, str, list[str]]:
    instruction, reasons = read_text(row, "instruction", "empty_prompt")
    output, more = read_text(row, "output", "empty_answer")
    context, against = read_text(row, "input", "")
    absent = row.get("input") is None or against == [""]
    found = [*reasons, *more, *([] if absent else against)]
    return instruction, "" if absent else context, output, list(dict.fromkeys(found))
