"""Drift: the index agrees with its definition, and samples of one population do not drift."""

from __future__ import annotations

import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.signals.drift import psi

counts = st.lists(st.integers(1, 500), min_size=2, max_size=12)


def test_the_worked_example() -> None:
    plain = 0.4 * math.log(0.9 / 0.5) + 0.4 * math.log(0.5 / 0.1)
    assert psi([50, 50], [90, 10]) == pytest.approx(plain - 2 / 100)


@settings(deadline=None)
@given(counts)
def test_equal_shares_are_no_drift(mine: list[int]) -> None:
    assert psi(mine, [3 * count for count in mine]) == 0


@settings(deadline=None)
@given(counts, st.integers(0, 11))
def test_it_is_the_same_both_ways_and_never_negative(mine: list[int], turn: int) -> None:
    other = mine[turn % len(mine) :] + mine[: turn % len(mine)]
    assert psi(mine, other) == pytest.approx(psi(other, mine))
    assert psi(mine, other) >= 0


def test_samples_of_one_population_stay_below_a_tenth() -> None:
    """Without what chance makes taken off, 77 labels in 400 rows look like a large shift."""
    numbers = numpy.random.default_rng(0)
    shares = numbers.dirichlet(numpy.full(77, 5.0))
    for rows in (200, 400, 4000):
        found = [
            psi(*(numbers.multinomial(rows, shares).tolist() for _ in range(2))) for _ in range(50)
        ]
        assert numpy.median(found) < 0.1
        assert max(found) < 0.25
