"""The page on which people review a data set: one HTML file that needs nothing else.

Every text of the data goes through Jinja's autoescape. Rows are named by source and line; their
text is shown only where it is the defect (a line that is no JSON), and in two examples.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tasks.contracts import DataCheck, DataReport, Splits
from tasks.reports import amounts
from tasks.reports.charts import histogram, shares

__all__ = ["PageEvidence", "data_page"]

TEMPLATE = Path(__file__).resolve().parents[1] / "assets" / "templates" / "data_report.html"

LISTED_ROWS = 200
LISTED_LINES = 12
SHOWN_CHARACTERS = 60

#: Reasons that cannot be understood without seeing what stood there.
SHOWN_REASONS = {"not_json", "not_csv", "not_an_object", "wrong_number_of_fields"}
ORDER = ("critical", "warning", "note", "ok")


@dataclass(frozen=True)
class PageEvidence:
    """What the page is about.

    `lengths` are the tokens of every measured row; `failing` names source and line of the rows
    that each check found.
    """

    name: str
    report: DataReport
    splits: Splits
    lengths: list[int]
    failing: dict[str, list[tuple[str, int]]]


def data_page(evidence: PageEvidence, folder: Path) -> str:
    """Return the page as HTML; `folder` is the run folder that paths are relative to."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
        TEMPLATE.read_text(encoding="utf-8")
    )
    report, splits = evidence.report, evidence.splits
    rejected = report.rows_in - report.rows_out
    parts = [*report.splits.items(), ("rejected", rejected)]
    marks = {key: splits.token_percentiles[key] for key in ("p50", "p95")}
    failing = _failing(folder / splits.rejected_path)
    return page.render(
        name=evidence.name,
        report=report,
        splits=splits,
        summary=amounts.summary(report),
        parts=parts,
        rejected=rejected,
        reasons=_reasons(report),
        checks=sorted((_check(each, evidence) for each in report.checks), key=_severity),
        # Drawn from counts and our own words alone: nothing of the data is in them.
        shares=Markup(shares(parts)),
        histogram=Markup(histogram(evidence.lengths, splits.max_length, marks)),
        failing=failing,
        texts=any(row["text"] for row in failing),
        listed=LISTED_ROWS,
        examples=json.loads(_examples(folder, splits).read_text(encoding="utf-8")),
    )


def _examples(folder: Path, splits: Splits) -> Path:
    return (folder / splits.profile_path).with_name("examples.json")


def _reasons(report: DataReport) -> list[tuple[str, int, float]]:
    """Return reason, rows, and its share of the commonest one, for a bar."""
    most = max(report.rejected.values(), default=1)
    return [(word, rows, 100 * rows / most) for word, rows in report.rejected.items()]


def _check(check: DataCheck, evidence: PageEvidence) -> dict[str, Any]:
    several = len(evidence.splits.sources) > 1
    places = evidence.failing[check.id][:LISTED_LINES]
    return {
        "id": check.id,
        "outcome": amounts.outcome(check),
        "severity": check.severity,
        "sentence": check.sentence,
        "observed": amounts.observed(check),
        "limit": amounts.limit(check),
        "lines": [f"{source}:{line}" if several else str(line) for source, line in places],
        "more": max(0, check.unexpected_count - LISTED_LINES),
    }


def _severity(check: dict[str, Any]) -> int:
    return ORDER.index(check["outcome"])


def _failing(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [_failing_row(json.loads(line)) for line in islice(file, LISTED_ROWS)]


def _failing_row(row: dict[str, Any]) -> dict[str, Any]:
    shown = not SHOWN_REASONS.isdisjoint(row["reasons"])
    text = row["row"] if isinstance(row["row"], str) else json.dumps(row["row"])
    text = text.encode("utf-8", "replace").decode("utf-8")
    return {
        "place": f"{row['source']}:{row['line']}",
        "reasons": row["reasons"],
        "text": text[:SHOWN_CHARACTERS] + ("…" if len(text) > SHOWN_CHARACTERS else "")
        if shown
        else "",
    }
