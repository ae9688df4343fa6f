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
            method_rows(),
            split_size("validation"),
            split_size("test"),
        ],
    )


def train_rows(severity: str) -> Expectation:
    """There are enough rows to train on, near-duplicates counted once.

    Prevents: fine-tuning on a handful of rows, which memorizes them; below 500 a good prompt with
    examples does better (rule D1 of the decision tree).
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnSumToBeBetween(
        column="new_in_train",
        min_value={"$PARAMETER": "min_train_rows"},
        severity=severity,
        description="There are enough rows to train on.",
        meta={"id": "train-rows", "rows": None},
    )


def method_rows() -> Expectation:
    """There are as many rows as the recipe's method wants, whatever the recipe allows.

    Prevents: forgetting, once `method: full` or a lower `min_train_rows` is written down, that the
    run is below what the method is known to need: 10,000 rows for full fine-tuning, 1,000 for LoRA
    (500 for a simple task), 500 for QLoRA and for `auto`, which chooses by the rows.
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnSumToBeBetween(
        column="new_in_train",
        min_value={"$PARAMETER": "method_rows"},
        severity="warning",
        description="There are as many rows as the method is known to need.",
        meta={"id": "method-rows", "rows": None},
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
