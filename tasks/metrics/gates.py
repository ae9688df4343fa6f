"""Gates: a metric with a limit, and what the interval allows to say about it.

`met` when the interval lies on the right side of the limit, `undecided` when only the point does,
with the rows that would decide it at what was observed, `missed` when not even the point does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tasks.contracts import Gate, Measure, MetricRow, Scorecard, Splits
from tasks.errors import DataError
from tasks.metrics.comparison import Sample, compare
from tasks.metrics.intervals import rows_to_certify
from tasks.metrics.labels import compare_labels, label_scores, what_the_base_is
from tasks.recipe import Recipe, RequirementsSection

__all__ = ["better_than_base", "judge", "meets_requirement", "passes"]


def judge(recipe: Recipe, splits: Splits, samples: Sequence[Sample], uses: int) -> Scorecard:
    """Return metrics and gates of scored test rows; path and time are filled in by the stage.

    Raises:
        DataError: Not one test row has a token that is learned.
    """
    evaluation = recipe.evaluation
    draws, seed = evaluation.bootstrap_samples, recipe.training.seed
    if splits.labels:
        metrics, scores = compare_labels(samples, draws, seed), label_scores(samples, splits.labels)
    else:
        metrics, scores = compare(samples, draws, seed), ()
    if not any(metric.name == "loss" for metric in metrics):
        raise DataError("no test row has a token the loss looks at; see the data report.")
    checkable = splits.checkable and splits.row_type != "text"
    usual = "accuracy" if splits.labels else "exact_match" if checkable else None
    primary = recipe.requirements.metric or usual or "loss"
    gates = (
        meets_requirement(recipe.requirements, metrics, usual=usual),
        better_than_base(next(metric for metric in metrics if metric.name == primary)),
    )
    return Scorecard(
        test_rows=len(samples),
        test_sha256=splits.test.sha256,
        test_uses=uses,
        primary=primary,
        metrics=metrics,
        gates=gates,
        passed=passes(gates, publish_undecided=evaluation.publish_undecided),
        samples_path="",
        wall_seconds=0.0,
        base=what_the_base_is(splits.labels),
        labels=scores,
    )


def passes(gates: Sequence[Gate], *, publish_undecided: bool) -> bool:
    """Return whether every gate that applies is met, or undecided where that is allowed."""
    allowed = {"met", "not_applicable"} | ({"undecided"} if publish_undecided else set())
    return all(gate.verdict in allowed for gate in gates)


def meets_requirement(
    requirements: RequirementsSection, metrics: Sequence[MetricRow], *, usual: str | None
) -> Gate:
    """Compare the tuned model with `requirements.accuracy`.

    Args:
        requirements: The recipe's section.
        metrics: What was measured.
        usual: The metric where the recipe names none; None: answers are free text.
    """
    wanted = requirements.accuracy
    if wanted is None:
        return _not_applicable("none", "The recipe requires no accuracy (requirements.accuracy).")
    name = requirements.metric or usual
    if name is None:
        return _not_applicable(
            f"{wanted:.1%}",
            "The answers are free text, so the required accuracy guides the decision only; "
            "set requirements.metric to make it a gate.",
        )
    row = next(metric for metric in metrics if metric.name == name)
    return _against_limit(row, wanted)


def _not_applicable(requirement: str, sentence: str) -> Gate:
    return Gate(
        name="requirement",
        verdict="not_applicable",
        requirement=requirement,
        observed="",
        rows_needed=None,
        sentence=sentence,
    )


def _against_limit(row: MetricRow, wanted: float) -> Gate:
    seen, needed = row.tuned, None
    shown = f"{seen.value:.1%} ({seen.low:.1%} to {seen.high:.1%})"
    limit = f"{row.name} of at least {wanted:.1%}"
    said = f"The tuned model has {row.name} {shown} on {row.rows:,} test rows"
    if seen.low >= wanted:
        verdict = "met"
        sentence = f"{said}: the lower bound reaches the required {wanted:.1%}."
    elif seen.value >= wanted:
        verdict = "undecided"
        needed = _rows_for_limit(row, wanted)
        sentence = (
            f"{said}: the point reaches the required {wanted:.1%}, the lower bound does not. "
        )
        sentence += _about_rows(needed)
    else:
        verdict = "missed"
        sentence = f"{said}: below the required {wanted:.1%}."
    return Gate(
        name="requirement",
        verdict=verdict,
        requirement=limit,
        observed=shown,
        rows_needed=needed,
        sentence=sentence,
    )


def _rows_for_limit(row: MetricRow, wanted: float) -> int | None:
    if row.name in ("exact_match", "accuracy"):
        return rows_to_certify(row.tuned.value, wanted)
    return _rows_at(row.rows, row.tuned.value - row.tuned.low, row.tuned.value - wanted)


def _rows_at(rows: int, distance: float, margin: float) -> int | None:
    """Return the rows at which a bound `distance` away comes within `margin`: as 1 / sqrt(rows)."""
    return math.ceil(rows * (distance / margin) ** 2) if margin > 0 else None


def _about_rows(needed: int | None) -> str:
    if needed is None:
        return "At the limit itself no number of rows decides."
    return f"About {needed:,} test rows would decide at this result."


def better_than_base(row: MetricRow) -> Gate:
    """Compare the paired difference on the primary metric with zero."""
    sign = 1 if row.higher_is_better else -1
    gain = sign * row.difference.value
    bound = sign * (row.difference.low if sign > 0 else row.difference.high)
    shown, needed = _difference(row), None
    said = f"{row.name}, tuned minus base, is {shown} on {row.rows:,} test rows"
    if bound > 0:
        verdict, sentence = "met", f"{said}: better, with the whole interval."
    elif gain > 0:
        verdict = "undecided"
        needed = _rows_at(row.rows, gain - bound, gain)
        sentence = f"{said}: better, but the interval contains no difference. {_about_rows(needed)}"
    else:
        verdict, sentence = "missed", f"{said}: not better than the base model."
    return Gate(
        name="better_than_base",
        verdict=verdict,
        requirement=f"{row.name} better than the base model's",
        observed=shown,
        rows_needed=needed,
        sentence=sentence,
    )


def _difference(row: MetricRow) -> str:
    seen: Measure = row.difference
    if row.unit == "%":
        low, high = f"{100 * seen.low:+.1f}", f"{100 * seen.high:+.1f}"
        return f"{100 * seen.value:+.1f} points ({low} to {high})"
    unit = f" {row.unit}" if row.unit else ""
    return f"{seen.value:+.4f}{unit} ({seen.low:+.4f} to {seen.high:+.4f})"
