"""A few failing rows as short texts, for the page: masked, visible, and read only where needed.

The profile has no text. Rows stand in their split's file, or in the file of rejected rows, in the
order of the profile; so the place of a row in its file is known and only that line is parsed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts import Splits
from tasks.reports.visible import shortened

if TYPE_CHECKING:
    import pandas

__all__ = ["Snippet", "labels_of", "snippets_of"]

#: What the parts of a row are called and what they say.
Snippet = list[tuple[str, str]]

PARTS = 4
CHARACTERS = 140
LABEL_CHARACTERS = 28

#: An answer is called a label where this many rows give no more than so many different ones.
LABEL_ROWS = 20_000
LABELS = 24
ROWS_PER_LABEL = 5


def snippets_of(
    frame: pandas.DataFrame, wanted: Iterable[int], splits: Splits, folder: Path
) -> dict[int, Snippet]:
    """Return the text of the rows at these positions of the profile; one not found is left out."""
    found: dict[int, Snippet] = {}
    asked = sorted(set(wanted))
    files = {name: getattr(splits, name).path for name in ("train", "validation", "test")}
    for name, path in {**files, "rejected": splits.rejected_path}.items():
        ranks = (frame["split"] == name).cumsum() - 1
        lines = {int(ranks[row]): row for row in asked if frame["split"][row] == name}
        for rank, text in _lines(folder / path, lines):
            row, value = lines[rank], json.loads(text)
            if (value["source"], value["line"]) == (frame["source"][row], frame["line"][row]):
                found[row] = snippet(value)
    return found


def snippet(value: dict[str, Any]) -> Snippet:
    """Return what a written row says, its place and reasons left out."""
    row = value["row"] if "reasons" in value else value
    if not isinstance(row, dict):
        return [("", _short(row))]
    turns = next(
        (row[key] for key in ("messages", "conversations") if _is_turns(row.get(key))), None
    )
    if turns is not None:
        parts = [(_role(turn), turn.get("content", turn.get("value"))) for turn in turns[-PARTS:]]
    else:
        parts = [(key, row[key]) for key in row if key not in ("source", "line")][:PARTS]
    return [(shortened(str(name), LABEL_CHARACTERS), _short(text)) for name, text in parts]


def labels_of(train: Path) -> list[tuple[str, int]]:
    """Return the answers and their counts where they are few enough to be labels, else nothing."""
    counts: dict[str, int] = {}
    for _rank, text in _lines(train, range(LABEL_ROWS)):
        row = json.loads(text)
        answer = row["messages"][-1]["content"] if "messages" in row else row.get("completion")
        if not isinstance(answer, str) or len(answer) > CHARACTERS:
            return []
        counts[answer] = counts.get(answer, 0) + 1
        if len(counts) > LABELS:
            return []
    if sum(counts.values()) < ROWS_PER_LABEL * len(counts):
        return []
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(shortened(name, LABEL_CHARACTERS), count) for name, count in ordered]


def _lines(path: Path, ranks: Iterable[int]) -> Iterable[tuple[int, str]]:
    """Yield the lines at these places of a file; it is read no further than the last of them."""
    wanted = ranks if isinstance(ranks, range) else set(ranks)
    last = max(wanted, default=-1)
    if last < 0:
        return
    with path.open(encoding="utf-8") as file:
        for rank, line in enumerate(file):
            if rank in wanted:
                yield rank, line
            if rank >= last:
                return


def _is_turns(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(x, dict) for x in value)


def _role(turn: dict[str, Any]) -> str:
    return str(turn.get("role", turn.get("from", "")))


def _short(value: object) -> str:
    if isinstance(value, str):
        return shortened(value, CHARACTERS)
    return shortened(json.dumps(value, default=str, ensure_ascii=False), CHARACTERS)
