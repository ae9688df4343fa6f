"""The command `finetune review RUN`: accept or reject findings of a data report, with a reason.

What is decided is appended to `reviews.jsonl` beside the runs (`tasks/reviews.py`) and read by the
next run, or by the flow run that waits for it.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from rich.prompt import Prompt
from rich.table import Table
from rich.text import Text

from flows.display import COLOURS, console
from flows.run_names import find_run
from flows.waiting import resume_waiting
from tasks.contracts import DataCheck, DataReport, Review
from tasks.errors import ExitCode, FolderError, RecipeError
from tasks.reports import amounts
from tasks.reports.visible import visible
from tasks.reviews import ALL, add_reviews, decided, findings, live_reviews, read_reviews, undecided
from tasks.run_folder import RunFolder

__all__ = ["Decisions", "make_reviews", "review"]


@dataclass(frozen=True)
class Decisions:
    """What was said on the command line: ids of checks (or `all`), why, until when, by whom."""

    accept: Sequence[str] = ()
    reject: Sequence[str] = ()
    reason: str = ""
    until: str | None = None
    by: str | None = None


def review(name: str, decisions: Decisions, *, listed: bool = False) -> ExitCode:
    """Record decisions about a run's data report, or ask for them at a terminal.

    Raises:
        FolderError: No such run, or its data were not validated yet.
        RecipeError: A check is unknown or holds, a reason is missing, a date is none.
    """
    folder = find_run(name)
    report = reviewed_report(folder)
    if not listed and not (decisions.accept or decisions.reject) and console.is_terminal:
        new = _asked(folder, report)
    else:
        new = [] if listed else make_reviews(folder, report, decisions)
    if new:
        add_reviews(folder.reviews_path, new)
        report = reviewed_report(folder)
    for part in _shown(folder, report):
        console.print(part)
    if new:
        for line in [f"recorded in {folder.reviews_path}", *resume_waiting(folder, report)]:
            console.print(line, markup=False, soft_wrap=True)
    return ExitCode.GATE if report.verdict == "fail" else ExitCode.DONE


def reviewed_report(folder: RunFolder) -> DataReport:
    """Return the report of a run with what was decided about it until now.

    Raises:
        FolderError: The run has no data report.
    """
    try:
        report = folder.record("validate", DataReport)
    except (OSError, ValueError, KeyError):
        raise FolderError(
            f"{folder.path}: its data were not validated, so there is nothing to review. Run "
            "`finetune validate` or `finetune run` first."
        ) from None
    return decided(report, live_reviews(folder.reviews_path, report.data_sha256))


def make_reviews(folder: RunFolder, report: DataReport, said: Decisions) -> list[Review]:
    """Return the reviews that decisions stand for, every problem with them told at once.

    `all` is written out: one review for each finding that is not critical, each with its own
    threshold, and one for the report as a whole.

    Raises:
        RecipeError: A check is unknown or holds, a reason is missing, a date is none.
    """
    asked = [("accept", name) for name in said.accept] + [("reject", name) for name in said.reject]
    problems = [told for _decision, name in asked if (told := _problem(report, name))]
    problems += _wrong_words(said) if asked else []
    if {name for _d, name in asked[: len(said.accept)]} & set(said.reject):
        problems.append("a finding is accepted or rejected, not both.")
    if problems:
        raise RecipeError("\n".join(problems))
    return [
        _review(folder, report, (decision, check), said)
        for decision, name in asked
        for check in _checks(report, name, decision)
    ]


def _checks(report: DataReport, name: str, decision: str) -> list[str]:
    rest = [check.id for check in findings(report) if check.severity != "critical"]
    return [*rest, ALL] if name == ALL and decision == "accept" else [name]


def _review(
    folder: RunFolder, report: DataReport, what: tuple[str, str], said: Decisions
) -> Review:
    decision, name = what
    thresholds = {check.id: check.threshold for check in report.checks}
    return Review(
        decision=decision,  # ty: ignore[invalid-argument-type]
        check=name,
        reason=visible(" ".join(said.reason.split())),
        reviewer=visible(said.by or getpass.getuser()),
        until=said.until,
        at=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        run=folder.path.name,
        data_sha256=report.data_sha256,
        suite_sha256=report.suite_sha256,
        threshold=thresholds.get(name),
    )


def _problem(report: DataReport, name: str) -> str:
    """Return why a name is no finding of the report, or nothing."""
    failed = [check.id for check in report.checks if not check.passed]
    if name == ALL or name in failed:
        return ""
    known = f"Findings: {', '.join(failed) or 'none'}, or {ALL}."
    if name in {check.id for check in report.checks}:
        return f"{name}: this check holds, so there is nothing to decide. {known}"
    return f"{name}: no check of that name. {known}"


def _wrong_words(said: Decisions) -> list[str]:
    problems = []
    if not said.reason.strip():
        problems.append("--reason: say why; it stands in the report and on the model card.")
    if said.until is not None:
        try:
            last = date.fromisoformat(said.until)
        except ValueError:
            problems.append(f"--until {said.until}: is no date; write it as 2027-01-31.")
        else:
            if last < date.today():
                problems.append(f"--until {said.until}: is over. Give a day to come.")
    return problems


def _asked(folder: RunFolder, report: DataReport) -> list[Review]:
    """Ask about every finding that nobody decided yet."""
    made: list[Review] = []
    open_findings = [check for check in findings(report) if check.decision is None]
    by = getpass.getuser()
    if open_findings or undecided(report):
        by = Prompt.ask("Your name", default=by, console=console)
    for check in open_findings:
        console.print(_finding(check))
        said = _ask_one(f"{check.id}: accept, reject or skip", by)
        made += [] if said is None else make_reviews(folder, report, _named(said, check.id))
    if not findings(report) and undecided(report):
        said = _ask_one("No finding. The report as a whole: accept, reject or skip", by)
        made += [] if said is None else make_reviews(folder, report, _named(said, ALL))
    return made


def _ask_one(question: str, by: str) -> tuple[Literal["accept", "reject"], Decisions] | None:
    choice = Prompt.ask(
        question, choices=["accept", "reject", "skip"], default="skip", console=console
    )
    if choice == "skip":
        return None
    reason = ""
    while not reason.strip():
        reason = Prompt.ask("Why", console=console)
    until = Prompt.ask("Until (2027-01-31; empty: until a change)", default="", console=console)
    said = Decisions(reason=reason, until=until or None, by=by)
    return ("accept" if choice == "accept" else "reject"), said


def _named(said: tuple[Literal["accept", "reject"], Decisions], name: str) -> Decisions:
    decision, words = said
    return replace(words, accept=[name]) if decision == "accept" else replace(words, reject=[name])


def _finding(check: DataCheck) -> Text:
    told = Text(f"\n{amounts.outcome(check)}", COLOURS.get(amounts.outcome(check), ""))
    told.append(f" {check.sentence} {amounts.observed(check)}, allowed {amounts.limit(check)}", "")
    lines = amounts.lines(check, 10)
    told.append((f"\nlines {lines}" if lines else "") + f"\nPrevents {check.prevents}", "dim")
    return told


def _shown(folder: RunFolder, report: DataReport) -> list[Table | Text]:
    """Return the findings with their decisions, older reviews, and the verdict."""
    parts: list[Table | Text] = []
    if findings(report):
        table = Table(title="Findings", title_justify="left")
        for column in ("finding", "severity", "seen", "allowed", "decision"):
            table.add_column(column, overflow="fold")
        for check in sorted(findings(report), key=amounts.order):
            word = amounts.outcome(check) if check.decision else "open"
            seen = (amounts.observed(check), amounts.limit(check))
            table.add_row(Text(check.id), check.severity, *seen, Text(word, COLOURS.get(word, "")))
        parts.append(table)
    known = read_reviews(folder.reviews_path)
    if known:
        parts.append(_reviews(known, report))
    waiting = undecided(report)
    verdict = Text.assemble("data gate: ", (report.verdict.upper(), COLOURS[report.verdict]))
    return [*parts, verdict, Text(f"open: {', '.join(waiting) or 'nothing'}")]


def _reviews(known: Sequence[Review], report: DataReport) -> Table:
    table = Table(title="Reviews", title_justify="left")
    for column in ("on", "by", "decision", "finding", "why", "until", ""):
        table.add_column(column, overflow="fold")
    binding = {review.model_copy(update={"void": ""}): review.void for review in report.reviews}
    for each in known:
        status = binding.get(each, _why_dead(each, report))
        row = (each.at[:10], each.reviewer, each.decision, each.check, each.reason)
        until = each.until or "a change"
        table.add_row(*map(Text, row), until, f"void: {status}" if status else "binds")
    return table


def _why_dead(each: Review, report: DataReport) -> str:
    return "it ran out" if each.data_sha256 == report.data_sha256 else "the data changed"
