"""The page on which people review a data set: one HTML file that needs nothing else.

Every text goes through Jinja's autoescape, and text of the data is masked and made visible before
it comes here (`tasks/profile/page_evidence.py`). Drawings are made from counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.contracts import DataCheck, DataReport, Splits
from tasks.reports import amounts
from tasks.reports.charts import amounts_of, histogram, shares

__all__ = ["LISTED_ROWS", "FailingRow", "PageEvidence", "data_page"]

TEMPLATE = Path(__file__).resolve().parents[1] / "assets" / "templates" / "data_report.html"

#: Rejected rows with their text on the page; all stand in rejected.jsonl.
LISTED_ROWS = 100
LISTED_LINES = 60


@dataclass(frozen=True)
class FailingRow:
    """A row that is shown: where it stood, its split or its reasons, and the parts of its text."""

    place: str
    about: str
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PageEvidence:
    """What the page is about.

    `lengths` are the tokens of every measured row and `answers` of every kept answer; `failing`
    has the first rows of each check; `examples` are rendered rows with `place`, `tokens`, `runs`;
    `docs` is where Data Docs lie, from the page.
    """

    name: str
    report: DataReport
    splits: Splits
    lengths: list[int]
    answers: list[int]
    labels: list[tuple[str, int]]
    failing: dict[str, list[FailingRow]]
    rejected: list[FailingRow]
    examples: list[dict[str, Any]]
    docs: str


def data_page(evidence: PageEvidence) -> str:
    """Return the page as HTML."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
        TEMPLATE.read_text(encoding="utf-8")
    )
    report, splits = evidence.report, evidence.splits
    rejected = report.rows_in - report.rows_out
    parts = [*report.splits.items(), ("rejected", rejected)]
    marks = {key: splits.token_percentiles[key] for key in ("p50", "p95")}
    checks = [_check(each, evidence) for each in sorted(report.checks, key=amounts.order)]
    return page.render(
        evidence=evidence,
        name=evidence.name,
        report=report,
        splits=splits,
        summary=amounts.summary(report),
        counts=amounts.severities(report),
        parts=parts,
        rejected=rejected,
        reasons=_reasons(report),
        findings=[check for check in checks if check["outcome"] != "ok" or check["rows"]],
        checks=checks,
        # Drawn from counts and our own words; labels are escaped where they are drawn.
        shares=Markup(shares(parts)),
        lengths=Markup(histogram(evidence.lengths, marks, splits.max_length)),
        answers=Markup(histogram(evidence.answers, _middle(evidence.answers))),
        labels=Markup(amounts_of(evidence.labels)),
    )


def _middle(answers: list[int]) -> dict[str, int]:
    ordered = sorted(answers)
    return {"p50": ordered[len(ordered) // 2]} if ordered else {}


def _reasons(report: DataReport) -> list[tuple[str, int, float]]:
    """Return reason, rows, and its share of the commonest one, for a bar."""
    most = max(report.rejected.values(), default=1)
    return [(word, rows, 100 * rows / most) for word, rows in report.rejected.items()]


def _check(check: DataCheck, evidence: PageEvidence) -> dict[str, Any]:
    return {
        "id": check.id,
        "outcome": amounts.outcome(check),
        "severity": check.severity,
        "sentence": check.sentence,
        "prevents": check.prevents,
        "observed": amounts.observed(check),
        "limit": amounts.limit(check),
        "count": check.unexpected_count,
        "lines": check.rows[:LISTED_LINES],
        "more": max(0, check.unexpected_count - LISTED_LINES),
        "rows": evidence.failing.get(check.id, []),
    }
