"""Records as rich tables for a terminal; their Markdown twins are in `tasks/reports/`."""

from __future__ import annotations

import os

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.contracts import (
    Checkpoint,
    DataReport,
    MetricRow,
    Recommendation,
    Release,
    Scorecard,
    Splits,
)
from tasks.reports import amounts

__all__ = [
    "checkpoint_lines",
    "console",
    "data_report_table",
    "gibibytes",
    "scorecard_table",
    "try_it_line",
]

#: The one console; its width is the terminal's, and enough for our tables where there is none.
console = Console(highlight=False)
if not console.is_terminal and "COLUMNS" not in os.environ:
    console.width = 110

#: Lines of the source named for a check; its page and `--json` have more.
LISTED_LINES = 4

COLOURS = {"pass": "green", "warn": "yellow", "fail": "red", "met": "green"}
COLOURS |= {"waived": "yellow", "refused": "red"}
COLOURS |= {"undecided": "yellow", "missed": "red", "critical": "red", "warning": "yellow"}


def gibibytes(count: float) -> str:
    """Return bytes in the unit that fits: MiB below one GiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def data_report_table(report: DataReport, splits: Splits) -> Table | Text:
    """Return the data gate's verdict and every check that has something to say, worst first."""
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in report.rejected.items())
    told = [check for check in report.checks if not check.passed or check.unexpected_count]
    title = Text.assemble(
        "Data: ",
        (report.verdict.upper(), COLOURS[report.verdict]),
        f"   {report.rows_in:,} rows in = {report.rows_out:,} out",
        f" + {report.rows_in - report.rows_out:,} rejected" + (f" ({dropped})" if dropped else ""),
    )
    rest = len(report.checks) - len(told)
    caption = (
        f"{f'{rest} more' if told else f'all {rest}'} checks have nothing to say · "
        f"train {splits.train.rows:,} · validation {splits.validation.rows:,} · test "
        f"{splits.test.rows:,} · max_length {splits.max_length} ({splits.max_length_reason})"
    )
    if not told:
        return Text.assemble(title, "\n", (caption, "dim"))
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    for column in ("check", "severity", "result", "seen", "allowed", "lines", "what"):
        table.add_column(column, overflow="fold", no_wrap=column == "check")
    for check in sorted(told, key=amounts.order):
        table.add_row(
            Text(check.id),
            Text(check.severity, COLOURS.get(check.severity, "")),
            Text(
                amounts.outcome(check),
                "green" if check.passed else COLOURS.get(amounts.outcome(check), ""),
            ),
            amounts.observed(check),
            amounts.limit(check),
            amounts.lines(check, LISTED_LINES),
            Text(check.sentence),  # a suite of the user's own may have brackets in it
        )
    return table


def scorecard_table(scorecard: Scorecard) -> Table:
    """Return base against tuned on the test rows, with 95 % intervals, and the gates."""
    title = (
        f"Base against tuned on {scorecard.test_rows} test rows "
        f"(test set used {scorecard.test_uses} time{'s' if scorecard.test_uses > 1 else ''})"
    )
    table = Table(title=title, title_justify="left", caption_justify="left")
    for column in ("metric", "base", "tuned", "difference", "better?"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for row in scorecard.metrics:
        table.add_row(
            f"{row.name} ({row.unit})" if row.unit else row.name,
            _measure(row, "base"),
            _measure(row, "tuned"),
            _measure(row, "difference"),
            _better(row),
        )
    gates = [
        Text(f"{g.name}: {g.verdict} — {g.sentence}", COLOURS.get(g.verdict, ""))
        for g in scorecard.gates
    ]
    table.caption = Text("\n").join(gates)
    return table


def checkpoint_lines(choice: Recommendation, checkpoint: Checkpoint) -> list[str]:
    """Return what training took, estimated against measured."""
    speed = f"{checkpoint.tokens_per_second:,.0f} tokens/s"
    place = f"on {checkpoint.device} in {checkpoint.dtype}"
    took = f"{checkpoint.wall_seconds:.0f} s, {checkpoint.steps} steps, {speed} {place}"
    lines = [f"trained {checkpoint.method} in {took}"]
    if choice.cost is not None:
        lines.append(
            f"time: estimated {choice.cost.low_seconds:.0f} to {choice.cost.high_seconds:.0f} s, "
            f"measured {checkpoint.wall_seconds:.0f} s"
        )
    if choice.memory is not None:
        lines.append(
            f"memory: estimated {gibibytes(choice.memory.low_bytes)} to "
            f"{gibibytes(choice.memory.high_bytes)}, measured peak "
            f"{gibibytes(checkpoint.peak_memory_bytes)}"
        )
    if checkpoint.resumed_from_step is not None:
        lines.append(f"resumed from step {checkpoint.resumed_from_step}")
    lines += [f"after {recovery.cause}: {recovery.sentence}" for recovery in checkpoint.recoveries]
    return [*lines, *(f"curves: {sentence}" for sentence in checkpoint.curves)]


def try_it_line(release: Release) -> str:
    """Return the line that shows base and tuned answers side by side."""
    return f'finetune generate {release.name} "your prompt"'


def _measure(row: MetricRow, which: str) -> str:
    measure = getattr(row, which)
    sign = "+" if which == "difference" else ""
    if row.unit == "%":
        return (
            f"{100 * measure.value:{sign}.1f} % [{100 * measure.low:.1f}, {100 * measure.high:.1f}]"
        )
    return f"{measure.value:{sign}.3f} [{measure.low:.3f}, {measure.high:.3f}]"


def _better(row: MetricRow) -> Text:
    low, high = row.difference.low, row.difference.high
    if not row.higher_is_better:
        low, high = -high, -low
    if low > 0:
        return Text("yes", "green")
    return Text("no", "red") if high < 0 else Text("undecided", "yellow")
