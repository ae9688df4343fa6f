"""A data report as GitHub Markdown and as rows, for Prefect artifacts."""

from __future__ import annotations

import html

from tasks.contracts import DataCheck, DataReport
from tasks.reports.amounts import limit, lines, observed, order, outcome, summary
from tasks.reports.visible import visible

__all__ = ["data_report_markdown", "data_report_rows"]

SIGNS = {"ok": "✅", "note": "ℹ️", "warning": "⚠️", "critical": "❌", "waived": "🟡", "refused": "❌"}  # noqa: RUF001 - an emoji
LISTED_LINES = 10


def data_report_markdown(report: DataReport) -> str:
    """Return the verdict, the rejected rows by reason and every check, as tables; no data text."""
    ordered = sorted(report.checks, key=order)
    parts = [
        f"## Data: {report.verdict}",
        summary(report),
        _table(
            ("", "check", "severity", "observed", "limit", "lines"),
            [_row(check) for check in ordered],
        ),
        _table(
            ("rows", "count"),
            [
                ("in", f"{report.rows_in:,}"),
                *((name, f"{rows:,}") for name, rows in report.splits.items()),
                *((f"rejected: {word}", f"{rows:,}") for word, rows in report.rejected.items()),
            ],
        ),
        "Tokens of a row: "
        + ", ".join(f"{name} {value:,}" for name, value in report.token_percentiles.items())
        + f"; {report.loss_token_fraction:.0%} of the tokens are learned.",
        *_reviews(report),
        f"The whole page: `{report.report_path}` in the run folder.",
    ]
    return "\n\n".join(parts) + "\n"


def data_report_rows(report: DataReport) -> list[dict[str, str]]:
    """Return every check as a row of a table, the worst first; no data text."""
    return [
        {
            "outcome": outcome(check),
            "check": check.id,
            "severity": check.severity,
            "observed": observed(check),
            "allowed": limit(check),
            "lines": lines(check, LISTED_LINES),
            "what": check.sentence,
        }
        for check in sorted(report.checks, key=order)
    ]


def _reviews(report: DataReport) -> list[str]:
    """Return what was decided about findings, as a table, if anything was."""
    head = ("finding", "decision", "by", "why", "until")
    rows: list[tuple[str, ...]] = [
        (
            r.check,
            f"{r.decision} (void: {r.void})" if r.void else r.decision,
            html.escape(visible(r.reviewer)),
            html.escape(" ".join(visible(r.reason).split())),
            r.until or "a change",
        )
        for r in report.reviews
    ]
    return [_table(head, rows)] if rows else []


def _row(check: DataCheck) -> tuple[str, ...]:
    name = f"{check.sentence} (`{check.id}`)"
    sign = SIGNS[outcome(check)]
    return (sign, name, check.severity, observed(check), limit(check), lines(check, LISTED_LINES))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in c) + " |" for c in lines
    )
