"""Labels: accuracy, macro-F1 and loss of a classifier against the best answer without a model.

A base model has no answers before its head is trained: a fresh head is random, and better than it
says nothing. So the base here is what the training labels alone allow: for accuracy and F1 always
the commonest label, for the loss the shares of the labels.

    F1 of a label = 2 right / (rows that have it + rows that were given it)
    macro-F1      = its mean over all labels that a test row has or was given

Accuracy has Wilson's interval and Tango's for the difference; F1 and loss have bootstraps by row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.contracts import LabelCount, LabelScore, MetricRow
from tasks.metrics.comparison import Sample, proportion, ratio
from tasks.metrics.intervals import resampled_sums

__all__ = ["commonest", "compare_labels", "label_scores", "macro_f1", "what_the_base_is"]


def commonest(labels: Sequence[LabelCount]) -> LabelCount:
    """Return the label with most training rows, the first of several."""
    return max(labels, key=lambda label: label.rows)


def what_the_base_is(labels: Sequence[LabelCount]) -> str:
    """Return the sentence that says what the tuned model is compared with; "" for a base model."""
    if not labels:
        return ""
    label, rows = commonest(labels), sum(label.rows for label in labels)
    return (
        f"A base model has no answers before its head is trained. Base is the label "
        f"{label.name!r} for every row, the commonest of the training rows ({label.rows:,} of "
        f"{rows:,}); its loss is that of the labels' shares."
    )


def compare_labels(samples: Sequence[Sample], draws: int, seed: int) -> tuple[MetricRow, ...]:
    """Return accuracy, macro-F1 and loss of scored rows.

    Args:
        samples: Rows with `reference` and, for base and tuned, `_answer`, `_exact` and `_nats`.
        draws: Bootstrap draws.
        seed: Of the draws.
    """
    nats = np.array([[s["base_nats"], s["tuned_nats"], 1.0] for s in samples])
    whole, parts = nats.sum(0), resampled_sums(nats, draws, seed)
    rows = len(samples)
    loss = ratio("loss", "nats/row", whole[:2] / whole[2], parts[:, :2] / parts[:, 2:], rows)
    return proportion("accuracy", samples), _macro_f1(samples, draws, seed), loss


def _macro_f1(samples: Sequence[Sample], draws: int, seed: int) -> MetricRow:
    """Draw rows by their kind, which is reference, base's answer and tuned model's: few kinds."""
    keys = ("reference", "base_answer", "tuned_answer")
    names = sorted({sample[key] for sample in samples for key in keys})
    place = {name: number for number, name in enumerate(names)}
    every = np.array([[place[sample[key]] for key in keys] for sample in samples])
    kinds, counts = np.unique(every, axis=0, return_counts=True)
    value, drawn = [], []
    for side in (1, 2):
        table = _indicators(kinds[:, 0], kinds[:, side], len(names))
        value.append(float(macro_f1(counts[None] @ table)[0]))
        drawn.append(macro_f1(resampled_sums(table, draws, seed, counts)))
    return ratio("macro_f1", "%", np.array(value), np.stack(drawn, axis=1), len(samples))


def _indicators(reference: np.ndarray, given: np.ndarray, labels: int) -> np.ndarray:
    """Return for each row and label: right, has it, was given it; (rows, 3 labels)."""
    has, was = np.eye(labels)[reference], np.eye(labels)[given]
    return np.concatenate([has * was, has, was], axis=1)


def macro_f1(sums: np.ndarray) -> np.ndarray:
    """Return macro-F1 of sums (draws, 3 labels): right, rows that have a label, given it.

    Worked example: rows a a b, given a b b: F1 of a is 2/3, of b 2/3, macro-F1 2/3.
    """
    right, has, was = np.split(sums, 3, axis=1)
    met = has + was
    each = np.divide(2.0 * right, met, out=np.zeros(met.shape), where=met > 0)
    return each.sum(1) / np.maximum(1, (met > 0).sum(1))


def label_scores(samples: Sequence[Sample], labels: Sequence[LabelCount]) -> tuple[LabelScore, ...]:
    """Return how the tuned model does on each label, in the head's order."""
    found = []
    for label in labels:
        name = label.name
        rows = sum(s["reference"] == name for s in samples)
        given = sum(s["tuned_answer"] == name for s in samples)
        right = sum(s["reference"] == name == s["tuned_answer"] for s in samples)
        found.append(
            LabelScore(
                name=name,
                rows=rows,
                given=given,
                right=right,
                precision=right / given if given else None,
                recall=right / rows if rows else None,
                f1=2 * right / (rows + given) if rows + given else 0.0,
            )
        )
    return tuple(found)
