"""Labels: where answers are a few words that come again, they are the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.shares import few

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

__all__ = ["suite"]


def suite() -> ExpectationSuite:
    """Return the checks on answers that are labels."""
    import great_expectations as gx

    return gx.ExpectationSuite(
        name="labels",
        expectations=[
            label_variants(),
            unlearned_labels(),
            single_labels(),
            label_imbalance(),
        ],
    )


def label_variants() -> Expectation:
    """No label is written in two ways.

    Prevents: "Billing" and "billing " as two classes: each is learned from half the rows, and exact
    match calls the other one wrong.
    """
    return few(
        "No label is written in two ways.",
        limit="max_label_variant_fraction",
        severity="warning",
        meta={"id": "label-variants", "rows": "kept_label_variant"},
    )


def unlearned_labels() -> Expectation:
    """Every label that is judged was learned.

    Prevents: a label that stands only in test or validation, which no training can get right; the
    score is then a statement about the split.
    """
    return few(
        "Every label that is judged was learned.",
        limit="max_unlearned_label_fraction",
        severity="warning",
        meta={"id": "unlearned-labels", "rows": "kept_unlearned_label"},
    )


def single_labels() -> Expectation:
    """No label stands in one row only.

    Prevents: typing errors as classes ("billling"), and classes of one row, of which nothing can be
    learned and measured both.
    """
    return few(
        "No label stands in one row only.",
        limit="max_single_label_fraction",
        severity="warning",
        meta={"id": "single-labels", "rows": "kept_single_label"},
    )


def label_imbalance() -> Expectation:
    """The commonest label has not many times the rows of the rarest.

    Prevents: a model that is right 99 times of 100 by never giving the rare label; accuracy hides
    it. Google's guide calls 1 to 20 % of the rows a moderate and less an extreme imbalance
    (developers.google.com/machine-learning/crash-course/overfitting/imbalanced-datasets).
    """
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnMaxToBeBetween(
        column="label_imbalance",
        max_value={"$PARAMETER": "max_label_imbalance"},
        severity="warning",
        description="The commonest label has not many times the rows of the rarest.",
        meta={"id": "label-imbalance", "rows": "kept_rare_label"},
    )
