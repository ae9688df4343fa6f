"""Reviews: what they bind, what voids them, and what they make of a verdict."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from flows.review_command import Decisions, make_reviews
from tasks.contracts import DataCheck, DataReport, Review
from tasks.errors import RecipeError
from tasks.reviews import (
    ALL,
    add_reviews,
    decided,
    live_reviews,
    read_reviews,
    undecided,
)
from tasks.run_folder import RunFolder
from tests.preparing import pairs, prepared, validated, write_jsonl

EMPTY = {"prompt": "what", "completion": ""}


def check(name: str, severity: str, **changes: Any) -> DataCheck:
    fields = {
        "id": name, "severity": severity, "passed": False, "observed": 3, "threshold": 0.01,
        "unexpected_count": 3, "rows": (1, 2, 3), "sentence": "",
    }  # fmt: skip
    return DataCheck.model_validate(fields | changes)


def report(*checks: DataCheck, **changes: Any) -> DataReport:
    fields = {
        "verdict": "pass", "rows_in": 9, "rows_out": 9, "rejected": {}, "splits": {"train": 9},
        "checks": checks, "token_percentiles": {}, "loss_token_fraction": 0.5,
        "report_path": "validate/report.html", "data_sha256": "data", "suite_sha256": "suite",
    }  # fmt: skip
    return DataReport.model_validate(fields | changes)


def made(of: DataReport, **said: Any) -> list[Review]:
    decisions = Decisions(reason="known and harmless", by="Ann", **said)
    return make_reviews(RunFolder(Path("runs/trial/abc"), {}), of, decisions)


CRITICAL = check("leakage", "critical")
WARNING = check("duplicates", "warning")
NOTE = check("lengths", "info")


@pytest.mark.parametrize(
    ("said", "verdict", "left"),
    [
        ({}, "fail", ["leakage", "duplicates"]),
        ({"accept": ["leakage"]}, "warn", ["duplicates"]),
        ({"accept": [ALL]}, "fail", ["leakage"]),
        ({"accept": [ALL, "leakage"]}, "warn", []),
        ({"accept": ["duplicates"]}, "fail", ["leakage"]),
        ({"accept": ["leakage"], "reject": ["duplicates"]}, "fail", []),
        ({"reject": [ALL]}, "fail", []),
    ],
)
def test_the_verdict_follows_the_decisions(
    said: dict[str, Any], verdict: str, left: list[str]
) -> None:
    found = report(CRITICAL, WARNING, NOTE)
    after = decided(found, made(found, **said))
    assert after.verdict == verdict
    assert undecided(after) == left


def test_the_last_word_on_a_finding_counts() -> None:
    found = report(CRITICAL)
    first, second = made(found, reject=["leakage"]), made(found, accept=["leakage"])
    assert decided(found, [*first, *second]).verdict == "warn"
    assert decided(found, [*second, *first]).verdict == "fail"


def test_a_clean_report_that_has_to_be_reviewed_is_accepted_as_a_whole() -> None:
    clean = report()
    assert undecided(decided(clean, [])) == [ALL]
    accepted = decided(clean, made(clean, accept=[ALL]))
    assert (accepted.verdict, undecided(accepted)) == ("pass", [])
    assert decided(clean, made(clean, reject=[ALL])).verdict == "fail"


@pytest.mark.parametrize(
    ("later", "why"),
    [
        (report(check("leakage", "critical", threshold=0.02)), "the threshold changed from 0.01"),
        (report(CRITICAL, suite_sha256="other"), "the set of expectations changed"),
        (report(check("other", "critical")), "there is no such check any more"),
    ],
)
def test_what_a_review_was_made_for_must_not_change(later: DataReport, why: str) -> None:
    reviews = made(report(CRITICAL), accept=["leakage"])
    after = decided(later, reviews)
    assert after.verdict == "fail"
    assert after.reviews[0].void.startswith(why)


def test_new_data_and_the_last_day_void_a_review(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    add_reviews(path, made(report(CRITICAL), accept=["leakage"], until="2099-01-31"))
    assert len(live_reviews(path, "data", date(2099, 1, 31))) == 1
    assert live_reviews(path, "data", date(2099, 2, 1)) == ()
    assert live_reviews(path, "other data") == ()


def test_the_file_only_grows_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    one = made(report(CRITICAL), accept=["leakage"])
    add_reviews(path, one)
    before = path.read_bytes()
    add_reviews(path, made(report(CRITICAL), reject=["leakage"]))
    assert path.read_bytes().startswith(before)
    path.write_bytes(path.read_bytes()[:-20])
    assert read_reviews(path) == one


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"accept": ["leakge"]}, "leakge: no check of that name. Findings: leakage, or all."),
        ({"accept": ["fine"]}, "fine: this check holds"),
        ({"accept": ["leakage"], "until": "tomorrow"}, "--until tomorrow: is no date"),
        ({"accept": ["leakage"], "until": "2020-01-01"}, "--until 2020-01-01: is over"),
        ({"accept": ["leakage"], "reject": ["leakage"]}, "accepted or rejected, not both"),
    ],
)
def test_a_wrong_decision_is_told_and_not_recorded(said: dict[str, Any], problem: str) -> None:
    fine = check("fine", "warning", passed=True)
    with pytest.raises(RecipeError, match=problem):
        made(report(CRITICAL, fine), **said)
    nothing = Decisions(accept=["leakage"], reason=" ")
    with pytest.raises(RecipeError, match="--reason: say why"):
        make_reviews(RunFolder(Path("runs/trial/abc"), {}), report(CRITICAL), nothing)


def test_the_stage_goes_by_the_reviews_and_shows_them(tmp_path: Path) -> None:
    """From a failed gate through a waiver to a warning, and back when the data change."""
    path = write_jsonl(tmp_path / "d.jsonl", [*[EMPTY] * 3, *pairs(90)])
    run = tmp_path / "trial" / "one"
    failed = validated(path, run, {})
    assert failed.verdict == "fail"
    folder = RunFolder(run, {"device": "cpu"})
    reason = Decisions(accept=["empty-answers"], reason="the <b>form</b>'s last page", by="Ann")
    add_reviews(folder.reviews_path, make_reviews(folder, failed, reason))
    waived = validated(path, run, {})
    assert waived.verdict == "warn"
    page = (run / waived.report_path).read_text(encoding="utf-8")
    assert "the &lt;b&gt;form&lt;/b&gt;" in page
    assert "1 waived of" in page
    stricter = validated(path, tmp_path / "trial" / "two", {"max_empty_fraction": 0.02})
    assert stricter.verdict == "fail"
    assert stricter.reviews[0].void.startswith("the threshold changed")
    write_jsonl(path, [*[EMPTY] * 4, *pairs(90)])
    changed = validated(path, tmp_path / "trial" / "three", {})
    assert (changed.verdict, changed.reviews) == ("fail", ())


def test_files_with_rows_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", pairs(90))
    prepared(path, tmp_path / "run")
    home = tmp_path / "run" / "prepare"
    for name in ("train.jsonl", "rejected.jsonl", "test.jsonl", "examples.json"):
        assert (home / name).stat().st_mode & 0o777 == 0o600
    assert (home / "profile.parquet").stat().st_mode & 0o044
