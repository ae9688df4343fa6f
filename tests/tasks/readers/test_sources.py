"""Sources: files, folders, saved data sets and Hub layouts become files of splits, in a fixed order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import DataError
from tasks.profile.reading import read_rows
from tasks.readers.sources import find_sources
from tasks.recipe import DatasetSection
from tests.preparing import chats, pairs, prepared, read_jsonl, write_jsonl


def sources(path: Path | str, **dataset: Any) -> list[tuple[str, str | None]]:
    """Return the name and split of each file."""
    section = DatasetSection.model_validate({"path": str(path), **dataset})
    return [(file.name, file.split) for file in find_sources(section)]


def fill(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "a\n1\n" if name.endswith(".csv") else json.dumps({"text": str(number)}) + "\n"
        path.write_text(text)
    return folder


def test_a_missing_or_unknown_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset.path: nowhere.jsonl: no such file or folder"):
        sources("nowhere.jsonl")
    (tmp_path / "d.xlsx").write_bytes(b"")
    with pytest.raises(DataError, match=r"\(\.xlsx\)\. Allowed: \.jsonl, .*\.zst"):
        sources(tmp_path / "d.xlsx")


def test_a_folder_of_shards_is_read_in_order_of_names(tmp_path: Path) -> None:
    folder = fill(tmp_path / "d", "b-2.jsonl", "a-1.jsonl", "README.md", ".hidden", "_SUCCESS")
    assert sources(folder) == [("a-1.jsonl", None), ("b-2.jsonl", None)]
    fill(folder, "c.csv")
    with pytest.raises(DataError, match=r"holds 1 \.csv, 2 \.jsonl. A folder of shards has files"):
        sources(folder)
    (tmp_path / "e").mkdir()
    with pytest.raises(DataError, match="holds no files"):
        sources(tmp_path / "e")


def test_splits_named_by_files_are_not_trained_on(tmp_path: Path) -> None:
    names = (
        "train-00000-of-00002.jsonl",
        "train-00001-of-00002.jsonl",
        "test-00000-of-00001.jsonl",
    )
    for folder in (tmp_path / "flat", tmp_path / "deep" / "data"):
        fill(folder, *names)
    for folder in (tmp_path / "flat", tmp_path / "deep"):
        assert sources(folder) == [(names[0], None), (names[1], None), (names[2], "test")]
    own = write_jsonl(tmp_path / "own.jsonl", pairs(3))
    found = sources(tmp_path / "flat", test_path=str(own))
    assert found == [(names[0], None), (names[1], None), ("own.jsonl", "test")]


def test_a_readme_s_configurations_are_followed(tmp_path: Path) -> None:
    folder = fill(tmp_path / "d", "one.jsonl", "t.csv", "v.csv")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: one\n  data_files: one.jsonl\n- config_name: two\n"
        "  data_files:\n  - {split: train, path: t.csv}\n  - {split: dev, path: v.csv}\n---\n"
    )
    with pytest.raises(DataError, match=r"\['one', 'two'\].*Set dataset.name to a configuration"):
        sources(folder)
    assert sources(folder, name="one") == [("one.jsonl", None)]
    assert sources(folder, name="two") == [("t.csv", None), ("v.csv", "validation")]
    assert sources(folder, name="two", split="dev") == [("v.csv", None)]
    with pytest.raises(DataError, match=r"no split 'val'. Set dataset.split to one of: train, dev"):
        sources(folder, name="two", split="val")
    with pytest.raises(DataError, match=r"Set dataset.test_split to one of: train, dev"):
        sources(folder, name="two", test_split="x")


def test_a_saved_data_set_gives_its_rows_and_splits(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    rows = {"train": pairs(40), "valid": pairs(9, 40), "test": pairs(7, 50)}
    saved = DatasetDict({name: Dataset.from_list(each) for name, each in rows.items()})
    saved.save_to_disk(tmp_path / "dict", num_shards={"train": 2, "valid": 1, "test": 1})
    saved["train"].save_to_disk(tmp_path / "one")
    assert [split for _name, split in sources(tmp_path / "dict")] == [
        *(None, None),
        *("validation", "test"),
    ]
    files = find_sources(DatasetSection(path=str(tmp_path / "one")))
    assert [row.raw for file in files for row in read_rows(file.path)] == rows["train"]
    splits = prepared(tmp_path / "dict", tmp_path / "run")
    assert (splits.train.rows, splits.validation.rows, splits.test.rows) == (40, 9, 7)
    (files[0].path).unlink()
    with pytest.raises(DataError, match=r"is missing. Save the data set again"):
        sources(tmp_path / "one")


def test_shards_keep_their_own_line_numbers(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    write_jsonl(tmp_path / "d" / "b.jsonl", ["{", *chats(30, 100)])
    write_jsonl(tmp_path / "d" / "a.jsonl", [*chats(30), "{"])
    splits = prepared(tmp_path / "d", tmp_path / "run")
    assert splits.rows_in == 62
    rejected = read_jsonl(tmp_path / "run" / splits.rejected_path)
    assert sorted((row["source"], row["line"]) for row in rejected) == [
        ("a.jsonl", 31),
        ("b.jsonl", 1),
    ]


def test_a_headerless_file_loses_no_row(tmp_path: Path) -> None:
    lines = "".join(f"what is {n}?\t{n}\n" for n in range(40))
    (tmp_path / "d.tsv").write_text(lines)
    splits = prepared(
        tmp_path / "d.tsv", tmp_path / "run", template=False, column_names=["question", "answer"]
    )
    assert splits.rows_in == 40
    with pytest.raises(
        DataError, match="first line is no header, name the columns: dataset.column_"
    ):
        prepared(tmp_path / "d.tsv", tmp_path / "other", template=False)


def test_the_hub_is_refused_in_one_line_where_it_cannot_be_reached(tmp_path: Path) -> None:
    for revision in (None, "v1"):
        with pytest.raises(DataError) as error:
            sources("nobody/nothing", revision=revision)
        assert "\n" not in str(error.value)
        assert "this machine is offline and nothing of it was fetched before" in str(error.value)
        assert "hf download nobody/nothing --repo-type dataset" in str(error.value)


def test_what_was_fetched_from_the_hub_is_used_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache as `huggingface_hub` lays it out: refs name a commit, snapshots hold its files."""
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / "datasets--owner--name"
    fill(cached / "snapshots" / "abc123", "data/train.jsonl", "data/validation.jsonl")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc123")
    assert sources("owner/name") == [("train.jsonl", None), ("validation.jsonl", "validation")]
    assert sources("owner/name", revision="main")[0] == ("train.jsonl", None)
    with pytest.raises(DataError, match="nothing of it was fetched before at v2"):
        sources("owner/name", revision="v2")
