"""Structure: rows are examples at all, and few are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

__all__ = ["suite"]


def suite() -> ExpectationSuite:
    """Return the checks on the shape of rows."""
    import great_expectations as gx

    return gx.ExpectationSuite(
        name="structure", expectations=[structure(), empty_answers(), rejected()]
    )


def structure() -> Expectation:
    """Rows are readable, have their columns, and their roles alternate.

    Prevents: a file that half fails to parse and trains on the other half without a word, as
    `datasets` does with an unresolved merge; chats that end with the user, where the last turn
    teaches nothing.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnMeanToBeBetween(
        column="bad_structure",
        max_value={"$PARAMETER": "max_rejected_fraction"},
        severity="critical",
        description="Rows are readable, have their columns, and their roles alternate.",
        meta={"id": "structure", "rows": "bad_structure"},
    )


def empty_answers() -> Expectation:
    """Answers are not empty.

    Prevents: a model that learns to answer with nothing, the commonest defect of exports in which
    the label was joined from another table.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnMeanToBeBetween(
        column="empty_answer",
        max_value={"$PARAMETER": "max_empty_fraction"},
        severity="critical",
        description="Answers are not empty.",
        meta={"id": "empty-answers", "rows": "empty_answer"},
    )


def rejected() -> Expectation:
    """Few rows are lost, for whatever reason; exact duplicates are no loss.

    Prevents: a run on what is left of a data set after filters that each looked harmless.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnMeanToBeBetween(
        column="lost",
        max_value={"$PARAMETER": "max_rejected_fraction"},
        severity="critical",
        description="Few rows are lost, for whatever reason; exact duplicates are no loss.",
        meta={"id": "rejected", "rows": "lost"},
    )
