"""Policies: what is found is dropped, kept or refused as the recipe says, and nothing is lost."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from tasks.contracts import Splits
from tasks.errors import DataError
from tests.preparing import pairs, prepared, read_jsonl, write_jsonl

LONG = "the parcel was sent on monday and has not come although the shop said that it would"
SPLITS = ("train", "validation", "test")


def wordings(count: int) -> list[dict[str, Any]]:
    """Return rows of different words, each with the same short answer."""
    rng = random.Random(4)
    letters = "abcdefghijklmnopqrstuvwxyz"
    made = [["".join(rng.choices(letters, k=5)) for _ in range(25)] for _ in range(count)]
    return [{"prompt": " ".join(words), "completion": "ok"} for words in made]


def near(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "prompt": row["prompt"] + " please"}


def total(splits: Splits) -> int:
    return sum(getattr(splits, name).rows for name in SPLITS)


def flagged(folder: Path, splits: Splits, column: str) -> int:
    return sum(pyarrow.parquet.read_table(folder / splits.profile_path)[column].to_pylist())


@pytest.mark.parametrize(
    ("policy", "column", "extra", "found"),
    [
        ("on_duplicate", "duplicate", [pairs(60)[3]], 1),
        ("on_near_duplicate", "near_duplicate", [near(wordings(1)[0])], 1),
        ("on_conflict", "conflict", [{**pairs(60)[3], "completion": "other"}], 2),
    ],
)
def test_a_policy_drops_keeps_or_refuses(
    tmp_path: Path, policy: str, column: str, extra: list[Any], found: int
) -> None:
    rows = [*pairs(60), *wordings(40), *extra]
    path = write_jsonl(tmp_path / "d.jsonl", rows)
    dropped = prepared(path, tmp_path / "drop", **{policy: "drop"})
    assert dropped.rejected == {column: found}
    kept = prepared(path, tmp_path / "keep", **{policy: "keep"})
    assert kept.rejected == {}
    for splits, folder in ((dropped, "drop"), (kept, "keep")):
        assert total(splits) + sum(splits.rejected.values()) == splits.rows_in == len(rows)
        assert flagged(tmp_path / folder, splits, column) == found
    with pytest.raises(DataError, match=rf"dataset\.{policy} = raise: {found} rows .*jsonl:\d+"):
        prepared(path, tmp_path / "raise", **{policy: "raise"})


@pytest.mark.parametrize("policy", ["drop", "keep", "raise"])
def test_leaks_and_near_leaks_follow_one_policy(tmp_path: Path, policy: str) -> None:
    judged = wordings(50)
    test = str(write_jsonl(tmp_path / "test.jsonl", judged))
    path = write_jsonl(tmp_path / "d.jsonl", [*pairs(60), judged[0], near(judged[1])])
    if policy == "raise":
        with pytest.raises(DataError, match=r"on_leakage = raise: 1 rows .* d\.jsonl:61"):
            prepared(path, tmp_path / "run", test_path=test, on_leakage=policy)
        return
    splits = prepared(path, tmp_path / "run", test_path=test, on_leakage=policy)
    both = {"leaks_into_test": 1, "near_leaks_into_test": 1}
    assert splits.rejected == (both if policy == "drop" else {})
    for column in ("leaked", "near_leaked"):
        assert flagged(tmp_path / "run", splits, column) == 1
    assert splits.test.rows == 50


def test_invalid_rows_can_stop_the_run(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", [*pairs(50), '{"prompt', {"prompt": "a"}])
    with pytest.raises(DataError, match=r"on_invalid = raise: 2 rows .*: d.jsonl:51, d.jsonl:52"):
        prepared(path, tmp_path / "run", on_invalid="raise")
    assert sum(prepared(path, tmp_path / "run").rejected.values()) == 2


def test_rows_of_one_wording_fall_into_one_split(tmp_path: Path) -> None:
    rows = [each for row in wordings(120) for each in (row, near(row))]
    splits = prepared(write_jsonl(tmp_path / "d.jsonl", rows), tmp_path / "run")
    assert splits.rejected == {}
    for name in SPLITS:
        counts = Counter(
            row["prompt"].removesuffix(" please")
            for row in read_jsonl(tmp_path / "run" / getattr(splits, name).path)
        )
        assert set(counts.values()) == {2}


def contents(folder: Path, splits: Splits) -> dict[str, Counter[tuple[str, str]]]:
    return {
        name: Counter(
            (row["prompt"], row["completion"])
            for row in read_jsonl(folder / getattr(splits, name).path)
        )
        for name in SPLITS
    }


def test_order_and_processes_change_neither_counts_nor_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Any] = [*pairs(80), *wordings(60), *map(near, wordings(30)), *pairs(20)]
    rows += [{**row, "prompt": f" {row['prompt']}  "} for row in pairs(10)]
    rows += [{**row, "completion": "violet"} for row in pairs(5)]
    policies = {"on_near_duplicate": "drop", "on_conflict": "drop"}
    first = prepared(write_jsonl(tmp_path / "a.jsonl", rows), tmp_path / "a" / "run", **policies)
    random.Random(0).shuffle(rows)
    then = prepared(write_jsonl(tmp_path / "b.jsonl", rows), tmp_path / "b" / "run", **policies)
    assert first.rejected == then.rejected
    assert {"duplicate", "near_duplicate", "conflict"} == set(first.rejected)
    expected = contents(tmp_path / "a/run", first)
    assert contents(tmp_path / "b/run", then) == expected
    # Of copies that differ in white space alone, the one in its normal form stays.
    assert not any(prompt != prompt.strip() for split in expected.values() for prompt, _ in split)


def test_added_rows_move_no_row_and_bridge_no_splits(tmp_path: Path) -> None:
    rows = wordings(300)
    path = write_jsonl(tmp_path / "d.jsonl", rows)
    first = prepared(path, tmp_path / "one")
    before = contents(tmp_path / "one", first)
    added = [near(row) for row in rows]
    then = prepared(write_jsonl(path, [*rows, *added]), tmp_path / "two")
    after = contents(tmp_path / "two", then)
    judging = first.validation.rows + first.test.rows
    assert then.rejected == {"bridges_splits": judging}
    for name in ("validation", "test"):
        assert after[name] == before[name]
    assert after["train"] >= before["train"]
    assert then.train.rows == 2 * first.train.rows
