"""Labels of a classification head: which there are, in which order, and that all can be learned.

The order is the model's `id2label`: that of `dataset.label_names`, where it names them, else by
name, so that neither new rows nor their order move a label.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from tasks.contracts import LabelCount
from tasks.errors import DataError
from tasks.profile.rows import SPLITS
from tasks.recipe import DatasetSection

__all__ = ["in_order", "labels_of"]

#: Labels that a message names.
SHOWN = 5


def labels_of(dataset: DatasetSection, folder: Path) -> tuple[LabelCount, ...]:
    """Return the labels of the training rows in a head's order, each with its rows.

    Args:
        dataset: The recipe's section.
        folder: Holds the canonical rows of each split.

    Raises:
        DataError: There is one label only, or a split that judges has one that is never learned.
    """
    counts = {name: _counted(folder / f"{name}.jsonl") for name in SPLITS}
    learned = counts["train"]
    if len(learned) < 2:
        raise DataError(
            f"{dataset.path}: all {learned.total():,} training rows have the label "
            f"{next(iter(learned))!r}: there is nothing to tell apart. Add rows of other labels, or "
            "name the right column in dataset.columns: {label: ...}."
        )
    for split in SPLITS[1:]:
        unknown = Counter({k: n for k, n in counts[split].items() if k not in learned})
        if unknown:
            raise DataError(_unlearned(dataset, split, unknown))
    return tuple(LabelCount(name=name, rows=learned[name]) for name in in_order(dataset, learned))


def in_order(dataset: DatasetSection, labels: Counter[str]) -> list[str]:
    """Return labels in the order of `label_names`, and after those the others by name."""
    sections = dataset.sections()
    named: list[str] = []
    for section in sections:
        given = section.label_names
        if isinstance(given, dict):
            values = sorted(given, key=lambda v: (not v.lstrip("-").isdigit(), _number(v), v))
            named += [given[value] for value in values]
        else:
            named += given
    first = [name for name in dict.fromkeys(named) if name in labels]
    return [*first, *sorted(set(labels) - set(first))]


def _number(value: str) -> int:
    return int(value) if value.lstrip("-").isdigit() else 0


def _counted(path: Path) -> Counter[str]:
    with path.open(encoding="utf-8") as file:
        return Counter(json.loads(line)["completion"] for line in file)


def _unlearned(dataset: DatasetSection, split: str, unknown: Counter[str]) -> str:
    shown = ", ".join(f"{name!r} ({n:,} rows)" for name, n in unknown.most_common(SHOWN))
    more = f" and {len(unknown) - SHOWN:,} more" if len(unknown) > SHOWN else ""
    own = getattr(dataset, f"{split}_path")
    where = own or f"{dataset.path}, the {split} split"
    return (
        f"{where}: {len(unknown):,} labels stand in no training row: {shown}{more}. A head has no "
        "place for them. Correct the spelling, add training rows of them, or take those rows out."
    )
