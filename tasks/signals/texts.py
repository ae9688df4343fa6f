"""The texts of a canonical row: all of them as one, what the model is to answer, and what it is given.

Patterns run over one joined text: a search costs mostly its start, so one long text is cheaper
than many short ones. Nothing here knows a tokenizer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Row", "Texts", "rewritten", "texts_of"]

Row = dict[str, Any]

#: Between two texts of a row; white space, so that no pattern reads across.
BETWEEN = "\n\n"


class Texts(NamedTuple):
    """`whole` is every text, `answer` the last one of the model, `prompt` the one before it.

    Raw text has no prompt and no answer: `answer` is empty.
    """

    whole: str
    prompt: str
    answer: str
    turns: int
    system: bool


def texts_of(row: Row) -> Texts:
    """Return the texts of a canonical row; contents that are no text are left out."""
    messages = row.get("messages")
    if messages is None:
        parts = [value for value in row.values() if isinstance(value, str)]
        prompt, answer = row.get("prompt"), row.get("completion")
        return Texts(
            BETWEEN.join(parts),
            prompt if isinstance(prompt, str) else "",
            answer if isinstance(answer, str) else "",
            turns=0,
            system=False,
        )
    contents = [text for text in (message.get("content") for message in messages) if text]
    contents = [text for text in contents if isinstance(text, str)]
    return Texts(
        BETWEEN.join(contents),
        contents[-2] if len(contents) > 1 else "",
        contents[-1] if contents else "",
        turns=sum(message.get("role") == "assistant" for message in messages),
        system=bool(messages) and messages[0].get("role") == "system",
    )


def rewritten(value: Any, change: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with `change` applied to every text in it, roles and names aside."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [rewritten(each, change) for each in value]
    if isinstance(value, dict):
        return {
            key: each if key in ("role", "name", "id", "type") else rewritten(each, change)
            for key, each in value.items()
        }
    return value
