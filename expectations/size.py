"""Size: there is enough to learn from, and enough to judge by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

__all__ = ["suite"]


def suite(*, train_rows_severity: str) -> ExpectationSuite:
    """Return the checks on split sizes; too few train rows are of the severity given."""
    import great_expectations as gx

    return gx.ExpectationSuite(
        name="size",
        expectations=[
            train_rows(train_rows_severity),
            split_size("validation"),
            split_size("test"),
        ],
    )


def train_rows(severity: str) -> Expectation:
    """There are enough rows to train on.

    Prevents: fine-tuning on a handful of rows, which memorizes them; below 500 a good prompt with
    examples does better (rule D1 of the decision tree).
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnSumToBeBetween(
        column="in_train",
        min_value={"$PARAMETER": "min_train_rows"},
        severity=severity,
        description="There are enough rows to train on.",
        meta={"id": "train-rows", "rows": None},
    )


def split_size(split: str) -> Expectation:
    """A judging split is not empty.

    Prevents: choosing a checkpoint, or passing a quality gate, on no evidence at all.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnSumToBeBetween(
        column=f"in_{split}",
        min_value=1,
        severity="critical",
        description=f"The {split} split is not empty.",
        meta={"id": f"{split}-size", "rows": None},
    )
