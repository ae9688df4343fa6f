"""Hostile files: each has a clear outcome, a row with a reason or an error with place and mend."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.errors import DataError
from tasks.profile.reading import read_rows
from tasks.readers import csv_lines, json_list, raw, streams
from tasks.readers.raw import RawRow

GOOD = b'{"a": "b"}\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


def rows_or_error(path: Path) -> list[RawRow] | None:
    """Return a file's rows, or None where it is refused with an error that names it."""
    try:
        return list(read_rows(path))
    except DataError as error:
        if str(path) not in str(error):
            raise AssertionError(f"not named: {error}") from None
        return None


HOSTILE_BYTES = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(
            [
                b"\n",
                b"\r\n",
                b"\r",
                b"\x00",
                b"\xef\xbb\xbf",
                b"\xff",
                b"\xed\xa0\x80",
                b'"',
                b"{",
                b"}",
                b"[",
                b"]",
                b",",
                b":",
                b" ",
                b"\x0b",
                b"\x85",
                b"\xe2\x80\xa8",
                b"<<<<<<< ",
                b'{"a": 1}',
                b'{"a": "\\ud800"}',
                b'{"a": 1, "a": 2}',
                b"NaN",
                b"1e999",
                b"\\",
                "ä".encode(),
                "ä".encode("latin-1"),
                b"\t",
                b"a",
                b"1",
            ]
        ),
        max_size=30,
    ).map(b"".join),
)


@given(HOSTILE_BYTES)
@settings(max_examples=200, deadline=None)
@example(b"")
@example(b"\xef\xbb\xbf")
@example(b"\n\n{")
def test_a_jsonl_file_gives_one_row_a_line_or_an_error(folder: Path, content: bytes) -> None:
    path = folder / "d.jsonl"
    path.write_bytes(content)
    text = content.removeprefix(b"\xef\xbb\xbf")
    lines = [n for n, line in enumerate(text.split(b"\n"), 1) if line.strip()]
    rows = rows_or_error(path)
    if rows is not None:
        assert [row.line for row in rows] == lines
        assert all(row.problem is not None or isinstance(row.raw, dict) for row in rows)
        for row in rows:
            json.dumps(row.raw)


@pytest.mark.parametrize("name", ["d.json", "d.csv", "d.tsv", "d.txt", "d.jsonl.gz", "d.csv.zst"])
@given(content=HOSTILE_BYTES)
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_rows_or_an_error(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    path.write_bytes(content)
    rows = rows_or_error(path)
    if rows is not None:
        assert [row.line for row in rows] == sorted({row.line for row in rows})


@pytest.mark.parametrize("name", ["d.parquet", "d.arrow"])
@example(cut=0, at=384, byte=2)  # an offset of the text column that points before its start
@given(cut=st.integers(0, 600), at=st.integers(0, 599), byte=st.integers(0, 255))
@settings(max_examples=50, deadline=None)
def test_a_damaged_columnar_file_is_rows_or_an_error(
    folder: Path, name: str, cut: int, at: int, byte: int
) -> None:
    import pyarrow.parquet

    path = folder / name
    table = pyarrow.table({"text": ["a", "b", "ü"], "n": [1, 2, 3]})
    if name == "d.parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        with pyarrow.ipc.new_stream(str(path), table.schema) as sink:
            sink.write_table(table)
    content = bytearray(path.read_bytes())
    content[at % len(content)] = byte
    path.write_bytes(bytes(content[: len(content) - cut % 40]))
    rows_or_error(path)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a": "\\ud800"}', None),  # encodable nowhere: the format rejects it, see test_formats
        (b'{"a": "b\\u0000"}', None),
        (b'{"a": "b\0"}', "not_json"),
        (b'{"a": "\xff"}', "undecodable"),
        ('{"a": "é"}'.encode("latin-1"), "undecodable"),
        (b"\xed\xa0\x80", "undecodable"),
        (b"[" * 100_000, "too_deep"),
        (b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}", "too_deep"),
        (b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}", None),
        (b'{"a": "' + b"[" * 200 + b'"}', None),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b'{"a" : 1, "b": {"c": 1, "\\u0063" : 2}}', "duplicate_key"),
        (b'{"a": "\\"b\\": \\"b\\": ", "b" : 1}', None),
        (b'{"a": NaN}', "not_json"),
        (b'{"a": -Infinity}', "not_json"),
        (b'{"a": 1e999}', "not_json"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not_json"),
        (b'{"a": ' + b"9" * 4000 + b"}", None),
        (b"{'a': 1}", "not_json"),
        (b'{"a": 1} {"a": 2}', "not_json"),
        (b"\xef\xbb\xbf" + b'{"a": 1}', "not_json"),
        (b"null", "not_an_object"),
    ],
)
def test_a_hostile_line_costs_itself_only(tmp_path: Path, line: bytes, problem: Any) -> None:
    path = tmp_path / "d.jsonl"
    for end in (b"\n", b"\r\n", b""):
        path.write_bytes(GOOD + GOOD + line + end)
        rows = list(read_rows(path))
        assert [row.problem for row in rows] == [None, None, problem]
        json.dumps(rows[-1].raw)
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\n" + GOOD)
    assert [row.problem for row in read_rows(path)] == [problem, None]


def test_an_oversized_line_is_a_row_with_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_ROW_BYTES", 1000)
    for name in ("d.jsonl", "d.txt", "d.tsv"):
        path = tmp_path / name
        path.write_bytes(b"a\n" + b"x" * 2_000_000 + b"\n" + GOOD)
        oversized = [row for row in read_rows(path) if row.problem == "oversized"]
        assert [(row.line, row.raw) for row in oversized] == [(2, "x" * raw.KEPT_CHARACTERS)]
        assert list(read_rows(path))[-1].line == 3


def test_an_oversized_record_of_csv_or_json_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_lines, "MAX_ROW_BYTES", 1000)
    monkeypatch.setattr(json_list, "MAX_ROW_BYTES", 1000)
    (tmp_path / "d.csv").write_text("a\n" + "x" * 3000 + "\n")
    with pytest.raises(DataError, match=r"d\.csv: line 2: is longer than .*Take it out"):
        list(read_rows(tmp_path / "d.csv"))
    (tmp_path / "d.csv").write_text('a\n"' + "x\n" * 3000 + '"\n')
    with pytest.raises(DataError, match=r"d\.csv: line 2, column 1: a quote opens here"):
        list(read_rows(tmp_path / "d.csv"))
    (tmp_path / "d.json").write_text(json.dumps([{"a": 1}, {"a": "x" * 3_000_000}, {"a": 2}]))
    with pytest.raises(DataError, match=r"line 1, column 12: row 2 is no JSON, or larger"):
        list(read_rows(tmp_path / "d.json"))


@pytest.mark.parametrize("name", ["d.jsonl.gz", "d.csv.zst", "d.json.zst"])
def test_a_compression_bomb_is_refused_while_it_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(streams, "RATIO_COUNTS_FROM_BYTES", 2**20)
    path = tmp_path / name
    size = 24 * 2**20
    bomb = (
        (b" " * 2**20) * (size // 2**20)
        if "json" in name
        else (b"a" * 1023 + b"\n") * (size // 1024)
    )
    packed = gzip.compress(bomb) if name.endswith(".gz") else pyarrow.compress(bomb, "zstd", True)
    path.write_bytes(packed)
    assert len(packed) < size / 300
    read: list[int] = []
    unpacked = streams._Unpacked.readinto
    monkeypatch.setattr(
        streams._Unpacked,
        "readinto",
        lambda self, buffer: read.append(unpacked(self, buffer)) or read[-1],
    )
    with pytest.raises(DataError, match=r"compression bomb. If it is not, unpack it yourself"):
        for _row in read_rows(path):
            pass
    assert sum(read) < size / 2


@pytest.mark.parametrize("name", ["d.jsonl.gz", "d.jsonl.zst"])
def test_packing_that_is_cut_off_or_none_is_an_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    lines = b"".join(b'{"a": "%d"}\n' % (n * 7919) for n in range(5000))
    packed = gzip.compress(lines) if name.endswith(".gz") else pyarrow.compress(lines, "zstd", True)
    path.write_bytes(packed)
    assert len(list(read_rows(path))) == 5000
    path.write_bytes(packed + packed)
    assert len(list(read_rows(path))) == 10_000
    path.write_bytes(packed[:-20])
    with pytest.raises(DataError, match="is cut off. Fetch or pack it again"):
        list(read_rows(path))
    path.write_bytes(lines)
    with pytest.raises(DataError, match="cannot be unpacked"):
        list(read_rows(path))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("name", ["d.jsonl", "d.csv", "d.tsv", "d.json", "d.txt"])
def test_other_unicode_encodings_are_named(tmp_path: Path, name: str, encoding: str) -> None:
    (tmp_path / name).write_bytes('[{"a": 1}]'.encode(encoding))
    with pytest.raises(DataError, match="UTF-16 text. Save it as UTF-8"):
        list(read_rows(tmp_path / name))


def test_an_empty_file_has_no_rows_or_says_so(tmp_path: Path) -> None:
    for name in ("d.jsonl", "d.txt"):
        (tmp_path / name).write_bytes(b"")
        assert list(read_rows(tmp_path / name)) == []
    for name in ("d.csv", "d.tsv", "d.json"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(DataError, match="line 1, column 1: "):
            list(read_rows(tmp_path / name))
