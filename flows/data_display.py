"""The data report in a terminal: where rows went, what each check saw, and two rows in colour.

Text of the data is masked and made visible before it is printed (`tasks/reports/visible.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from flows.display import COLOURS, data_report_table
from tasks.contracts import DataReport, Splits
from tasks.reports.examples import shown_pieces
from tasks.reports.visible import visible

__all__ = ["data_report_parts", "where_lines"]

LEARNED = "black on green"


def data_report_parts(
    report: DataReport, splits: Splits, folder: Path, console: Console
) -> list[RenderableType]:
    """Return what `finetune validate` shows, in order; `where_lines` come last."""
    parts: list[RenderableType] = [Text(f"format: {visible(splits.format_reason)}")]
    parts += _examples(folder, splits, console)
    parts.append(data_report_table(report, splits))
    if report.rejected:
        parts.append(_rejected(report))
    return parts


def where_lines(report: DataReport, splits: Splits, folder: Path) -> list[Text]:
    """Return the verdict and where its page is and the rejected rows are."""
    verdict = (report.verdict.upper(), COLOURS[report.verdict])
    lines = [
        Text.assemble("data gate: ", verdict),
        Text(f"report:    {folder / report.report_path}"),
    ]
    if report.rejected:
        lines.append(Text(f"rejected:  {folder / splits.rejected_path} (untouched, with reasons)"))
    return lines


def _rejected(report: DataReport) -> Table:
    """Return the rejected rows by reason: rows in are rows out and these."""
    table = Table(title="Rejected rows", title_justify="left")
    table.add_column("reason")
    table.add_column("rows", justify="right")
    table.add_column("of all", justify="right")
    for word, rows in report.rejected.items():
        table.add_row(word, f"{rows:,}", f"{rows / report.rows_in:.2%}")
    return table


def _examples(folder: Path, splits: Splits, console: Console) -> list[Text]:
    """Return training rows with the tokens that carry the loss coloured, or in ⟦ ⟧ without colour."""
    coloured = console.is_terminal and not console.no_color
    path = (folder / splits.profile_path).with_name("examples.json")
    examples: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    mark = Text("coloured", LEARNED) if coloured else Text("in ⟦ ⟧")
    parts = [Text.assemble("Training rows as the model sees them; ", mark, " tokens are learned:")]
    for example in examples:
        head = f"{visible(example['source'])}:{example['line']}, {example['tokens']:,} tokens"
        text = Text.assemble((f"{head}\n", "dim"))
        for piece, learned in shown_pieces(example):
            if coloured:
                text.append(piece, LEARNED if learned else "")
            else:
                text.append(f"⟦{piece}⟧" if learned else piece)
        parts.append(text)
    return parts
