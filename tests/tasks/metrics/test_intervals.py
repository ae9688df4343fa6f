"""Intervals: equal to references, never of zero width, and narrower with more rows."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from tasks.metrics.intervals import (
    Z,
    mcnemar,
    paired_proportions,
    percentile,
    resampled_sums,
    rows_to_certify,
    rows_to_see,
    wilson,
    with_floor,
)

trials = st.integers(1, 5000)


@st.composite
def paired(draw: st.DrawFn) -> tuple[int, int, int]:
    rows = draw(st.integers(1, 2000))
    only_tuned = draw(st.integers(0, rows))
    return only_tuned, draw(st.integers(0, rows - only_tuned)), rows


@settings(max_examples=40, deadline=None)
@given(trials, st.data())
def test_wilson_equals_scipy(n: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, n))
    ours = wilson(right, n)
    theirs = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert ours.low == pytest.approx(theirs.low, abs=1e-9)
    assert ours.high == pytest.approx(theirs.high, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(trials, st.data())
def test_wilson_contains_the_point_and_has_width(n: int, data: st.DataObject) -> None:
    found = wilson(data.draw(st.integers(0, n)), n)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high > found.low


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.integers(0, 10))
def test_wilson_is_narrower_with_more_rows_at_the_same_rate(n: int, tenths: int) -> None:
    few, many = wilson(n * tenths / 10, n), wilson(2 * n * tenths / 10, 2 * n)
    assert many.high - many.low < few.high - few.low


def test_everything_right_is_not_certain() -> None:
    found = wilson(100, 100)
    assert found.high == 1
    assert found.low == pytest.approx(0.9630, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(paired())
def test_tango_contains_the_point_has_width_and_stays_in_range(
    counts: tuple[int, int, int],
) -> None:
    found = paired_proportions(*counts)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 1e-4


@settings(max_examples=40, deadline=None)
@given(paired())
def test_tango_mirrors_when_the_models_are_swapped(counts: tuple[int, int, int]) -> None:
    b, c, rows = counts
    ours, swapped = paired_proportions(b, c, rows), paired_proportions(c, b, rows)
    assert ours.low == pytest.approx(-swapped.high, abs=1e-9)


@pytest.mark.parametrize(("b", "c", "rows"), [(12, 2, 68), (5, 9, 40), (1, 0, 44), (30, 11, 200)])
def test_tango_inverts_the_score_test_found_by_a_numeric_likelihood(
    b: int, c: int, rows: int
) -> None:
    def statistic(delta: float) -> float:
        """Score statistic with the constrained maximum likelihood found by search, not formula."""

        def loss(q: float) -> float:
            chances = np.array([q + delta, q, 1 - 2 * q - delta])
            counts = np.array([b, c, rows - b - c])
            return -float((counts * np.log(np.maximum(chances, 1e-300))).sum())

        bounds = (max(0, -delta) + 1e-12, (1 - delta) / 2 - 1e-12)
        q = optimize.minimize_scalar(loss, bounds=bounds, method="bounded").x
        return (b - c - rows * delta) / math.sqrt(rows * (2 * q + delta * (1 - delta)))

    found = paired_proportions(b, c, rows)
    assert statistic(found.low) == pytest.approx(Z, abs=2e-3)
    assert statistic(found.high) == pytest.approx(-Z, abs=2e-3)


def test_without_discordant_rows_tango_is_z_squared_over_rows_plus_z_squared() -> None:
    found = paired_proportions(0, 0, 100)
    assert (found.low, found.high) == pytest.approx((-Z * Z / (100 + Z * Z), Z * Z / (100 + Z * Z)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_equals_an_exact_binomial_test(b: int, c: int) -> None:
    reference = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar(b, c) == pytest.approx(reference, rel=1e-9)


@pytest.mark.parametrize(
    ("rate", "requirement", "rows"),
    [(0.97, 0.95, 457), (0.99, 0.98, 753), (0.985, 0.98, 3012)],
)
def test_rows_to_certify_are_the_published_ones_and_suffice(
    rate: float, requirement: float, rows: int
) -> None:
    assert rows_to_certify(rate, requirement) == rows
    assert wilson(rate * rows, rows).low >= requirement
    assert wilson(rate * (rows - 1), rows - 1).low < requirement


def test_a_rate_at_its_requirement_is_never_certified() -> None:
    assert rows_to_certify(0.95, 0.95) is None


@pytest.mark.parametrize(
    ("discordant", "rows"),
    [(0.05, (3923, 979, 434)), (0.1, (7847, 1960, 870)), (0.2, (15696, 3923, 1742))],
)
def test_rows_to_see_a_difference_are_the_published_ones(
    discordant: float, rows: tuple[int, ...]
) -> None:
    assert tuple(rows_to_see(points / 100, discordant) for points in (1, 2, 3)) == rows


def test_the_bootstrap_of_a_mean_agrees_with_its_standard_error() -> None:
    values = np.random.default_rng(7).normal(2.0, 1.0, size=(400, 1))
    draws = resampled_sums(values, 4000, seed=1)[:, 0] / 400
    found = percentile(float(values.mean()), draws)
    error = Z * values.std() / math.sqrt(400)
    assert found.high - found.value == pytest.approx(error, rel=0.1)
    assert found.value - found.low == pytest.approx(error, rel=0.1)


def test_the_bootstrap_repeats_with_its_seed_and_not_with_another() -> None:
    table = np.arange(30.0).reshape(10, 3)
    one, same, other = (resampled_sums(table, 50, seed) for seed in (3, 3, 4))
    assert (one == same).all()
    assert (one != other).any()


def test_columns_of_a_row_stay_together() -> None:
    table = np.random.default_rng(0).normal(size=(50, 1)) @ np.array([[1.0, 2.0]])
    draws = resampled_sums(table, 200, seed=5)
    assert draws[:, 1] == pytest.approx(2 * draws[:, 0])


@settings(max_examples=40, deadline=None)
@given(st.floats(-100, 100), st.integers(1, 10_000))
def test_a_collapsed_bootstrap_gets_a_width(value: float, rows: int) -> None:
    found = with_floor(percentile(value, np.full(1000, value)), rows)
    assert found.low < found.value < found.high
