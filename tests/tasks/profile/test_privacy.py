"""Private data: each policy does what it says, and no message repeats what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from tasks.errors import DataError
from tests.preparing import pairs, prepared, read_jsonl, write_jsonl

ADDRESS = "paula.quist@mailhaus.de"
KEY = "AKIA2OGYBAH6STMMNXWQ"


def with_private_rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = list(pairs(60))
    rows[6] = {"prompt": f"write to {ADDRESS} or call +49 30 901820", "completion": "red"}
    rows[20] = {"prompt": "which key", "completion": f"{KEY}."}
    return rows


def written(folder: Path) -> dict[int, dict[str, Any]]:
    files = (folder / "prepare" / f"{name}.jsonl" for name in ("train", "validation", "test"))
    return {row["line"]: row for file in files for row in read_jsonl(file)}


def test_warn_keeps_rows_and_counts_what_they_hold(tmp_path: Path) -> None:
    splits = prepared(write_jsonl(tmp_path / "d.jsonl", with_private_rows()), tmp_path / "run")
    assert written(tmp_path / "run")[21]["completion"] == f"{KEY}."
    table = pyarrow.parquet.read_table(tmp_path / "run" / splits.profile_path).to_pylist()
    assert [table[6][name] for name in ("emails", "phones", "redacted")] == [1, 1, 0]
    assert sum(row["credentials"] for row in table) == table[20]["credentials"] == 1


def test_redact_masks_before_tokens_are_counted(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", with_private_rows())
    splits = prepared(path, tmp_path / "run", on_pii="redact")
    rows = written(tmp_path / "run")
    assert rows[7]["prompt"] == "write to [EMAIL] or call [PHONE]"
    assert rows[21]["completion"] == "[CREDENTIAL]."
    table = pyarrow.parquet.read_table(tmp_path / "run" / splits.profile_path).to_pylist()
    assert [row["redacted"] for row in table if row["redacted"]] == [2, 1]
    masked = with_private_rows()
    masked[6]["prompt"], masked[20]["completion"] = rows[7]["prompt"], rows[21]["completion"]
    again = prepared(write_jsonl(tmp_path / "m.jsonl", masked), tmp_path / "masked")
    assert again.train.tokens == splits.train.tokens


def test_drop_rejects_the_rows(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", with_private_rows())
    splits = prepared(path, tmp_path / "run", on_pii="drop")
    assert splits.rejected == {"private_data": 2}
    assert {7, 21}.isdisjoint(written(tmp_path / "run"))


def test_raise_names_lines_and_kinds_and_nothing_else(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", with_private_rows())
    with pytest.raises(DataError) as error:
        prepared(path, tmp_path / "run", on_pii="raise")
    assert "2 rows have private data" in str(error.value)
    assert "d.jsonl:7 (emails, phones), d.jsonl:21 (credentials)" in str(error.value)
    assert ADDRESS not in str(error.value)
    assert KEY not in str(error.value)
