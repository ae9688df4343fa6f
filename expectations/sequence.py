"""Sequence: a chat is one chat, in one template, and ends when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.shares import few

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

__all__ = ["suite"]


def suite() -> ExpectationSuite:
    """Return the checks on marks of templates and turns in the texts."""
    import great_expectations as gx

    return gx.ExpectationSuite(
        name="sequence",
        expectations=[
            chat_markup(),
            open_fences(),
            echoes(),
            system_messages(),
        ],
    )


def chat_markup() -> Expectation:
    """Texts are free of the marks of a chat template.

    Prevents: a template applied twice, by whoever made the file and again by the tokenizer, or
    turns of a user inside an answer: the model writes both sides, or without end, as it does with
    another model's template (hiyouga/LLaMA-Factory#6736). In hostile data such marks end a turn.
    """
    return few(
        "Texts are free of the marks of a chat template.",
        limit="max_chat_markup_fraction",
        severity="warning",
        meta={"id": "chat-markup", "rows": "kept_chat_markup"},
    )


def open_fences() -> Expectation:
    """Code blocks of answers are closed.

    Prevents: answers that were cut off when they were generated: the model learns to stop in mid-
    sentence.
    """
    return few(
        "Code blocks of answers are closed.",
        limit="max_open_fence_fraction",
        severity="warning",
        meta={"id": "open-fences", "rows": "kept_open_fence"},
    )


def echoes() -> Expectation:
    """Answers are not the prompt again.

    Prevents: a column mapped twice: prompt and answer from the same field, a loss that falls
    quickly and a model that repeats its user.
    """
    return few(
        "Answers are not the prompt again.",
        limit="max_echo_fraction",
        severity="warning",
        meta={"id": "echoes", "rows": "kept_echo"},
    )


def system_messages() -> Expectation:
    """Chats agree on having a system message.

    Prevents: a model that behaves otherwise with and without its system message, because only some
    rows had one.
    """
    return few(
        "Chats agree on having a system message.",
        limit="max_other_system_fraction",
        severity="info",
        meta={"id": "system-messages", "rows": "kept_other_system"},
    )
