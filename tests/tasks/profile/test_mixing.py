"""Mixtures: every source with its own format, weights as shares, rows drawn by content alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import DataError, RecipeError
from tasks.profile.mixing import is_drawn
from tasks.readers.raw import RawRow
from tasks.recipe import DatasetSection
from tests.preparing import chats, pairs, prepared, read_jsonl, write_jsonl


def mixed(tmp_path: Path, sources: list[dict[str, Any]], **dataset: Any) -> Any:
    return prepared(sources, tmp_path / "run", **dataset)


def rows_of(tmp_path: Path, splits: Any) -> list[dict[str, Any]]:
    every = (splits.train, splits.validation, splits.test)
    return [row for split in every for row in read_jsonl(tmp_path / "run" / split.path)]


def test_sources_of_different_formats_become_one(tmp_path: Path) -> None:
    chat = write_jsonl(tmp_path / "chats.jsonl", chats(30))
    pair = write_jsonl(tmp_path / "pairs.jsonl", [{"q": f"ask {n}", "a": "yes"} for n in range(20)])
    splits = mixed(
        tmp_path,
        [{"path": str(chat)}, {"path": str(pair), "columns": {"prompt": "q", "completion": "a"}}],
    )
    assert (splits.format, splits.row_type) == ("messages + prompt_completion", "messages")
    assert "a mixture of 2" in splits.format_reason
    assert [(Path(source.path).name, source.rows) for source in splits.sources] == [
        ("chats.jsonl", 30),
        ("pairs.jsonl", 20),
    ]
    rows = rows_of(tmp_path, splits)
    assert {row["source"] for row in rows} == {"chats.jsonl", "pairs.jsonl"}
    one = next(row for row in rows if row["source"] == "pairs.jsonl")
    assert [turn["role"] for turn in one["messages"]] == ["user", "assistant"]


def test_weights_are_shares_of_the_largest_mixture_without_repeats(tmp_path: Path) -> None:
    first = write_jsonl(tmp_path / "a.jsonl", pairs(900))
    second = write_jsonl(tmp_path / "b.jsonl", pairs(500, 1000))
    sources = [{"path": str(first), "weight": 1}, {"path": str(second), "weight": 3}]
    splits = mixed(tmp_path, sources, template=False)
    drawn = [source.rows for source in splits.sources]
    assert drawn[1] == 500
    assert 130 < drawn[0] < 205  # 167, each row by its own hash: three standard deviations
    assert splits.rows_in == sum(drawn)
    assert "19% of its rows, drawn by content" in splits.format_reason


def test_a_row_that_stands_in_two_sources_is_a_duplicate(tmp_path: Path) -> None:
    first = write_jsonl(tmp_path / "a.jsonl", pairs(40))
    (tmp_path / "sub").mkdir()
    second = write_jsonl(tmp_path / "sub" / "a.jsonl", pairs(40, 30))
    splits = mixed(tmp_path, [{"path": str(first)}, {"path": str(second)}], template=False)
    assert splits.rejected == {"duplicate": 10}
    assert len({row["source"] for row in rows_of(tmp_path, splits)}) == 2


def test_what_cannot_be_mixed_is_refused(tmp_path: Path) -> None:
    pair = write_jsonl(tmp_path / "a.jsonl", pairs(20))
    text = write_jsonl(tmp_path / "b.jsonl", [{"text": f"t {n}"} for n in range(20)])
    empty = write_jsonl(tmp_path / "c.jsonl", [])
    with pytest.raises(DataError, match=r"raw text .* cannot be mixed .*a\.jsonl: prompt_.*text\)"):
        mixed(tmp_path, [{"path": str(pair)}, {"path": str(text)}])
    with pytest.raises(RecipeError, match=r"dataset.path.1.weight: is missing"):
        mixed(tmp_path, [{"path": str(pair), "weight": 1}, {"path": str(text)}])
    weighted = [{"path": str(pair), "weight": 1}, {"path": str(empty), "weight": 1}]
    with pytest.raises(DataError, match=r"dataset.path.1: .*c\.jsonl: has no row to draw from"):
        mixed(tmp_path, weighted)


def test_each_source_of_a_mixture_is_a_section_of_its_own() -> None:
    dataset = DatasetSection.model_validate(
        {
            "path": [
                {"path": "a.tsv", "column_names": ["x", "y"]},
                {"path": "b", "format": "text"},
            ],
            "format": "alpaca",
            "columns": {"output": "y"},
        }
    )
    first, second = dataset.sections()
    assert (first.path, first.format, first.column_names) == ("a.tsv", "alpaca", ("x", "y"))
    assert (second.path, second.format, second.columns) == ("b", "text", {"output": "y"})
    assert str(dataset.path) == "(a.tsv, b)"


@given(st.integers(0, 10**9), st.floats(0, 1), st.floats(0, 1))
def test_a_smaller_share_is_drawn_from_the_larger(number: int, one: float, other: float) -> None:
    row = RawRow(number, {"a": number})
    small, large = sorted((one, other))
    assert not is_drawn(row, small) or is_drawn(row, large)
    assert is_drawn(row, 1.0)
    assert not is_drawn(row, 0.0)
    assert is_drawn(row, one) == is_drawn(RawRow(0, dict(row.raw)), one)
