"""Comparison and gates: what samples become, and what an interval allows to say."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.contracts import Measure, MetricRow
from tasks.metrics.comparison import compare
from tasks.metrics.gates import better_than_base, meets_requirement, passes
from tasks.metrics.intervals import wilson
from tasks.recipe import RequirementsSection


def sample(base: tuple[float, int, bool | None], tuned: tuple[float, int, bool | None], tokens=4):
    found = {"loss_tokens": tokens}
    for name, (nats, right, exact) in (("base", base), ("tuned", tuned)):
        found |= {f"{name}_nats": nats, f"{name}_right_tokens": right, f"{name}_exact": exact}
    return found


sides = st.tuples(st.floats(0, 50), st.integers(0, 4), st.booleans())
samples = st.lists(st.builds(sample, sides, sides), min_size=1, max_size=30)


@settings(max_examples=40, deadline=None)
@given(samples)
def test_every_interval_contains_its_point_and_has_width(rows: list[dict]) -> None:
    for metric in compare(rows, 1000, seed=1):
        for measure in (metric.base, metric.tuned, metric.difference):
            assert measure.low <= measure.value <= measure.high
            assert measure.high > measure.low
        difference = metric.tuned.value - metric.base.value
        assert metric.difference.value == pytest.approx(difference)


def test_loss_is_weighted_by_tokens_and_perplexity_is_its_exponential() -> None:
    rows = [sample((8.0, 0, False), (2.0, 3, True)), sample((1.0, 1, False), (1.0, 1, False), 1)]
    loss, perplexity, accuracy, exact = compare(rows, 1000, seed=1)
    assert (loss.base.value, loss.tuned.value) == pytest.approx((9 / 5, 3 / 5))
    assert perplexity.tuned.value == pytest.approx(2.718281828 ** (3 / 5))
    assert (accuracy.base.value, accuracy.tuned.value) == pytest.approx((1 / 5, 4 / 5))
    assert (exact.base.value, exact.tuned.value) == (0, 0.5)


def test_rows_without_learned_tokens_do_not_touch_the_loss() -> None:
    rows = [sample((8.0, 0, None), (2.0, 3, None)), sample((0.0, 0, None), (0.0, 0, None), 0)]
    found = compare(rows, 1000, seed=1)
    assert [metric.rows for metric in found] == [1, 1, 1]
    assert found[0].tuned.value == 0.5


def test_paired_differences_are_narrower_than_unpaired_ones() -> None:
    rows = [sample((float(n % 13), 1, None), (float(n % 13) - 0.1, 1, None)) for n in range(200)]
    loss = compare(rows, 1000, seed=1)[0]
    assert loss.difference.high - loss.difference.low < 0.1 * (loss.base.high - loss.base.low)


def test_everything_right_has_an_interval_in_every_proportion() -> None:
    rows = [sample((8.0, 0, False), (0.1, 4, True)) for _ in range(50)]
    _loss, _perplexity, accuracy, exact = compare(rows, 1000, seed=1)
    for metric in (accuracy, exact):
        assert metric.tuned.value == metric.tuned.high == 1
        assert metric.tuned.low == pytest.approx(wilson(50, 50).low)
        assert metric.difference.low < 1


def metric(value: Measure, name: str = "exact_match", rows: int = 100, **changes) -> MetricRow:
    fields = {
        "name": name,
        "unit": "nats/token" if name == "loss" else "%",
        "higher_is_better": name != "loss",
        "rows": rows,
        "base": Measure(value=0.1, low=0.05, high=0.2),
        "tuned": value,
        "difference": value,
        "interval": "",
    }
    return MetricRow(**(fields | changes))


@pytest.mark.parametrize(
    ("right", "rows", "wanted", "verdict", "needed"),
    [
        (100, 100, 0.95, "met", None),
        (97, 100, 0.95, "undecided", 457),
        (485, 500, 0.95, "met", None),
        (94, 100, 0.95, "missed", None),
        (95, 100, 0.95, "undecided", None),
        (20, 20, 1.0, "undecided", None),
        (990, 1000, 0.98, "met", None),
        (495, 500, 0.98, "undecided", 753),
    ],
)
def test_a_requirement_is_met_only_when_the_lower_bound_reaches_it(
    right: int, rows: int, wanted: float, verdict: str, needed: int | None
) -> None:
    row = metric(wilson(right, rows), rows=rows)
    gate = meets_requirement(RequirementsSection(accuracy=wanted), [row], usual="exact_match")
    assert (gate.verdict, gate.rows_needed) == (verdict, needed)
    assert needed is None or f"{needed:,} test rows" in gate.sentence


def test_free_text_needs_a_metric_to_have_a_gate() -> None:
    rows = [metric(wilson(97, 100), name="token_accuracy")]
    silent = meets_requirement(RequirementsSection(accuracy=0.9), rows, usual=None)
    assert silent.verdict == "not_applicable"
    assert "requirements.metric" in silent.sentence
    asked = RequirementsSection(accuracy=0.9, metric="token_accuracy")
    assert meets_requirement(asked, rows, usual=None).verdict == "met"
    assert meets_requirement(RequirementsSection(), rows, usual="exact_match").requirement == "none"


@pytest.mark.parametrize(
    ("name", "difference", "verdict", "needed"),
    [
        ("exact_match", (0.5, 0.4, 0.6), "met", None),
        ("exact_match", (0.1, -0.1, 0.3), "undecided", 400),
        ("exact_match", (0.0, -0.1, 0.1), "missed", None),
        ("exact_match", (-0.2, -0.3, -0.1), "missed", None),
        ("loss", (-0.5, -0.6, -0.4), "met", None),
        ("loss", (-0.1, -0.2, 0.05), "undecided", 225),
        ("loss", (0.1, 0.05, 0.2), "missed", None),
    ],
)
def test_better_means_the_whole_interval_on_the_right_side(
    name: str, difference: tuple[float, float, float], verdict: str, needed: int | None
) -> None:
    value, low, high = difference
    gate = better_than_base(metric(Measure(value=value, low=low, high=high), name=name))
    assert gate.verdict == verdict
    assert (gate.rows_needed is None) == (needed is None)
    assert needed is None or gate.rows_needed == pytest.approx(needed, abs=1)


@pytest.mark.parametrize(
    ("verdicts", "publish_undecided", "passed"),
    [
        (("met", "met"), False, True),
        (("not_applicable", "met"), False, True),
        (("undecided", "met"), False, False),
        (("undecided", "met"), True, True),
        (("missed", "met"), True, False),
        (("met", "missed"), False, False),
    ],
)
def test_a_scorecard_passes_when_every_gate_does(
    verdicts: tuple[str, str], publish_undecided: bool, passed: bool
) -> None:
    gate = better_than_base(metric(Measure(value=0.5, low=0.4, high=0.6)))
    gates = [gate.model_copy(update={"verdict": verdict}) for verdict in verdicts]
    assert passes(gates, publish_undecided=publish_undecided) is passed
