"""Accuracy, macro-F1 and loss of labels, against brute force and worked cases."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from tasks.contracts import LabelCount
from tasks.metrics.intervals import resampled_sums
from tasks.metrics.labels import (
    commonest,
    compare_labels,
    label_scores,
    macro_f1,
    what_the_base_is,
)

LABELS = tuple(LabelCount(name=name, rows=n) for name, n in (("a", 50), ("b", 30), ("c", 20)))


def samples(count: int, right: float, seed: int = 1) -> list[dict[str, Any]]:
    """Return scored rows whose tuned answers are right that often."""
    draw, made = random.Random(seed), []
    for _ in range(count):
        wanted = draw.choices("abc", (5, 3, 2))[0]
        given = wanted if draw.random() < right else draw.choice("abc")
        made.append(
            {
                "reference": wanted,
                "base_answer": "a", "base_exact": wanted == "a",
                "base_nats": -math.log({"a": 0.5, "b": 0.3, "c": 0.2}[wanted]),
                "tuned_answer": given, "tuned_exact": given == wanted,
                "tuned_nats": 0.1 if given == wanted else 2.0,
            }
        )  # fmt: skip
    return made


def brute_force(pairs: list[tuple[str, str]]) -> float:
    """Macro-F1 by its definition: precision and recall of each label that occurs."""
    each = []
    for label in {name for pair in pairs for name in pair}:
        right = sum(pair == (label, label) for pair in pairs)
        given = sum(pair[1] == label for pair in pairs)
        has = sum(pair[0] == label for pair in pairs)
        precision, recall = right / given if given else 0.0, right / has if has else 0.0
        each.append(2 * precision * recall / (precision + recall) if right else 0.0)
    return sum(each) / len(each)


def test_macro_f1_is_the_mean_over_labels() -> None:
    # Rows a a b, given a b b: right 1 1, has 2 1, given 1 2.
    assert macro_f1(np.array([[1, 1, 2, 1, 1, 2]]))[0] == pytest.approx(2 / 3)
    # A label that nobody has or gives is left out.
    assert macro_f1(np.array([[1, 1, 0, 2, 1, 0, 1, 2, 0]]))[0] == pytest.approx(2 / 3)


@pytest.mark.parametrize("seed", range(5))
def test_the_metrics_are_those_of_brute_force_and_enclosed(seed: int) -> None:
    scored = samples(200, 0.8, seed)
    accuracy, f1, loss = compare_labels(scored, 1000, 7)
    assert [row.name for row in (accuracy, f1, loss)] == ["accuracy", "macro_f1", "loss"]
    assert accuracy.tuned.value == sum(s["tuned_exact"] for s in scored) / 200
    for side in ("base", "tuned"):
        pairs = [(s["reference"], s[f"{side}_answer"]) for s in scored]
        assert getattr(f1, side).value == pytest.approx(brute_force(pairs))
    assert loss.tuned.value == pytest.approx(sum(s["tuned_nats"] for s in scored) / 200)
    assert loss.unit == "nats/row"
    assert not loss.higher_is_better
    for row in (accuracy, f1, loss):
        for measure in (row.base, row.tuned, row.difference):
            assert measure.low <= measure.value <= measure.high
            assert measure.low < measure.high
    assert f1.difference.low > 0


def test_drawing_kinds_of_rows_is_drawing_rows() -> None:
    """Rows that are alike may be counted: mean and spread of the draws are the same."""
    column = np.repeat([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [40, 50, 10], axis=0)
    kinds = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    rows = resampled_sums(column, 4000, 1)
    few = resampled_sums(kinds, 4000, 1, np.array([40, 50, 10]))
    assert few.mean(0) == pytest.approx(rows.mean(0), rel=0.02)
    assert few.std(0) == pytest.approx(rows.std(0), rel=0.06)


def test_a_perfect_classifier_has_an_interval_too() -> None:
    accuracy, f1, _ = compare_labels(samples(50, 1.0), 1000, 7)
    assert accuracy.tuned.value == f1.tuned.value == 1.0
    assert f1.tuned.low == accuracy.tuned.low < 1.0


def test_the_table_of_labels_counts_every_row_once() -> None:
    scored = samples(300, 0.7)
    found = label_scores(scored, (*LABELS, LabelCount(name="never", rows=1)))
    assert sum(each.rows for each in found) == sum(each.given for each in found) == 300
    counts = Counter(s["reference"] for s in scored)
    for each in found[:3]:
        assert each.rows == counts[each.name]
        assert each.recall == each.right / each.rows
        assert each.precision == each.right / each.given
    assert (found[3].precision, found[3].recall, found[3].f1) == (None, None, 0.0)


def test_the_base_is_said_to_be_no_model() -> None:
    assert commonest(LABELS).name == "a"
    told = what_the_base_is(LABELS)
    assert "'a' for every row" in told
    assert "(50 of 100)" in told
    assert what_the_base_is(()) == ""
