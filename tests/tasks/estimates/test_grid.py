"""The closed form against the exact trace, on configurations that were drawn before it."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from bench.trace_grid import DEVELOPED_ON, drawn, setup_of, traced
from tasks.estimates.memory import allocated_bytes

#: What the error may be: CI fails when it gets worse.
MEAN, WORST, CASES = 0.015, 0.06, 200


def error(line: dict[str, Any]) -> float:
    return allocated_bytes(setup_of(line["setup"])) / line["traced"]["peak_bytes"] - 1


def test_the_closed_form_is_near_the_trace() -> None:
    errors = [abs(error(line)) for line in traced()]
    assert len(errors) >= CASES
    for part in (errors, errors[DEVELOPED_ON:]):
        assert statistics.mean(part) <= MEAN
        assert max(part) <= WORST


def test_the_configurations_are_those_that_the_seed_draws() -> None:
    first = drawn(360)
    assert all(line["setup"] in first for line in traced())


@pytest.mark.slow
def test_a_traced_figure_of_the_grid_is_still_what_the_trace_says() -> None:
    from tasks.estimates.trace.step import trace
    from tasks.estimates.traced import case_for

    small = sorted(traced(), key=lambda line: line["traced"]["peak_bytes"])[:2]
    for line in small:
        found = trace(case_for(setup_of(line["setup"])))
        assert found.peak_bytes == pytest.approx(line["traced"]["peak_bytes"], rel=1e-3)
