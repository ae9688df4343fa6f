"""Validation: verdicts follow severities, rows are named, and the page is safe to open."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import DataCheck, DataReport
from tasks.reports.data_markdown import data_report_markdown
from tasks.reviews import verdict_of
from tasks.run_folder import RunFolder
from tasks.validation import validate
from tests.preparing import chats, pairs, prepared, recipe_of, validated, write_jsonl

EMPTY = {"prompt": "what", "completion": ""}


def check_of(report: DataReport, name: str) -> DataCheck:
    return next(check for check in report.checks if check.id == name)


def report_of(
    tmp_path: Path, rows: list[Any], validation: dict[str, Any] | None = None, **dataset: Any
) -> DataReport:
    path = write_jsonl(tmp_path / "d.jsonl", rows)
    return validated(path, tmp_path / "run", validation or {}, **dataset)


def test_clean_data_pass(tmp_path: Path) -> None:
    report = report_of(tmp_path, chats(700))
    assert report.verdict == "pass"
    assert all(check.passed for check in report.checks)
    assert report.rows_in == report.rows_out == sum(report.splits.values()) == 700
    assert 0 < report.loss_token_fraction < 1


def test_what_was_removed_under_its_threshold_is_a_warning(tmp_path: Path) -> None:
    report = report_of(tmp_path, [*pairs(300), EMPTY])
    assert report.verdict == "warn"
    empty = check_of(report, "empty-answers")
    assert (empty.passed, empty.unexpected_count, empty.rows) == (True, 1, (301,))


def test_more_than_the_threshold_fails_and_names_its_rows(tmp_path: Path) -> None:
    report = report_of(tmp_path, [*[EMPTY] * 12, *pairs(88)])
    assert report.verdict == "fail"
    empty = check_of(report, "empty-answers")
    assert (empty.passed, empty.severity, empty.observed) == (False, "critical", 0.12)
    assert (empty.threshold, empty.rows) == (0.01, tuple(range(1, 13)))
    lenient = {"max_empty_fraction": 0.2, "max_rejected_fraction": 0.2}
    assert report_of(tmp_path, [*[EMPTY] * 12, *pairs(88)], lenient).verdict == "warn"


def test_few_rows_fail_unless_the_user_insists(tmp_path: Path) -> None:
    few = report_of(tmp_path, pairs(60), {"min_train_rows": None})
    assert few.verdict == "fail"
    rows = check_of(few, "train-rows")
    assert (rows.severity, rows.observed, rows.threshold) == ("critical", few.splits["train"], 500)
    allowed = report_of(tmp_path, pairs(60), {"min_train_rows": None, "allow_few_rows": True})
    assert allowed.verdict == "warn"
    assert check_of(allowed, "train-rows").severity == "warning"


def test_fewer_rows_than_the_method_wants_stay_visible(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", chats(80))
    splits = prepared(path, tmp_path / "run")
    recipe = recipe_of(path, {}, {}).model_copy(update={"method": "lora"})
    report = validate.fn.__wrapped__(recipe, splits, RunFolder(tmp_path / "run", {"device": "cpu"}))
    assert report.verdict == "warn"
    check = check_of(report, "method-rows")
    assert (check.passed, check.severity, check.threshold) == (False, "warning", 1000)
    assert check.observed == report.splits["train"]
    assert check_of(report, "train-rows").passed


def test_rows_of_one_wording_count_once_towards_the_size(tmp_path: Path) -> None:
    words = "the red fox who lives near our barn came back to steal eggs again last night and left"
    rows: list[Any] = [
        {"prompt": f"{thing} : {words} {end}", "completion": "fox"}
        for thing in ("one", "two")
        for end in ("", "today", "early", "alone", "hungry", "quietly")
    ]
    report = report_of(tmp_path, [*pairs(60), *rows])
    check = check_of(report, "train-rows")
    near = check_of(report, "near-duplicates").unexpected_count
    assert near == 11
    assert check.observed in (report.splits["train"], report.splits["train"] - near)


def test_duplicates_only_warn_for_they_lose_nothing(tmp_path: Path) -> None:
    report = report_of(tmp_path, [*pairs(80), *pairs(20)])
    assert report.verdict == "warn"
    assert not check_of(report, "duplicates").passed
    assert check_of(report, "rejected").passed


def test_a_leak_warns_and_many_fail(tmp_path: Path) -> None:
    test = write_jsonl(tmp_path / "test.jsonl", pairs(100, start=500))
    one = report_of(tmp_path, [*pairs(300), *pairs(1, 500)], test_path=str(test))
    assert one.verdict == "warn"
    assert check_of(one, "leakage-found").rows == (301,)
    assert check_of(one, "leakage").observed == pytest.approx(0.01)
    assert check_of(one, "leakage").passed
    two = report_of(tmp_path, [*pairs(300), *pairs(2, 500)], test_path=str(test))
    assert two.verdict == "fail"


def test_a_turn_that_does_not_end_is_a_warning(tmp_path: Path) -> None:
    template = tmp_path / "t.jinja"
    template.write_text(
        "{% for m in messages %}{{ m['role'] }}: {% generation %}{{ m['content'] }}"
        "{% endgeneration %}{{ eos_token }}{% endfor %}"
    )
    report = report_of(tmp_path, chats(60), chat_template=str(template))
    assert report.verdict == "warn"
    assert check_of(report, "final-token").unexpected_count == 60


def test_contradicting_answers_are_a_warning(tmp_path: Path) -> None:
    contradiction = {**pairs(1)[0], "completion": "another"}
    report = report_of(tmp_path, [*pairs(60), contradiction])
    assert report.verdict == "warn"
    assert check_of(report, "conflicts").rows == (1, 61)


@pytest.mark.parametrize(
    ("failed", "rejected", "verdict"),
    [
        ([], 0, "pass"),
        (["info"], 0, "pass"),
        ([], 1, "warn"),
        (["warning"], 0, "warn"),
        (["warning", "critical"], 0, "fail"),
    ],
)
def test_the_verdict_is_the_worst_severity(failed: list[Any], rejected: int, verdict: str) -> None:
    checks = [
        DataCheck(
            id=severity,
            severity=severity,
            passed=False,
            observed=1,
            threshold=0,
            unexpected_count=1,
            rows=(),
            sentence="",
        )
        for severity in failed
    ]
    assert verdict_of(checks, rejected=rejected) == verdict


HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> {{ 7 * 7 }} {% raw %} \x1b[31m \u202e "
    "</span></pre><svg onload=alert(1)>"
)


def test_the_page_is_self_contained_and_data_stay_data(tmp_path: Path) -> None:
    rows = [{"prompt": f"{HOSTILE} {n}", "completion": HOSTILE} for n in range(120)]
    rows += [{"prompt": HOSTILE, "completion": ""}, rows[0]]
    path = tmp_path / "<marquee>.jsonl"
    write_jsonl(path, [*rows, f'{{"{HOSTILE}'])
    report = validated(path, tmp_path / "run", {})
    page = (tmp_path / "run" / report.report_path).read_text(encoding="utf-8")
    assert set(re.findall(r"<([a-zA-Z!/]\w*)", page)) <= ALLOWED
    inside = " ".join(re.findall(r"<[^>]*>", page))
    assert not re.search(r"\bon\w+\s*=|javascript:|\bsrc\s*=|https?:", inside)
    assert not re.search(r"@import|url\(", page)
    assert not set("\x1b\u202e") & set(page)
    for shown in ("&lt;script&gt;", "{{ 7 * 7 }}", "␛[31m", "⟨U+202E⟩", 'class="learned"'):
        assert shown in page
    assert f"&lt;marquee&gt;.jsonl:{len(rows) + 1}" in page
    assert "prefers-color-scheme: dark" in page


#: Every element of the template and the drawings; a new one has to be added here on purpose.
ALLOWED = {
    *("!doctype", "html", "head", "meta", "title", "style", "body", "main", "header", "section"),
    *("h1", "h2", "h3", "p", "b", "i", "div", "span", "strong", "code", "pre", "br", "a"),
    *("table", "tr", "th", "td", "details", "summary", "svg", "rect", "line", "text"),
}
ALLOWED |= {f"/{name}" for name in ALLOWED}


def test_a_failing_row_is_shown_with_its_text_and_nothing_personal(tmp_path: Path) -> None:
    rows = [*pairs(60), {"prompt": "write to ann.smith@example.org, quick", "completion": ""}]
    report = report_of(tmp_path, rows)
    page = (tmp_path / "run" / report.report_path).read_text(encoding="utf-8")
    assert "write to a" in page
    assert "•, quick" in page
    assert "smith" not in page
    assert "Prevents a model that learns to answer with nothing" in page


def test_rows_are_found_in_the_files_they_went_to(tmp_path: Path) -> None:
    """Kept rows that a check names stand in three files; each is shown with its own text."""
    other = {"completion": "another"}
    rows = [*pairs(90), *({**row, **other} for row in pairs(8, 40))]
    report = report_of(tmp_path, rows)
    page = (tmp_path / "run" / report.report_path).read_text(encoding="utf-8")
    conflicts = page[page.index("<code>conflicts</code>") :]
    table = conflicts[: conflicts.index("</table>")]
    for number in range(40, 48):
        assert re.search(
            rf'<td class="mono">{number + 1}</td><td class="soft">\w+</td>'
            rf'<td class="text"><div><span class="part">prompt</span><span class="mono">'
            rf"colour of thing {number} :<",
            table,
        )


def test_few_different_answers_are_drawn_as_labels(tmp_path: Path) -> None:
    few = report_of(tmp_path, pairs(80))
    page = (tmp_path / "run" / few.report_path).read_text(encoding="utf-8")
    counts = re.findall(r'text-anchor="end">(red|blue)</text>.*?>(\d+) \(', page)
    assert sum(int(rows) for _name, rows in counts) == few.splits["train"]
    many = [{**row, "completion": f"answer {n}"} for n, row in enumerate(pairs(80))]
    report = report_of(tmp_path, many)
    page = (tmp_path / "run" / report.report_path).read_text(encoding="utf-8")
    assert "Labels of the training rows" not in page


def test_records_hold_no_text_of_the_data(tmp_path: Path) -> None:
    rows = [{**row, "completion": "s3cret"} for row in pairs(60)]
    report = report_of(tmp_path, [*rows, {"prompt": "s3cret", "completion": ""}])
    text = (tmp_path / "run/validate/report.json").read_text(encoding="utf-8")
    assert "s3cret" not in text
    assert "s3cret" not in report.model_dump_json() + data_report_markdown(report)
    record = json.loads(text)
    assert DataReport.model_validate(record["report"]) == report
    assert len(record["great_expectations"]["suites"]) == 9
    assert record["great_expectations"]["failing"]["empty-answers"] == [["d.jsonl", 61]]


def test_every_check_says_what_it_prevents(tmp_path: Path) -> None:
    report = report_of(tmp_path, chats(80))
    assert [check.id for check in report.checks if not check.prevents.endswith(".")] == []


def test_markdown_has_every_check_and_every_reason(tmp_path: Path) -> None:
    report = report_of(tmp_path, [*pairs(300), EMPTY, '{"a'])
    text = data_report_markdown(report)
    for check in report.checks:
        assert f"`{check.id}`" in text
    assert "rejected: empty_answer | 1" in text
    assert "302" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {7, 3}
