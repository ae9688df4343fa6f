"""Tokens: rows fit, something is learned of each, and the model learns to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.shares import few

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

__all__ = ["suite"]


def suite() -> ExpectationSuite:
    """Return the checks on what the tokenizer and the template make of the rows."""
    import great_expectations as gx

    return gx.ExpectationSuite(
        name="tokens",
        expectations=[
            *(loss_tokens(), overlength(), final_token(), one_start()),
            *(special_tokens(), token_lengths()),
        ],
    )


def loss_tokens() -> Expectation:
    """Every kept row has at least one token that is learned.

    Prevents: rows whose answer is cut off by truncation or masked by the template; their loss is
    0 or NaN and nothing says so (huggingface/trl#6025).
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeBetween(
        column="kept_loss_tokens",
        min_value=1,
        severity="critical",
        description="Every kept row has at least one token that is learned.",
        meta={"id": "loss-tokens", "rows": "nothing_learned"},
    )


def overlength() -> Expectation:
    """Few rows are longer than max_length.

    Prevents: losing the long examples, often the difficult ones, to a length nobody chose.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnMeanToBeBetween(
        column="overlength",
        max_value={"$PARAMETER": "max_overlength_fraction"},
        severity="warning",
        description="Few rows are longer than max_length.",
        meta={"id": "overlength", "rows": "overlength"},
    )


def final_token() -> Expectation:
    """The last learned token of every kept row is one that ends generation.

    Prevents: a model that never stops, because the end-of-turn token was outside the loss mask or
    is not what generation stops at.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeBetween(
        column="kept_ends",
        min_value=1,
        severity="warning",
        description="The last learned token of every kept row is one that ends generation.",
        meta={"id": "final-token", "rows": "end_not_learned"},
    )


def one_start() -> Expectation:
    """No kept row begins with two start tokens.

    Prevents: template and tokenizer each adding a BOS; the model then sees at inference what it
    never saw in pre-training.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeBetween(
        column="kept_starts",
        max_value=1,
        severity="warning",
        description="No kept row has more than one start-of-text token.",
        meta={"id": "one-start", "rows": "many_starts"},
    )


def special_tokens() -> Expectation:
    """No text holds a control token of the tokenizer.

    Prevents: text that is tokenized as the real control token: an answer that quotes the end of a
    turn ends there, and a hostile row opens a turn of its own, with a role of its choice.
    """
    return few(
        "No text holds a control token of the tokenizer.",
        limit="max_special_token_fraction",
        severity="warning",
        meta={"id": "special-tokens", "rows": "kept_special_tokens"},
    )


def token_lengths() -> Expectation:
    """The longest row of all fits max_length.

    Prevents: being surprised by the one document a hundred times as long as the others.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnMaxToBeBetween(
        column="tokens",
        max_value={"$PARAMETER": "max_length"},
        severity="info",
        description="The longest row of all fits max_length.",
        meta={"id": "token-lengths", "rows": "overlength"},
    )
