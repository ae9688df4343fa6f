"""What a run says while it works: to the terminal, to Prefect's log, and as Prefect artifacts.

In `finetune run` people read the terminal (rich bars where it is one, plain lines elsewhere); under
a worker they read the run's page. Both get the same words. Log calls cost about 1 ms and a progress
update 50 ms, so artifacts move at most every two seconds and plain lines come every ten.
"""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from rich.console import RenderableType

from flows.bars import Bars
from flows.display import (
    checkpoint_lines,
    console,
    data_report_table,
    scorecard_table,
    try_it_line,
)
from flows.measure import measured_for_plan
from flows.plan_page import plan_page, plan_text, seconds_of
from flows.recommendation_page import recommendation_page
from flows.runs import Run
from tasks.contracts import Checkpoint, DataReport, Recommendation, Release, Scorecard, Splits
from tasks.reports.data_markdown import data_report_markdown, data_report_rows
from tasks.reports.recommendation_markdown import recommendation_markdown
from tasks.reports.scorecard_markdown import scorecard_markdown

__all__ = ["Reporter", "speak_to_terminal"]

EVERY_SECONDS = 2.0
PLAIN_LINE_EVERY_SECONDS = 10.0
_terminal = {"on": False}


def speak_to_terminal() -> None:
    """Let runs of this process speak to the terminal; `finetune run` asks for it."""
    _terminal["on"] = True


class Reporter:
    """The voice of one flow run."""

    def __init__(self, *, terminal: bool) -> None:
        self.terminal = terminal
        self.logger = get_run_logger()
        self.bars = Bars(shown=terminal)
        self.artifact_of: dict[str, UUID] = {}
        self.last_update: dict[str, float] = {}
        self.last_line: dict[str, float] = {}

    @classmethod
    def of_this_run(cls) -> Reporter:
        """Return the reporter of the flow run we are in."""
        return cls(terminal=_terminal["on"])

    def close(self) -> None:
        """Take the bars away."""
        self.bars.close()

    def say(self, line: str) -> None:
        """Tell one line."""
        self.logger.info("%s", line)
        if self.terminal:
            console.print(line, markup=False)

    def show(self, table: RenderableType) -> None:
        """Show a table in the terminal; the run page has its Markdown twin as an artifact."""
        if self.terminal:
            console.print(table)

    def progress(self, event: dict[str, Any]) -> None:
        """Move a stage's bar and artifact, and where there is no bar say a plain line now and then."""
        stage, done, total = event["stage"], int(event["done"]), max(1, int(event["total"]))
        text = str(event.get("text", ""))
        self.bars.move(event)
        now = time.monotonic()
        if now - self.last_update.get(stage, 0.0) < EVERY_SECONDS and done < total:
            return
        self.last_update[stage] = now
        self._progress_artifact(stage, 100 * done / total)
        if self.bars.shown:
            return
        if now - self.last_line.get(stage, 0.0) < PLAIN_LINE_EVERY_SECONDS and done < total:
            return
        self.last_line[stage] = now
        line = f"{stage} {done}/{total} {text}".rstrip()
        self.logger.info("%s", line)
        if self.terminal:
            console.print(line, markup=False)

    def _progress_artifact(self, stage: str, percent: float) -> None:
        if stage in self.artifact_of:
            update_progress_artifact(self.artifact_of[stage], progress=percent)
            return
        made = create_progress_artifact(progress=percent, key=f"{stage}-progress")
        assert isinstance(made, UUID)
        self.artifact_of[stage] = made

    def opened(self, run: Run) -> None:
        """Say which run this is, and every key that was rewritten or overridden."""
        for note in run.notes:
            self.say(f"recipe: {note}")
        self.say(f"run folder: {run.folder.path}")

    def data_report(self, run: Run, splits: Splits, report: DataReport) -> None:
        """Show the data gate's verdict and where its page is."""
        create_markdown_artifact(
            key="data-report",
            markdown=data_report_markdown(report),
            description=f"data gate: {report.verdict}",
        )
        create_table_artifact(
            key="data-checks",
            table=data_report_rows(report),
            description=f"every check of the data gate: {report.verdict}",
        )
        self.show(data_report_table(report, splits))
        self.say(f"data report: {run.folder.path / report.report_path}")

    def recommendation(self, choice: Recommendation) -> None:
        """Show the method, its settings and the reasons."""
        create_markdown_artifact(
            key="recommendation",
            markdown=recommendation_markdown(choice),
            description=f"method: {choice.method}",
        )
        for part in recommendation_page(choice, width=console.width):
            self.show(part)

    def plan(self, run: Run, splits: Splits, choice: Recommendation) -> None:
        """Show every setting with its origin, what each stage will cost, and the diff."""
        choice = measured_for_plan(run, splits, choice)
        what = (run.recipe, splits, choice, seconds_of(run.folder))
        create_markdown_artifact(key="plan", markdown=plan_text(*what), description="dry run")
        for part in plan_page(*what):
            self.show(part)

    def checkpoint(self, choice: Recommendation, checkpoint: Checkpoint) -> None:
        """Show what training took, estimated against measured."""
        lines = checkpoint_lines(choice, checkpoint)
        create_markdown_artifact(key="training", markdown="\n".join(f"- {line}" for line in lines))
        for line in lines:
            self.say(line)

    def scorecard(self, scorecard: Scorecard) -> None:
        """Show base against tuned with intervals, and the gates."""
        create_markdown_artifact(
            key="scorecard",
            markdown=scorecard_markdown(scorecard),
            description="passed" if scorecard.passed else "rejected",
        )
        self.show(scorecard_table(scorecard))

    def release(self, release: Release) -> None:
        """Say where the result was published and how to try it."""
        lines = [
            f"published: {release.name} v{release.version} ({release.kind}) in {release.path}",
            f"model card: {release.card_path}",
            f"try it:     {try_it_line(release)}",
        ]
        create_markdown_artifact(key="release", markdown="\n".join(f"- {x}" for x in lines))
        for line in lines:
            self.say(line)
