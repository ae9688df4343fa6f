"""Base against tuned model on the same rows: each metric with intervals, and the paired difference.

A sample is one line of `evaluate/samples.jsonl`. Loss, perplexity and token accuracy are ratios of
sums over rows and have bootstraps by row (one set of draws for all of them, so differences are
paired); exact match has Wilson's interval and, for the difference, Tango's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.contracts import Measure, MetricRow
from tasks.metrics.intervals import (
    paired_proportions,
    percentile,
    resampled_sums,
    wilson,
    with_floor,
)

__all__ = ["Sample", "compare", "proportion", "ratio"]

Sample = dict[str, Any]
#: exp() of more is no perplexity anyone reads, and would overflow in the mean of draws.
MOST_NATS = 300.0


def compare(samples: Sequence[Sample], draws: int, seed: int) -> tuple[MetricRow, ...]:
    """Return every metric the samples allow.

    Args:
        samples: Rows with `loss_tokens` and, for base and tuned, `_nats`, `_right_tokens`, and
            `_exact` (None where rows have no answers).
        draws: Bootstrap draws.
        seed: Of the draws.
    """
    rows: list[MetricRow] = []
    scored = [sample for sample in samples if sample["loss_tokens"]]
    if scored:
        rows += _token_metrics(scored, draws, seed)
    if samples and samples[0]["tuned_exact"] is not None:
        rows.append(proportion("exact_match", samples))
    return tuple(rows)


def _token_metrics(samples: Sequence[Sample], draws: int, seed: int) -> list[MetricRow]:
    names = ("base_nats", "tuned_nats", "base_right_tokens", "tuned_right_tokens", "loss_tokens")
    table = np.array([[sample[name] for name in names] for sample in samples], dtype=float)
    whole, parts = table.sum(0), resampled_sums(table, draws, seed)
    value, drawn = whole[:4] / whole[4], parts[:, :4] / parts[:, 4:]
    rows = len(samples)
    loss = ratio("loss", "nats/token", value[:2], drawn[:, :2], rows)
    perplexity = ratio(
        "perplexity",
        "",
        np.exp(np.minimum(value[:2], MOST_NATS)),
        np.exp(np.minimum(drawn[:, :2], MOST_NATS)),
        rows,
    )
    return [loss, perplexity, ratio("token_accuracy", "%", value[2:], drawn[:, 2:], rows)]


def ratio(name: str, unit: str, value: np.ndarray, drawn: np.ndarray, rows: int) -> MetricRow:
    """Build a metric from base and tuned values (2,) and their draws (draws, 2)."""
    base, tuned = (percentile(float(value[i]), drawn[:, i]) for i in (0, 1))
    difference = percentile(float(value[1] - value[0]), drawn[:, 1] - drawn[:, 0])
    share = unit == "%"
    return MetricRow(
        name=name,
        unit=unit,
        higher_is_better=share,
        rows=rows,
        base=_share_with_floor(base, rows) if share else with_floor(base, rows),
        tuned=_share_with_floor(tuned, rows) if share else with_floor(tuned, rows),
        difference=with_floor(difference, rows),
        interval="bootstrap over rows",
    )


def _share_with_floor(measure: Measure, rows: int) -> Measure:
    """Return a share whose interval, where all rows agree, is Wilson's with rows as trials."""
    if not math.isclose(measure.low, measure.high):
        return measure
    return wilson(measure.value * rows, rows)


def proportion(name: str, samples: Sequence[Sample]) -> MetricRow:
    """Return the share of rows whose `_exact` flags are set, of base and tuned model."""
    rows = len(samples)
    base = sum(sample["base_exact"] for sample in samples)
    tuned = sum(sample["tuned_exact"] for sample in samples)
    both = sum(sample["base_exact"] and sample["tuned_exact"] for sample in samples)
    return MetricRow(
        name=name,
        unit="%",
        higher_is_better=True,
        rows=rows,
        base=wilson(base, rows),
        tuned=wilson(tuned, rows),
        difference=paired_proportions(tuned - both, base - both, rows),
        interval="Wilson; Tango for the difference",
    )
