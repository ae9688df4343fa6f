"""Readers: records in a raw file and rows out of a reader are the same number, with their lines."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import DataError
from tasks.profile.reading import read_rows
from tasks.readers import json_list, kind_of

SHARED = Path("/work/shared/data")
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readers")


@given(
    rows=st.lists(JSON_VALUES, max_size=6), indent=st.sampled_from([None, 1]), ascii=st.booleans()
)
@settings(max_examples=100, deadline=None)
def test_a_json_list_is_what_json_loads_reads(
    folder: Path, rows: list[Any], indent: int | None, ascii: bool
) -> None:
    path = folder / "d.json"
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=ascii) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_list, "CHUNK_CHARACTERS", 3)
        found = list(read_rows(path))
    assert [row.raw for row in found] == rows
    assert [row.line for row in found] == list(range(1, len(rows) + 1))


@given(text=st.text(alphabet='[]{}," :1a\n', max_size=12))
@settings(max_examples=150, deadline=None)
def test_what_json_loads_refuses_is_an_error_and_nothing_else_is(folder: Path, text: str) -> None:
    path = folder / "e.json"
    path.write_text(text, encoding="utf-8")
    try:
        rows = json.loads(text)
    except ValueError:
        rows = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_list, "CHUNK_CHARACTERS", 2)
        if isinstance(rows, list):
            assert len(list(read_rows(path))) == len(rows)
        else:
            with pytest.raises(DataError):
                list(read_rows(path))


FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r\0"), min_size=1, max_size=6)


@given(rows=st.lists(st.tuples(FIELD, FIELD), max_size=6), end=st.sampled_from(["\n", "\r\n"]))
@settings(deadline=None)
def test_quotes_lose_no_row_of_a_tsv_file(folder: Path, rows: list[Any], end: str) -> None:
    rows = [('q"', 'it\'s "so"'), *rows]
    path = folder / "d.tsv"
    body = "".join(f"{a}\t{b}{end}" for a, b in rows)
    path.write_bytes(f"a\tb{end}{body}".encode())
    wanted = [(n, {"a": a, "b": b}) for n, (a, b) in enumerate(rows, 2)]
    assert [(row.line, row.raw) for row in read_rows(path)] == wanted
    path.write_bytes(body.encode())
    wanted = [(n - 1, row) for n, row in wanted]
    assert [(row.line, row.raw) for row in read_rows(path, ("a", "b"))] == wanted


@pytest.mark.parametrize("name", ["d.csv", "d.tsv"])
def test_names_from_the_recipe_fit_the_first_line(tmp_path: Path, name: str) -> None:
    mark = "," if name == "d.csv" else "\t"
    path = tmp_path / name
    path.write_text(f"1{mark}2\n3{mark}4\n")
    assert [row.raw for row in read_rows(path, ("a", "b"))] == [
        {"a": "1", "b": "2"},
        {"a": "3", "b": "4"},
    ]
    with pytest.raises(DataError, match=r"line 1 has 2 fields, dataset.column_names names 1 \(a\)"):
        list(read_rows(path, ("a",)))
    with pytest.raises(DataError, match="line 1 is a header"):
        list(read_rows(path, ("1", "2")))
    path.write_text(f"a{mark}b{mark}c\n1{mark}2\n")
    assert [row.problem for row in read_rows(path)] == ["wrong_number_of_fields"]


def test_packed_files_give_the_same_rows(tmp_path: Path) -> None:
    rows = [{"prompt": f'p {n}, "q"\nx', "completion": "ü"} for n in range(50)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (tmp_path / "d.json").write_text(json.dumps(rows))
    with (tmp_path / "d.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, ["prompt", "completion"])
        writer.writeheader()
        writer.writerows(rows)
    for kind in ("jsonl", "json", "csv"):
        plain = (tmp_path / f"d.{kind}").read_bytes()
        (tmp_path / f"d.{kind}.gz").write_bytes(gzip.compress(plain))
        with pyarrow.CompressedOutputStream(str(tmp_path / f"d.{kind}.zst"), "zstd") as sink:
            sink.write(plain)
        for name in (f"d.{kind}", f"d.{kind}.gz", f"d.{kind}.zst"):
            assert [row.raw for row in read_rows(tmp_path / name)] == rows, name
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "d.parquet")
    assert [row.raw for row in read_rows(tmp_path / "d.parquet")] == rows


def test_columnar_files_give_every_row_and_the_names_of_labels(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    data = Dataset.from_dict(
        {"text": [f"t{n}" for n in range(1000)], "label": [n % 2 for n in range(1000)]}, features
    )
    data.save_to_disk(tmp_path / "saved", num_shards=2)
    data.to_parquet(tmp_path / "d.parquet")
    shards = sorted((tmp_path / "saved").glob("*.arrow"))
    assert len(shards) == 2
    wanted = [{"text": f"t{n}", "label": ("bad", "good")[n % 2]} for n in range(1000)]
    assert [row.raw for path in shards for row in read_rows(path)] == wanted
    found = list(read_rows(tmp_path / "d.parquet"))
    assert [row.raw for row in found] == wanted
    assert [row.line for row in found] == list(range(1, 1001))


def test_text_that_is_not_utf8_costs_its_own_row_of_a_parquet_file(tmp_path: Path) -> None:
    data = pyarrow.array([b"a", b"\xff", b"c"], pyarrow.binary())
    text = pyarrow.Array.from_buffers(pyarrow.string(), 3, data.buffers())
    pyarrow.parquet.write_table(pyarrow.table({"text": text}), tmp_path / "d.parquet")
    found = [(row.line, row.problem) for row in read_rows(tmp_path / "d.parquet")]
    assert found == [(1, None), (2, "undecodable"), (3, None)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jsonl", ".jsonl"),
        ("a.JSON.GZ", ".json"),
        ("a.b.csv.zst", ".csv"),
        ("a.gz", ""),
        ("a.parquet.gz", ""),
        ("a.xlsx", ""),
        ("a", ""),
    ],
)
def test_a_name_says_its_kind(name: str, kind: str) -> None:
    assert kind_of(Path(name)) == kind


@pytest.mark.parametrize(
    ("name", "names", "rows"),
    [
        ("sms-spam/sms.tsv", ("label", "text"), 5574),
        ("mgsm/mgsm_en.tsv", ("question", "answer"), 250),
        ("mgsm/mgsm_te.tsv", ("question", "answer"), 250),
        ("banking77/train.csv", (), 10_003),
        ("gsm8k/train.jsonl", (), 7473),
        ("gpteacher/toolformer-similarity-0.9.json.gz", (), 5959),
        ("bitext-conflicted/clean.csv", (), 8175),
        ("llamafactory-demos/wiki_demo.txt", (), 30),
    ],
)
def test_no_row_of_a_real_file_is_lost(name: str, names: tuple[str, ...], rows: int) -> None:
    """The counts are the publishers' own; `datasets` reads 5,572 and 249 of the first two."""
    if not SHARED.is_dir():
        pytest.skip("the public data sets are not here")
    assert sum(row.problem is None for row in read_rows(SHARED / name, names)) == rows
