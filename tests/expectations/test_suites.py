"""Suites: each check says what it is for, and breaks on the defect it is for, and on no other."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pandas
import pyarrow
import pyarrow.parquet
import pytest

from expectations import duplicates, leakage, size, structure, tokens
from tasks.contracts import DataCheck
from tasks.profile.checkpoint import read_profile, run_checkpoint
from tasks.profile.rows import REASONS
from tasks.signals.row import Signals

MODULES = (structure, size, tokens, duplicates, leakage)

PARAMETERS = {
    "min_train_rows": 50,
    "method_rows": 40,
    "max_rejected_fraction": 0.05,
    "max_empty_fraction": 0.05,
    "max_duplicate_fraction": 0.05,
    "max_near_duplicate_fraction": 0.05,
    "max_overlapping_fraction": 0.05,
    "max_overlength_fraction": 0.05,
    "max_leaked_fraction": 0.05,
    "max_length": 64,
    "max_special_token_fraction": 0.05,
}

#: Values of a profile's columns -> the checks that break when 12 of 120 rows have them.
DEFECTS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, set()),
    ({"split": "rejected", "bad_structure": 1, "not_json": 1}, {"structure", "rejected"}),
    ({"split": "rejected", "empty_answer": 1}, {"empty-answers", "rejected"}),
    ({"split": "rejected", "overlength": 1}, {"overlength", "rejected"}),
    ({"overlength": 1, "truncated_tokens": 9}, {"overlength"}),
    ({"split": "rejected", "duplicate": 1}, {"duplicates"}),
    ({"near_duplicate": 1}, {"near-duplicates"}),
    ({"split": "rejected", "near_duplicate": 1}, {"near-duplicates"}),
    ({"loss_tokens": 0}, {"loss-tokens"}),
    ({"last_token_learned_is_eos": 0}, {"final-token"}),
    ({"bos_count": 2}, {"one-start"}),
    ({"special_tokens": 1}, {"special-tokens"}),
    ({"tokens": 65, "overlength": 1}, {"token-lengths", "overlength"}),
    ({"conflict": 1}, {"conflicts"}),
    (
        {"split": "rejected", "leaked": 1, "leaks_into_test": 1},
        {"leakage-found", "leakage", "rejected"},
    ),
    (
        {"split": "rejected", "near_leaked": 1, "near_leaks_into_test": 1},
        {"near-leakage", "rejected"},
    ),
    ({"overlapping": 1}, {"overlap"}),
    ({"split": "rejected", "conflict": 1}, {"conflicts", "rejected"}),
    ({"split": "validation"}, {"train-rows"}),
    ({"near_duplicate": 1, "source": "e.jsonl"}, {"near-duplicates", "train-rows"}),
]


def suites(severity: str = "critical") -> list[Any]:
    return [
        module.suite(train_rows_severity=severity) if module is size else module.suite()
        for module in MODULES
    ]


def frame(folder: Path, changes: dict[str, Any], train: int) -> pandas.DataFrame:
    rows: list[dict[str, Any]] = []
    for line in range(1, 121):
        row: dict[str, Any] = dict.fromkeys(
            (*REASONS, "bad_structure", "leaked", "near_leaked", "overlapping"), 0
        )
        row |= Signals()._asdict()
        row |= {"special_tokens": 0}
        row |= {"source": "d.jsonl", "line": line, "truncated_tokens": 0, "bos_count": 1}
        row |= {"tokens": 32, "loss_tokens": 8, "last_token_learned_is_eos": 1}
        row["split"] = "train" if line <= train else ("validation", "test")[line % 2]
        rows.append(row | (changes if line <= 12 else {}))
    path = folder / "profile.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return read_profile(path)


@pytest.fixture
def run(tmp_path: Path) -> Any:
    def run(changes: dict[str, Any], *, train: int = 100, severity: str = "critical") -> Any:
        return run_checkpoint(
            frame(tmp_path, changes, train), lambda: suites(severity), PARAMETERS
        )[0]

    return run


@pytest.mark.parametrize(
    ("changes", "broken"),
    DEFECTS,
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value)[:40],
)
def test_a_defect_breaks_its_check_and_no_other(
    run: Any, changes: dict[str, Any], broken: set[str]
) -> None:
    checks: list[DataCheck] = run(changes, train=61 if "train-rows" in broken else 100)
    assert {check.id for check in checks if not check.passed} == broken
    for check in checks:
        if check.id in broken - {"train-rows"}:
            assert check.rows == tuple(range(1, 13))


def test_a_missing_split_breaks_its_size(run: Any) -> None:
    checks: list[DataCheck] = run({}, train=120)
    assert {c.id for c in checks if not c.passed} == {"validation-size", "test-size"}


@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_reported_severities_are_the_declared_ones(run: Any, severity: str) -> None:
    """Great Expectations drops values equal to a class's default, so they are compared."""
    declared = {
        expectation.meta["id"]: str(getattr(expectation.severity, "value", expectation.severity))
        for suite in suites(severity)
        for expectation in suite.expectations
    }
    reported = {check.id: check.severity for check in run({}, severity=severity)}
    assert reported == declared
    assert reported["train-rows"] == severity
    assert set(reported.values()) == {"critical", "warning", "info"}


def test_every_check_has_an_id_a_sentence_and_the_failure_it_prevents() -> None:
    ids = []
    for suite in suites():
        for expectation in suite.expectations:
            ids.append(expectation.meta["id"])
            assert expectation.description.endswith(".")
            assert "rows" in expectation.meta
    assert len(ids) == len(set(ids)) == 20
    for module in MODULES:
        for function in _builders(module):
            assert "Prevents:" in (function.__doc__ or ""), function


def _builders(module: ModuleType) -> list[Any]:
    found = [value for name, value in vars(module).items() if name[0] != "_" and name != "suite"]
    return [each for each in found if getattr(each, "__module__", "") == module.__name__]


def test_suites_survive_json() -> None:
    import great_expectations as gx

    for suite in suites():
        record = suite.to_json_dict()
        again = gx.ExpectationSuite(**record).to_json_dict()
        assert [e["kwargs"] for e in again["expectations"]] == [
            e["kwargs"] for e in record["expectations"]
        ]
        assert [e["severity"] for e in again["expectations"]] == [
            e["severity"] for e in record["expectations"]
        ]
