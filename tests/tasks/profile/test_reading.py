"""Reading: every row knows its line, a broken line is a row with a reason, a broken file an error."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import DataError
from tasks.profile.reading import read_rows

FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reading")


@given(st.lists(st.tuples(FIELD, FIELD), max_size=8))
def test_csv_records_stand_where_they_begin(folder: Path, rows: list[tuple[str, str]]) -> None:
    path = folder / "data.csv"
    starts = []
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["a", "b"])
        for row in rows:
            file.flush()
            starts.append(_lines(path.read_bytes().decode()) + 1)
            writer.writerow(row)
    found = list(read_rows(path))
    assert [row.raw for row in found] == [{"a": a, "b": b} for a, b in rows]
    assert [row.line for row in found] == starts


def _lines(text: str) -> int:
    """Count line ends as editors do: CR LF is one, so is each alone."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


@given(st.lists(st.one_of(st.just(""), st.just("{"), st.just("[1]"), st.just('{"a": "ä"}'))))
def test_no_line_of_a_jsonl_file_is_lost(folder: Path, lines: list[str]) -> None:
    path = folder / "data.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    problems = {"{": "not_json", "[1]": "not_an_object", '{"a": "ä"}': None}
    wanted = [(number, problems[line]) for number, line in enumerate(lines, 1) if line]
    assert [(row.line, row.problem) for row in read_rows(path)] == wanted


def test_broken_csv_records_are_rows_with_reasons(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(b'a,b\n1,2\n"x"y,2\n\n3,"4\n5"\n6\n\xff,7\n8,9\n')
    found = [(row.line, row.problem) for row in read_rows(path)]
    assert found == [
        (2, None),
        (3, "not_csv"),
        (5, None),
        (7, "wrong_number_of_fields"),
        (8, "undecodable"),
        (9, None),
    ]


@pytest.mark.parametrize(
    ("name", "content", "place", "mend"),
    [
        ("d.csv", b'a,b\n1,2\n3,"4\n5\n', "line 3, column 3", "Close it"),
        ("d.csv", b"a;b\n1;2\n", "line 1, column 2", "commas"),
        ("d.csv", b"a,a\n1,2\n", "line 1, column 1", "differently"),
        ("d.csv", b"", "line 1, column 1", "names its columns"),
        ("d.csv", b"<<<<<<< HEAD\na,b\n", "line 1, column 1", "Resolve the merge"),
        ("d.jsonl", b'{"a": 1}\n=======\n>>>>>>> x\n', "line 3, column 1", "Resolve the merge"),
        ("d.json", b'[{"a": 1},\n {"a": }]', "line 2, column 8", "Mend"),
        ("d.json", b'[{"a": 1}, {"a', "line 1, column", "Mend"),
        ("d.json", b'{"a": 1}\n{"a": 2}\n', "line 2, column 1", "name it .jsonl"),
        ("d.json", b'{"a": 1}', "line 1, column 1", "not a list"),
        ("d.json", b"", "line 1, column 1", "empty"),
        ("d.jsonl", '{"a": 1}\n'.encode("utf-16"), "line 1, column 1", "Save it as UTF-8"),
        ("d.parquet", b"PAR1 or so", "Parquet", "Write it again"),
    ],
)
def test_a_broken_file_is_an_error_with_place_and_mend(
    tmp_path: Path, name: str, content: bytes, place: str, mend: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        list(read_rows(path))
    assert str(path) in str(error.value)
    assert place in str(error.value)
    assert mend in str(error.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a": "\xff"}', "undecodable"),
        (b"[" * 100_000, "too_deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not_json"),
        (b"null", "not_an_object"),
    ],
)
def test_a_poisoned_line_costs_itself_only(tmp_path: Path, line: bytes, problem: Any) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'{"a": "b"}\n' + line + b'\n{"a": "c"}\n')
    assert [row.problem for row in read_rows(path)] == [None, problem, None]
