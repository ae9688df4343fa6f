"""A scorecard as Markdown: base against tuned with 95 % intervals, and the gates.

Used by the run page and the model card; its twin for a terminal is in `flows/display.py`.
"""

from __future__ import annotations

from tasks.contracts import Measure, MetricRow, Scorecard
from tasks.reports.visible import escaped

__all__ = ["scorecard_markdown"]

MARKS = {"met": "✅ met", "undecided": "❔ undecided", "missed": "❌ missed"}
MARKS |= {"not_applicable": "not applicable"}


def scorecard_markdown(scorecard: Scorecard) -> str:
    """Return the metrics as a table, each gate as a line, and how worn the test set is."""
    uses = f"{scorecard.test_uses} time{'' if scorecard.test_uses == 1 else 's'}"
    wear = (
        f"The test set (SHA-256 `{scorecard.test_sha256[:12]}…`) has been used {uses}, this use "
        "included; training and selection never saw it."
    )
    lines = [
        f"Base against tuned on {scorecard.test_rows:,} test rows, 95 % intervals in brackets.",
        *(["", escaped(scorecard.base)] if scorecard.base else []),
        "",
        "| metric | base | tuned | difference | interval |",
        "|---|---|---|---|---|",
        *(_row(row, primary=row.name == scorecard.primary) for row in scorecard.metrics),
        "",
        *_labels(scorecard),
        *(f"- **{gate.name}**: {MARKS[gate.verdict]}. {gate.sentence}" for gate in scorecard.gates),
        "",
        wear,
    ]
    return "\n".join(lines) + "\n"


def _labels(scorecard: Scorecard) -> list[str]:
    """Return a classifier's labels as a table, as the tuned model gives them."""
    if not scorecard.labels:
        return []
    rows = [
        f"| {escaped(each.name)} | {each.rows:,} | {each.given:,} | {each.right:,} | "
        f"{_share(each.precision)} | {_share(each.recall)} | {each.f1:.1%} |"
        for each in scorecard.labels
    ]
    head = "| label | test rows | given | right | precision | recall | F1 |"
    return [head, "|---|--:|--:|--:|--:|--:|--:|", *rows, ""]


def _share(share: float | None) -> str:
    return "none" if share is None else f"{share:.1%}"


def _row(row: MetricRow, *, primary: bool) -> str:
    arrow = "↑" if row.higher_is_better else "↓"
    unit = f" ({row.unit})" if row.unit else ""
    name = f"**{row.name}**" if primary else row.name
    cells = (
        f"{name} {arrow}{unit}",
        _measure(row.base, row.unit),
        _measure(row.tuned, row.unit),
        _measure(row.difference, row.unit, sign="+"),
        row.interval,
    )
    return f"| {' | '.join(cells)} |"


def _measure(measure: Measure, unit: str, sign: str = "") -> str:
    if unit == "%":
        value, low, high = (100 * x for x in (measure.value, measure.low, measure.high))
        return f"{value:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"
    return f"{measure.value:{sign}.4f} [{measure.low:{sign}.4f}, {measure.high:{sign}.4f}]"
