"""Exact match: forgives form, never content."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.metrics.exact_match import exact_match_metric, says_the_same

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8).map(lambda t: t.strip()),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("answer", "reference", "same"),
    [
        ("red", "red", True),
        ("  red\n", "red", True),
        ("dark   red", "dark red", True),
        ("Red", "red", False),
        ("red.", "red", False),
        ("", "", True),
        ("", "red", False),
        ("caf\u0065\u0301", "caf\u00e9", True),
        ("1,200", "1200", True),
        ("1,200.50", "1200.5", True),
        ("12,00", "1200", False),
        ("-3", "3", False),
        ("+3", "3", True),
        ("-0", "0", True),
        ("007", "7", True),
        ("12345678901234567890", "12345678901234567891", False),
        ('{"a": 1, "b": 2}', '{"b":2,"a":1}', True),
        ('{"a": 1}', '{"a": 1.0}', True),
        ('{"a": 1}', '{"a": true}', False),
        ('{"a": 1}', '{"a": "1"}', False),
        ("[1, 2]", "[2, 1]", False),
        ('{"a": 1', '{"a": 1}', False),
        ('"red"', "red", False),
    ],
)
def test_form_is_forgiven_and_content_is_not(answer: str, reference: str, same: bool) -> None:
    assert says_the_same(answer, reference) is same
    assert says_the_same(reference, answer) is same


@settings(max_examples=40, deadline=None)
@given(st.text())
def test_every_text_says_the_same_as_itself(text: str) -> None:
    assert says_the_same(text, text)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(max_size=4), json_values, min_size=1, max_size=4))
def test_spacing_and_order_of_json_do_not_count(value: dict) -> None:
    backwards = dict(reversed(value.items()))
    assert says_the_same(json.dumps(value), json.dumps(backwards, separators=(",", ":")))


@pytest.mark.slow
def test_hugging_face_evaluate_runs_it_offline() -> None:
    metric = exact_match_metric()
    found = metric.compute(predictions=["red", "1,000", "x"], references=["red", "1000", "y"])
    assert found == {"exact_match": pytest.approx(2 / 3), "flags": [True, True, False]}
