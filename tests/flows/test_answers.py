"""Answers: what people type is read as they mean it, or sent back with a question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows import answers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$500", 500), ("1e3", 1000), ("$1,000", 1000), ("5k", 5000), ("2.5", 2.5),
        ("24 GB", 24), ("24GiB", 24), ("1_000", 1000), ("500 USD", 500), ("0.34", 0.34),
    ],
)  # fmt: skip
def test_amounts(text: str, value: float) -> None:
    assert answers.number(text) == value


@pytest.mark.parametrize("text", ["-3", "0", "nan", "inf", "abc", "", "$", "1e999", "5 5x"])
def test_amounts_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|is not a number"):
        answers.number(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("95%", 0.95), ("95 %", 0.95), ("0.95", 0.95), ("95", 0.95), ("99.9", 0.999),
        ("1", 1.0), ("100", 1.0), ("1.5%", 0.015), ("2", 0.02), ("97.5", 0.975),
    ],
)  # fmt: skip
def test_shares(text: str, value: float) -> None:
    assert answers.accuracy(text) == value


@pytest.mark.parametrize("text", ["1.01", "1.5", "1.99", "0", "-1", "101", "140%", "x", "nan"])
def test_shares_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"could be|must be|is not"):
        answers.accuracy(text)


@given(st.floats(2, 100))
def test_a_bare_percentage_is_the_marked_one(value: float) -> None:
    assert answers.accuracy(repr(value)) == answers.accuracy(f"{value!r}%")


@pytest.mark.parametrize(
    ("text", "card", "count"),
    [
        ("4090", "rtx-4090", None),
        ("2x4090", "rtx-4090", 2),
        ("8 x a100-80", "a100-80", 8),
        ("8xA100 80GB", "a100-80", 8),
        ("rtx 4090 x2", "rtx-4090", 2),
        ("NVIDIA GeForce RTX 4090", "rtx-4090", None),
        ("NVIDIA A100-SXM4-80GB", "a100-80", None),
        ("Tesla T4", "t4", None),
        ("A100-40GB", "a100-40", None),
        ("2x A100 40 GB", "a100-40", 2),
        ("cpu", "cpu", None),
        ("CPU", "cpu", None),
    ],
)
def test_cards(text: str, card: str, count: int | None) -> None:
    assert answers.machine(text, memory_known=False) == (card, count)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("A100", "40 or 80 GB"),
        ("NVIDIA A100", "40 or 80 GB"),
        ("A100-SXM4", "40 or 80 GB"),
        ("2xV100", "16 or 32 GB"),
        ("Apple M3 Max", "--vram-gb"),
        ("m2", "--vram-gb"),
        ("AMD", "which card of AMD"),
        ("Radeon RX 7900 XTX", "--vram-gb"),
        ("rtx-409", "Did you mean rtx-4090"),
        ("0x4090", "no card at all"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "--vram-gb"),
    ],
)
def test_cards_that_need_a_question(text: str, question: str) -> None:
    with pytest.raises(ValueError, match=question):
        answers.machine(text, memory_known=False)


def test_any_card_will_do_when_its_memory_is_said() -> None:
    assert answers.machine("Apple M3 Max", memory_known=True) == ("Apple M3 Max", None)
    assert answers.machine("2x mystery", memory_known=True) == ("mystery", 2)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("all-linear", "all-linear"),
        ("q_proj,v_proj", ("q_proj", "v_proj")),
        ("q_proj", ("q_proj",)),
        (r".*\.(q|v)_proj", r".*\.(q|v)_proj"),
    ],
)
def test_target_modules(text: str, value: object) -> None:
    assert answers.modules(text) == value


def test_words_are_read_with_hyphens_and_capitals_and_nearly() -> None:
    words = ("very_complex", "near_full")
    assert answers.word("Very-Complex", words) == "very_complex"
    with pytest.raises(ValueError, match="did you mean near-full"):
        answers.word("near-ful", words)


def test_what_was_understood_is_said_with_its_unit() -> None:
    assert answers.echo("budget", 1000.0) == "budget $1,000"
    assert answers.echo("accuracy", 0.975) == "accuracy 97.5 %"
    assert answers.echo("very_different", value=True) == "very different"
    assert answers.echo("rows", 10_000) == "rows 10,000"
    assert answers.echo("target_modules", ("q_proj", "v_proj")) == "target modules q_proj, v_proj"
