"""The gate that people keep: under `validation.review: required` a flow waits for a review.

Asked after the data are checked and before anything is trained. What is filled in in Prefect's UI
is recorded like what `finetune review` records, and read by the data gate.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, Literal

from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment, flow_run
from pydantic import Field

from flows.review_command import Decisions, make_reviews
from flows.runs import Run
from flows.waiting import forget_waiting, note_waiting
from tasks.contracts import DataReport
from tasks.reports.data_markdown import data_report_markdown
from tasks.reviews import ALL, add_reviews, undecided

__all__ = ["ReviewInput", "review_needed", "reviewed"]


class ReviewInput(RunInput):
    """The form on the page of a flow run that waits."""

    decision: Literal["accept", "reject", "as recorded"] = Field(
        "reject",
        description="Of the whole report. as recorded: what `finetune review` has written down.",
    )
    reason: str = Field(min_length=1, description="Why; it stands in the report and on the card.")
    reviewer: str = Field(min_length=1, description="Your name.")
    waive: list[str] = Field(
        default_factory=list, description="Critical findings to accept, each by its name."
    )
    until: date | None = Field(None, description="The last day it holds; empty: until a change.")


def review_needed(run: Run, report: DataReport) -> str:
    """Return what a review still has to decide and how, or nothing."""
    left = undecided(report) if run.recipe.validation.review == "required" else []
    if not left:
        return ""
    return (
        f"validation.review is required and nobody decided: {', '.join(left)}. Read "
        f"{run.folder.path / report.report_path}, then: finetune review {run.folder.path} "
        '--accept CHECK --reason "..." (or --reject), and run again.'
    )


def reviewed(run: Run, report: DataReport, check_again: Callable[[], DataReport]) -> DataReport:
    """Wait for a review where this flow run can, and return the report that it leads to.

    A flow run without a deployment cannot wait: the report comes back as it is.
    """
    if not review_needed(run, report):
        forget_waiting(run.folder)
        return report
    if not deployment.id:
        return report
    note_waiting(run.folder, str(flow_run.id), _api_url())
    form = ReviewInput.with_initial_data(description=data_report_markdown(report))
    wait: Any = suspend_flow_run
    said: ReviewInput = wait(wait_for_input=form, key=f"review-{run.folder.path.name}")
    forget_waiting(run.folder)
    if said.decision != "as recorded":
        add_reviews(run.folder.reviews_path, make_reviews(run.folder, report, _decisions(said)))
    return check_again()


def _decisions(said: ReviewInput) -> Decisions:
    until = said.until.isoformat() if said.until else None
    common = {"reason": said.reason, "until": until, "by": said.reviewer}
    if said.decision == "reject":
        return Decisions(reject=[ALL], **common)  # ty: ignore[invalid-argument-type]
    return Decisions(accept=[*said.waive, ALL], **common)  # ty: ignore[invalid-argument-type]


def _api_url() -> str:
    from prefect.settings import get_current_settings

    return str(get_current_settings().api.url or "")
