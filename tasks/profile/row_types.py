"""What a format's rows become: chats where the tokenizer can write them, else pairs; or raw text."""

from __future__ import annotations

from typing import Any

from tasks.contracts import RowType as RowType
from tasks.errors import DataError
from tasks.formats.classification import needs_names
from tasks.formats.prompt_completion import holds_chats
from tasks.recipe import DatasetSection

__all__ = ["RowType", "label_names", "row_type_of"]

AS_CHAT = "; each row becomes a chat, because the tokenizer has a chat template"

#: What a row is without a chat template.
AS_PAIR = {
    "alpaca": (
        "; each row gets the classic Alpaca prompt text, because the tokenizer has no chat template"
    ),
    "classification": (
        '; each row becomes the text with "Label:" after it, and the label, because the tokenizer '
        "has no chat template"
    ),
    "guanaco": (
        "; all before the last answer is the prompt as it stands, because the tokenizer has no chat "
        "template"
    ),
}

#: Said of the formats whose training is not what their name promises.
LEARNED_AS = {
    "classification": "; the label is learned as an answer (task_type: SEQ_CLS learns it by a head)",
    "preference": "; rows are validated and measured by their chosen answer",
}


def row_type_of(
    name: str, picked: list[dict[str, Any]], *, has_template: bool, labelled: bool = False
) -> tuple[RowType, str]:
    """Return the row type and what follows from it, as the end of a sentence.

    Args:
        name: The format.
        picked: Sample rows under the format's own names.
        has_template: Whether the tokenizer has a chat template.
        labelled: A classification head learns the labels (`task_type: SEQ_CLS`).
    """
    if labelled:
        return "labelled", "; a classification head learns the label"
    said = LEARNED_AS.get(name, "")
    if name in ("messages", "sharegpt"):
        return "messages", said
    if name == "text":
        return "text", said
    if name in AS_PAIR:
        return (
            ("messages", AS_CHAT + said)
            if has_template
            else ("prompt_completion", AS_PAIR[name] + said)
        )
    answer = "chosen" if name == "preference" else "completion"
    if holds_chats(row.get(answer) for row in picked) or holds_chats(
        row.get("prompt") for row in picked
    ):
        learned = (
            "" if name == "preference" else "; they hold messages, and the completion's are learned"
        )
        return "messages", learned + said
    return "prompt_completion", said


def label_names(dataset: DatasetSection, picked: list[dict[str, Any]]) -> dict[str, str]:
    """Return the names of label values, by the value as text.

    Raises:
        DataError: Labels are numbers, and the recipe names none of them.
    """
    given = dataset.label_names
    names = given if isinstance(given, dict) else {str(i): name for i, name in enumerate(given)}
    values = [row.get("label") for row in picked]
    if needs_names(values) and not names:
        seen = sorted({str(value) for value in values if value is not None})[:5]
        raise DataError(
            f"{dataset.path}: its labels are numbers ({', '.join(seen)}, ...): a model would learn "
            "the digits. Name them: dataset.label_names: [first, second, ...], or {1: one, 5: five}."
        )
    return names
