"""Drift: what arrives looks like what was accepted before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.shares import few

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

__all__ = ["suite"]


def suite() -> ExpectationSuite:
    """Return the checks on changes against an earlier accepted data set."""
    import great_expectations as gx

    return gx.ExpectationSuite(
        name="drift",
        expectations=[
            new_labels(),
            length_drift(),
            label_drift(),
        ],
    )


def new_labels() -> Expectation:
    """Labels are those of the reference.

    Prevents: a class that nobody told the program that reads the answers about; retraining makes
    the model give it.
    """
    return few(
        "Labels are those of the reference.",
        limit="max_new_label_fraction",
        severity="warning",
        meta={"id": "new-labels", "rows": "kept_new_label"},
    )


def length_drift() -> Expectation:
    """Rows are about as long as in the reference.

    Prevents: a retraining on other data than anybody accepted: an export that lost a column, or a
    source that began to send whole documents where it sent sentences.
    A population stability index; 0.25 is a large shift (see tasks/signals/drift.py).
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnMaxToBeBetween(
        column="length_psi",
        max_value={"$PARAMETER": "max_length_psi"},
        severity="warning",
        description="Rows are about as long as in the reference.",
        meta={"id": "length-drift", "rows": None},
    )


def label_drift() -> Expectation:
    """Labels are about as frequent as in the reference.

    Prevents: a model tuned to last week: a queue that was closed, a campaign that flooded one
    class. A population stability index; 0.25 is a large shift (see tasks/signals/drift.py).
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnMaxToBeBetween(
        column="label_psi",
        max_value={"$PARAMETER": "max_label_psi"},
        severity="warning",
        description="Labels are about as frequent as in the reference.",
        meta={"id": "label-drift", "rows": None},
    )
