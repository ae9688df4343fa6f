"""Calling stages from a flow, and the data gate, which every flow has.

A gate that says no ends the flow in a state with its name, without a traceback and without a retry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect.states import State

from flows.reporting import Reporter
from flows.reviewing import review_needed, reviewed
from flows.runs import PLAN, Outcome, Run
from tasks.contracts import DataCheck, DataReport, Record, Splits
from tasks.errors import ExitCode, FinetuneError
from tasks.reports import amounts
from tasks.validation import validate

__all__ = ["call", "data_gate", "error_state"]


def call(stage: Callable[..., Any], *inputs: Any) -> Any:  # noqa: ANN401 - the stage's record
    """Run a stage and return its record, or raise the error it told."""
    state: State[Any] = stage(*inputs, return_state=True)
    told = state.data
    if isinstance(told, FinetuneError):
        raise told
    result = state.result()
    record = result.result() if isinstance(result, State) else result
    assert isinstance(record, Record), type(record)
    return record


def data_gate(run: Run, splits: Splits, reporter: Reporter) -> tuple[DataReport, Outcome | None]:
    """Check the data, have the report reviewed if the recipe wants it, and say whether to stop."""

    def check() -> DataReport:
        report = call(validate, run.recipe, splits, run.folder)
        reporter.data_report(run, splits, report)
        return report

    report = reviewed(run, check(), check)
    page = run.folder.path / report.report_path
    waiting = review_needed(run, report)
    if waiting:
        return report, Outcome("ReviewNeeded", waiting, PLAN[:2])
    if report.verdict == "fail":
        return report, Outcome("DataRejected", f"{_failures(report)}. Report: {page}", PLAN[:2])
    return report, None


def error_state(error: FinetuneError) -> str:
    """Name the state of a told error; `flows/cli.py` maps it to an exit code."""
    names = {
        ExitCode.GATE: "PublishRejected",
        ExitCode.INPUT: "InputRejected",
        ExitCode.NOTHING_FITS: "NothingFits",
    }
    return names.get(error.exit_code, "StageFailed")


def _failures(report: DataReport) -> str:
    """Return what stops the flow: critical findings, and whatever a review rejected."""
    stopping = [c for c in report.checks if amounts.outcome(c) in ("critical", "refused")]
    refused = [
        f"{r.check} was rejected by {r.reviewer}: {r.reason}"
        for r in report.reviews
        if r.decision == "reject" and not r.void
    ]
    return "; ".join([*map(_failure, stopping), *refused])


def _failure(check: DataCheck) -> str:
    """Return what a check saw, what was allowed, and the first lines it names."""
    lines = ", ".join(map(str, check.rows[:5])) + (", ..." if len(check.rows) > 5 else "")
    seen = amounts.observed(check), amounts.limit(check)
    return f"{check.id} {seen[0]}, allowed {seen[1]}" + (f" (lines {lines})" if lines else "")
