"""A repeat of a finished run: the same result from the run folder, in a moment, without a flow."""

from __future__ import annotations

from flows.display import console, data_report_table, scorecard_table, try_it_line
from flows.plan_page import plan_page, seconds_of
from flows.recommendation_page import recommendation_page
from flows.runs import Outcome, Run
from tasks.contracts import DataReport, Recommendation, Release, Scorecard, Splits

__all__ = ["show_again"]


def show_again(run: Run, outcome: Outcome) -> None:
    """Show how the run ended, from its records."""
    folder = run.folder
    console.print(f"nothing changed: answered from {folder.path}", markup=False)
    if "validate" in outcome.stages:
        report = folder.record("validate", DataReport)
        if outcome.state == "DataRejected":
            console.print(data_report_table(report, folder.record("prepare", Splits)))
        console.print(f"data report: {folder.path / report.report_path}", markup=False)
    if outcome.state == "Planned":
        choice, splits = (
            folder.record("recommend", Recommendation),
            folder.record("prepare", Splits),
        )
        parts = recommendation_page(choice, width=console.width)
        for part in (*parts, *plan_page(run.recipe, splits, choice, seconds_of(folder))):
            console.print(part)
    if "evaluate" in outcome.stages:
        console.print(scorecard_table(folder.record("evaluate", Scorecard)))
    if "publish" in outcome.stages:
        release = folder.record("publish", Release)
        console.print(
            f"published: {release.name} v{release.version} in {release.path}", markup=False
        )
        console.print(f"try it:     {try_it_line(release)}", markup=False)
    console.print(f"{outcome.state} {outcome.message}", markup=False)
    console.print("Do it all again with --force.", markup=False)
