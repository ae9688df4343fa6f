"""The trace against published measurements of this project's own code path: nothing is fitted."""

from __future__ import annotations

import pytest

from bench.estimate import case_of, published

OWN = {row["name"]: row for row in published() if row["loop"] == "own"}


def test_every_published_case_has_a_source_and_a_setup() -> None:
    rows = published()
    assert len(rows) >= 30
    for row in rows:
        assert row["what"] in ("reserved", "allocated")
        assert row["bytes"] > 1e9
        assert row["length"] >= 256


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["lora-rank64", "lora-rank32-dora", "lora-rank10-target-mlp", "ia3-default", "miss-default"],
)
def test_the_trace_finds_a_published_peak_and_its_trained_numbers(name: str) -> None:
    """Reserved memory, so a little above what is allocated; CI fails when the error gets worse."""
    from tasks.estimates.trace.step import trace

    found = trace(case_of(OWN[name]))
    assert found.peak_bytes == pytest.approx(OWN[name]["bytes"], rel=0.015)
    assert found.trainable_parameters == OWN[name]["trained"]
