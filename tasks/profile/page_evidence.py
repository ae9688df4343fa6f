"""All that the page shows of a data set, gathered from the profile and a few lines of the files."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts import DataReport, Splits
from tasks.profile.snippets import Snippet, labels_of, snippet, snippets_of
from tasks.reports.data_page import LISTED_ROWS, FailingRow, PageEvidence
from tasks.reports.examples import shown_pieces
from tasks.reports.visible import visible

if TYPE_CHECKING:
    import pandas

__all__ = ["DOCS", "gather"]

#: From the page, which lies beside it.
DOCS = "data_docs/index.html"


def gather(
    name: str,
    report: DataReport,
    splits: Splits,
    found: tuple[pandas.DataFrame, dict[str, Any]],
    folder: Path,
) -> PageEvidence:
    """Return what the page shows.

    Args:
        name: The recipe's.
        report: The verdict.
        splits: What was prepared.
        found: The profile, and the evidence that `run_checkpoint` returned for it.
        folder: The run folder, which paths are relative to.
    """
    frame, evidence = found
    positions: dict[str, list[int]] = evidence["positions"]
    texts = snippets_of(frame, (row for rows in positions.values() for row in rows), splits, folder)
    kept = frame["split"] != "rejected"
    answers = frame.loc[kept & (frame["answer_tokens"] > 0), "answer_tokens"]
    return PageEvidence(
        name=name,
        report=report,
        splits=splits,
        lengths=frame.loc[frame["tokens"] > 0, "tokens"].tolist(),
        answers=answers.tolist() if splits.row_type != "text" else [],
        labels=labels_of(folder / splits.train.path),
        failing={
            check: [_failing_row(frame, row, texts.get(row, []), splits) for row in rows]
            for check, rows in positions.items()
        },
        rejected=_rejected(folder / splits.rejected_path),
        examples=_examples((folder / splits.profile_path).with_name("examples.json")),
        docs=DOCS,
    )


def _failing_row(frame: pandas.DataFrame, row: int, text: Snippet, splits: Splits) -> FailingRow:
    line = f"{frame['line'][row]}"
    several = len(splits.sources) > 1
    place = f"{visible(str(frame['source'][row]))}:{line}" if several else line
    return FailingRow(place, str(frame["split"][row]), tuple(text))


def _rejected(path: Path) -> list[FailingRow]:
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in islice(file, LISTED_ROWS)]
    return [
        FailingRow(
            f"{visible(row['source'])}:{row['line']}",
            ", ".join(row["reasons"]),
            tuple(snippet(row)),
        )
        for row in rows
    ]


def _examples(path: Path) -> list[dict[str, Any]]:
    examples = json.loads(path.read_text(encoding="utf-8"))
    return [
        {
            "place": f"{visible(example['source'])}:{example['line']}",
            "tokens": example["tokens"],
            "runs": shown_pieces(example),
        }
        for example in examples
    ]
