"""Leakage: what judges the model was not what it learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

__all__ = ["suite"]


def suite() -> ExpectationSuite:
    """Return the checks on prompts that stand in more than one split."""
    import great_expectations as gx

    return gx.ExpectationSuite(
        name="leakage", expectations=[leakage_found(), leakage(), near_leakage(), overlap()]
    )


def leakage_found() -> Expectation:
    """No prompt stands in two splits; those that did were removed from the one that learns.

    Prevents: scores that measure memory. Split by hash cannot leak; own test files do.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnSumToBeBetween(
        column="leaked",
        max_value=0,
        severity="warning",
        description="No prompt stands in two splits (found ones were removed from train).",
        meta={"id": "leakage-found", "rows": "leaked"},
    )


def leakage() -> Expectation:
    """Leaked rows are few beside the split they leak into.

    Prevents: a test file that was sampled from the training file; removing the copies mends the
    score but not the sampling.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnSumToBeBetween(
        column="leaked_share",
        max_value={"$PARAMETER": "max_leaked_fraction"},
        severity="critical",
        description="Leaked rows are few beside the split they leak into.",
        meta={"id": "leakage", "rows": "leaked"},
    )


def near_leakage() -> Expectation:
    """No row has almost the wording of a row that judges it; those that had were removed.

    Prevents: a test row that was reworded, or cut in another place, and so passed as new: the score
    then measures memory as it does with a copy.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnSumToBeBetween(
        column="near_leaked",
        max_value=0,
        severity="warning",
        description="No row has almost the wording of one that judges it (found ones were removed).",
        meta={"id": "near-leakage", "rows": "near_leaked"},
    )


def overlap() -> Expectation:
    """Few rows stand for the most part, word by word, in a split that judges them.

    Prevents: a long document of which the test set holds a passage, or the other way round: no
    copy, and yet the answer was seen.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnMeanToBeBetween(
        column="overlapping",
        max_value={"$PARAMETER": "max_overlapping_fraction"},
        severity="warning",
        description="Few rows stand for the most part in a split that judges them.",
        meta={"id": "overlap", "rows": "overlapping"},
    )
