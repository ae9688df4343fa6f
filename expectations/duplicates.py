"""Duplicates: rows are different, in wording too, and the same prompt has one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

__all__ = ["suite"]


def suite() -> ExpectationSuite:
    """Return the checks on repeated and contradicting rows."""
    import great_expectations as gx

    return gx.ExpectationSuite(
        name="duplicates", expectations=[duplicates(), near_duplicates(), conflicts()]
    )


def duplicates() -> Expectation:
    """Few rows repeat an earlier one.

    Prevents: rows that count many times over and are memorized, and row counts that promise more
    than there is.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnMeanToBeBetween(
        column="duplicate",
        max_value={"$PARAMETER": "max_duplicate_fraction"},
        severity="warning",
        description="Few rows repeat an earlier one.",
        meta={"id": "duplicates", "rows": "duplicate"},
    )


def near_duplicates() -> Expectation:
    """Few rows have almost the wording of another row of their split.

    Prevents: generated data that say the same thing in a hundred ways and look like ten thousand
    rows. Rows that differ in their short answer or their numerals are not counted.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnMeanToBeBetween(
        column="near_duplicate",
        max_value={"$PARAMETER": "max_near_duplicate_fraction"},
        severity="warning",
        description="Few rows have almost the wording of another.",
        meta={"id": "near-duplicates", "rows": "near_duplicate"},
    )


def conflicts() -> Expectation:
    """No prompt of a kept row has two different answers.

    Prevents: labels that contradict each other, which put a ceiling on accuracy that no method
    can break.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnSumToBeBetween(
        column="conflict",
        max_value=0,
        severity="warning",
        description="No prompt has two different answers.",
        meta={"id": "conflicts", "rows": "conflict"},
    )
