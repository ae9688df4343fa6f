"""Classification: a text and its label, a name or a number with `dataset.label_names`.

A classification head (`task_type: SEQ_CLS`) learns which label a text has. A causal language model
learns it as an answer: with a chat template the text is the user's turn and the label the
assistant's; without one the prompt is the text and a line that asks for the label. Numbers without
names are refused: a model would learn "3", and nobody could read its answers.
"""

from __future__ import annotations

from typing import Any

from tasks.formats.fields import problem_of, read_text

__all__ = ["COLUMNS", "LABELS", "SURE", "detect", "looks_like_labels", "needs_names"]
__all__ += ["to_canonical", "to_labelled", "to_prompt_completion"]

COLUMNS = ("text", "label")

#: The name that says what it is, and others that may as well be a note on a text.
SURE = "label"
LABELS = (SURE, "category", "intent", "class", "sentiment", "topic")
TEXTS = ("text", "sentence", "utterance")

#: A label is short and comes again; heuristics, both.
LONGEST_LABEL = 64
LABEL_SHARE = 0.5


def detect(columns: frozenset[str], sample: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return a reading for each text column beside a column whose values come again and again."""
    return [
        {"text": text, "label": label}
        for text in TEXTS
        for label in LABELS
        if text in columns and label in columns and looks_like_labels(sample, label)
    ]


def looks_like_labels(sample: list[dict[str, Any]], name: str) -> bool:
    """Say whether the values under a name are short, and no more than half as many as the rows."""
    values = [row[name] for row in sample if row.get(name) is not None]
    if not values or not all(isinstance(value, str | int) for value in values):
        return False
    texts = [str(value) for value in values]
    few = len(set(texts)) <= max(2, LABEL_SHARE * len(texts))
    return few and max(map(len, texts)) <= LONGEST_LABEL


def needs_names(values: list[object]) -> bool:
    """Say whether labels are numbers, written as such or as text: they stand for names."""
    given = [value for value in values if value is not None]
    return bool(given) and all(str(value).strip().lstrip("-").isdigit() for value in given)


def to_canonical(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return a chat of one turn, and every reason against the row."""
    text, label, reasons = _read(row)
    if reasons:
        return None, reasons
    turns = [{"role": "user", "content": text}, {"role": "assistant", "content": label}]
    return {"messages": turns}, []


def to_prompt_completion(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the text with "Label:" after it, and the label; and every reason against the row."""
    text, label, reasons = _read(row)
    if reasons:
        return None, reasons
    return {"prompt": f"{text}\n\nLabel:", "completion": f" {label}"}, []


def to_labelled(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the text as it stands and its label, for a head; and every reason against the row."""
    text, label, reasons = _read(row)
    return (None, reasons) if reasons else ({"prompt": text, "completion": label}, [])


def _read(row: dict[str, Any]) -> tuple[str, str, list[str]]:
    text, reasons = read_text(row, "text", "empty_prompt")
    label = row.get("label")
    problem = problem_of(label, "empty_answer")
    if problem == "wrong_type" and isinstance(label, int):
        problem = "unknown_label"  # a number that `dataset.label_names` has no name for
    found = [*reasons, *([problem] if problem else [])]
    return text, str(label).strip(), list(dict.fromkeys(found))
