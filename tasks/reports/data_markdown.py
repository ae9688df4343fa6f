"""A data report as GitHub Markdown, for a Prefect artifact."""

from __future__ import annotations

from tasks.contracts import DataCheck, DataReport
from tasks.reports.amounts import limit, lines, observed, order, outcome, summary

__all__ = ["data_report_markdown"]

SIGNS = {"ok": "✅", "note": "ℹ️", "warning": "⚠️", "critical": "❌"}  # noqa: RUF001 - an emoji
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
        f"The whole page: `{report.report_path}` in the run folder.",
    ]
    return "\n\n".join(parts) + "\n"


def _row(check: DataCheck) -> tuple[str, ...]:
    name = f"{check.sentence} (`{check.id}`)"
    sign = SIGNS[outcome(check)]
    return (sign, name, check.severity, observed(check), limit(check), lines(check, LISTED_LINES))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in c) + " |" for c in lines
    )
