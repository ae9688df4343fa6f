"""A user's own suite: it runs beside ours, and every mistake in it is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import DataError, RecipeError
from tasks.profile.own_suite import read_suite
from tests.preparing import pairs, prepared, validated, write_jsonl

COLUMNS = ("turns", "tokens", "kept_email")
CHECK = {"type": "expect_column_max_to_be_between", "kwargs": {"column": "tokens", "max_value": 9}}


def written(folder: Path, content: object, name: str = "ours.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_json_and_python_run_beside_ours(tmp_path: Path) -> None:
    rows: list[Any] = list(pairs(60))
    rows[3]["prompt"] += "write to jana@posta.cz"
    data = write_jsonl(tmp_path / "d.jsonl", rows)
    few = {"column": "kept_email", "max_value": {"$PARAMETER": "max_url_fraction"}}
    own = {
        "name": "ours",
        "expectations": [
            {**CHECK, "severity": "critical", "meta": {"id": "short"}},
            {
                "type": "expect_column_mean_to_be_between",
                "kwargs": few,
                "severity": "info",
                "meta": {"rows": "kept_email"},
            },
            {
                "type": "expect_table_row_count_to_be_between",
                "kwargs": {"min_value": 99},
                "severity": "info",
                "id": "many",
            },
        ],
    }
    report = validated(data, tmp_path / "run", {"suite": str(written(tmp_path, own))})
    checks = {check.id: check for check in report.checks}
    assert (checks["short"].passed, checks["short"].severity) == (False, "critical")
    assert report.verdict == "fail"
    assert (checks["ours-2"].passed, checks["ours-2"].rows) == (True, (4,))
    assert checks["emails"].rows == (4,)
    assert (checks["many"].passed, checks["many"].observed) == (False, 60)
    python = written(
        tmp_path,
        "import great_expectations as gx, great_expectations.expectations as gxe\n"
        "def suite():\n"
        "    check = gxe.ExpectColumnMaxToBeBetween(column='turns', max_value=0)\n"
        "    return gx.ExpectationSuite(name='py', expectations=[check])\n",
        "ours.py",
    )
    report = validated(data, tmp_path / "run", {"suite": str(python)})
    assert next(check for check in report.checks if check.id == "py-1").passed
    assert report.verdict == "warn"


def test_a_check_that_cannot_be_computed_is_one_line_too(tmp_path: Path) -> None:
    check = {
        "type": "expect_column_values_to_match_regex",
        "kwargs": {"column": "tokens", "regex": "("},
    }
    own = written(tmp_path, {"expectations": [check]})
    data = write_jsonl(tmp_path / "d.jsonl", pairs(60))
    with pytest.raises(RecipeError, match="check 'ours-1' could not be computed") as error:
        validated(data, tmp_path / "run", {"suite": str(own)})
    assert "\n" not in str(error.value)


BROKEN: list[tuple[object, str, str]] = [
    (None, "none.json", "is no file"),
    ("", "ours.yaml", r"must be .json"),
    ("{", "ours.json", "is no JSON: "),
    ([], "ours.json", "needs the form"),
    ({"expectations": []}, "ours.json", "has no expectations"),
    ({"expectations": [{"type": "expect_magic", "kwargs": {}}]}, "ours.json", "1: expect_magic"),
    ({"expectations": [CHECK, 7]}, "ours.json", "expectation 2: "),
    ({"expectations": [{**CHECK, "kwargs": {"colum": "x"}}]}, "ours.json", "field required"),
    (
        {"expectations": [{**CHECK, "kwargs": {"column": "tokns", "max_value": 1}}]},
        "ours.json",
        "no column 'tokns'. Did you mean 'tokens'",
    ),
    (
        {"expectations": [{**CHECK, "meta": {"rows": "kept_emails"}}]},
        "ours.json",
        "no column 'kept_emails'. Did you mean 'kept_email'",
    ),
    (
        {
            "expectations": [
                {**CHECK, "kwargs": {"column": "turns", "max_value": {"$PARAMETER": "x"}}}
            ]
        },
        "ours.json",
        "max_value: there is no threshold 'x'",
    ),
    ({"expectations": [{**CHECK, "meta": {"id": "emails"}}]}, "ours.json", "'emails' is taken"),
    ("x = 1", "ours.py", "defines no function suite"),
    ("def suite(:", "ours.py", "SyntaxError"),
    ("def suite(): return 7", "ours.py", "returns int"),
    ("def suite(): raise ValueError('no\\nway')", "ours.py", "ValueError: no$"),
]


@pytest.mark.parametrize(("content", "name", "message"), BROKEN, ids=[b[2] for b in BROKEN])
def test_a_mistake_is_one_line(tmp_path: Path, content: object, name: str, message: str) -> None:
    path = tmp_path / name if content is None else written(tmp_path, content, name)
    with pytest.raises(RecipeError) as error:
        read_suite(path, COLUMNS, {"max_url_fraction"}, {"emails"})
    text = str(error.value)
    assert text.startswith(f"validation.suite: {path}: ")
    assert "\n" not in text
    assert message.rstrip("$") in text
    assert not message.endswith("$") or text.endswith(message[:-1])


def test_drift_against_an_accepted_run(tmp_path: Path) -> None:
    before = prepared(write_jsonl(tmp_path / "a.jsonl", pairs(300, start=100)), tmp_path / "before")
    reference = str(tmp_path / "before" / before.profile_path)
    same = write_jsonl(tmp_path / "b.jsonl", pairs(200, start=400))
    report = validated(same, tmp_path / "same", {"reference": reference})
    assert report.verdict == "pass"
    rows = [
        {**row, "completion": "green"} if n % 3 == 0 else row
        for n, row in enumerate(pairs(300, start=100))
    ]
    rows = [{**row, "prompt": f"please tell me the {row['prompt']}"} for row in rows]
    moved = validated(
        write_jsonl(tmp_path / "c.jsonl", rows), tmp_path / "moved", {"reference": reference}
    )
    failed = {check.id: check for check in moved.checks if not check.passed}
    assert {"length-drift", "label-drift", "new-labels"} <= set(failed)
    assert failed["new-labels"].rows == tuple(range(1, 301, 3))
    assert moved.verdict == "warn"


def test_a_reference_that_is_none_is_said(tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "d.jsonl", pairs(60))
    for path, words in ((tmp_path / "x.parquet", "is no file"), (data, "cannot be read")):
        with pytest.raises(DataError, match=words) as error:
            validated(data, tmp_path / "run", {"reference": str(path)})
        assert "\n" not in str(error.value)
