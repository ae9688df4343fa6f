"""How the numbers of a data report are written, on the page and in Markdown alike."""

from __future__ import annotations

from tasks.contracts import DataCheck, DataReport

__all__ = ["limit", "lines", "observed", "order", "outcome", "severities", "summary"]

FAILURES = ("refused", "critical", "warning", "waived")
ORDER = (*FAILURES, "note", "ok")
WORDS = {"pass": "passed", "warn": "passed with warnings", "fail": "failed"}


def observed(check: DataCheck) -> str:
    """Return what was seen: a share as a percentage with its rows, else a number."""
    if check.observed is None:
        return "nothing"
    if check.unit == "share":
        rows = "row" if check.unexpected_count == 1 else "rows"
        return f"{_percent(check.observed)} ({check.unexpected_count:,} {rows})"
    return f"{_number(check.observed)} {_unit(check)}".rstrip()


def limit(check: DataCheck) -> str:
    """Return the threshold in the same unit, with its direction."""
    if check.threshold is None:
        return "none"
    sign = "≥" if check.at_least else "≤"
    if check.unit == "share":
        return f"{sign} {_percent(check.threshold)}"
    return f"{sign} {_number(check.threshold)}"


def _unit(check: DataCheck) -> str:
    if check.unit == "rows" and check.observed == 1:
        return "row"
    return "" if check.unit == "number" else check.unit


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.3g}"


def outcome(check: DataCheck) -> str:
    """Return ok, note, warning or critical; waived or refused if a review said so."""
    if check.passed:
        return "ok"
    if check.decision is not None:
        return {"accept": "waived", "reject": "refused"}[check.decision]
    return "note" if check.severity == "info" else check.severity


def order(check: DataCheck) -> int:
    """Return a sort key: what failed first, the worst of it first."""
    return ORDER.index(outcome(check))


def lines(check: DataCheck, count: int) -> str:
    """Return the first source lines of the rows that a check names."""
    named = ", ".join(str(line) for line in check.rows[:count])
    return f"{named}, …" if check.unexpected_count > count and named else named


def severities(report: DataReport) -> dict[str, int]:
    """Return how many checks had each outcome, the worst first."""
    found = [outcome(check) for check in report.checks]
    return {word: found.count(word) for word in ORDER}


def summary(report: DataReport) -> str:
    """Return the verdict as one sentence."""
    count = {name: number for name, number in severities(report).items() if name in FAILURES}
    lost = report.rows_in - report.rows_out
    parts = [
        f"{number} warnings" if name == "warning" and number > 1 else f"{number} {name}"
        for name, number in count.items()
        if number
    ]
    checks = (
        f"{', '.join(parts)} of {len(report.checks)} checks failed"
        if parts
        else f"all {len(report.checks) - severities(report)['note']} checks hold"
    )
    # A report whose only blemish are rows that were left out has no warning to speak of.
    word = "passed" if report.verdict == "warn" and not parts else WORDS[report.verdict]
    return (
        f"The data gate {word}: {checks}; {report.rows_out:,} of {report.rows_in:,} rows go on, "
        f"{lost:,} {'was' if lost == 1 else 'were'} rejected."
    )


def _percent(share: float) -> str:
    """Return 0.0123 as 1.23 %, and never a small share as 0 %."""
    if 0 < share < 0.0001:
        return "< 0.01 %"
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + " %"
