"""Which format a file has, and how its rows become canonical ones.

The recipe names the format, or it is read off the columns; either way the reason is a sentence.
Two possible readings are an error that lists them: a guess would train on the wrong column. What a
row becomes (a chat, a pair, raw text) depends on the tokenizer too: `tasks/profile/row_types.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from tasks.errors import DataError, RecipeError
from tasks.formats import FORMATS
from tasks.profile.row_types import RowType, label_names, row_type_of
from tasks.recipe import DatasetSection

__all__ = ["SAMPLE_ROWS", "Row", "Shape", "choose_shape"]

#: Rows the format is read off. A heuristic: a column counts if half of them have it.
SAMPLE_ROWS = 200
SHOWN_CHARACTERS = 40

Row = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """A format, the file's columns it reads, and the canonical row type it gives.

    `labels` are names for label values; `learns_prompts` leaves the answers in a chat's prompt to
    be learned as well. A mixture has the shape of each file as its `parts`.
    """

    format: str
    reason: str
    row_type: RowType
    columns: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)
    learns_prompts: bool = False
    parts: tuple[Shape, ...] = ()

    def to_canonical(self, row: Row, file: int = 0) -> tuple[Row | None, list[str]]:
        """Return the canonical row, or None and every reason against it; `file` is its number."""
        if self.parts:
            return self.parts[file].to_canonical(row)
        named = {name: pick(row, path) for name, path in self.columns.items()}
        if "label" in named and str(named["label"]) in self.labels:
            named["label"] = self.labels[str(named["label"])]
        reader = FORMATS[self.format]
        if self.row_type == "labelled":
            return reader.to_labelled(named)
        if self.row_type == "prompt_completion" and hasattr(reader, "to_prompt_completion"):
            return reader.to_prompt_completion(named)
        if self.row_type == "messages" and hasattr(reader, "to_chat"):
            canonical, reasons = reader.to_chat(named)
            if canonical is not None and self.learns_prompts:
                for turn in canonical["messages"]:
                    turn.pop("weight", None)
            return canonical, reasons
        return reader.to_canonical(named)


def choose_shape(
    dataset: DatasetSection, sample: list[Row], *, has_template: bool, labelled: bool = False
) -> Shape:
    """Return the shape of the rows.

    Args:
        dataset: The recipe's section.
        sample: The first readable rows of the training file.
        has_template: Whether the tokenizer has a chat template; Alpaca rows become chats then.
        labelled: Rows are texts with labels, for a classification head.

    Raises:
        DataError: No format fits, or several do, or labels are numbers without names.
        RecipeError: `dataset.columns` names a column that the format does not have.
    """
    _check_keys(dataset)
    named = dataset.format != "auto"
    columns = _columns(dataset, sample, share=0 if named else 0.5)
    wanted = [dataset.format] if named else ["classification"] if labelled else list(FORMATS)
    readings = [
        (name, reading) for name in wanted for reading in _readings(name, dataset, columns, sample)
    ]
    if len(readings) != 1:
        if labelled and not readings:
            raise _no_labels(dataset, sample)
        raise _none_or_many(dataset, readings, sample)
    name, reading = readings[0]
    picked = [{key: pick(row, path) for key, path in reading.items()} for row in sample]
    row_type, consequence = row_type_of(name, picked, has_template=has_template, labelled=labelled)
    labels = label_names(dataset, picked) if "label" in reading else {}
    how = "named in the recipe" if named else "read off the columns"
    shown = ", ".join(f"{ours} from {theirs!r}" for ours, theirs in reading.items())
    return Shape(
        name,
        f"{name}, {how}: {shown}{consequence}.",
        row_type,
        reading,
        labels,
        learns_prompts=name == "prompt_completion" and not dataset.completion_only_loss,
    )


def pick(row: Row, path: str) -> object:
    """Return the value under a column name, or under a dotted path into nested records."""
    if path in row:
        return row[path]
    value: object = row
    for part in path.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _readings(
    name: str, dataset: DatasetSection, columns: frozenset[str], sample: list[Row]
) -> list[dict[str, str]]:
    ours = dataset.columns
    renamed = [{**row, **{key: pick(row, path) for key, path in ours.items()}} for row in sample]
    found: list[dict[str, str]] = []
    for reading in FORMATS[name].detect(columns, renamed):
        placed = {key: ours.get(key, theirs) for key, theirs in reading.items()}
        if placed not in found and set(ours) <= set(placed):
            found.append(placed)
    return found


def _columns(dataset: DatasetSection, sample: list[Row], share: float) -> frozenset[str]:
    """Return the columns that more than `share` of the rows have, renamed as the recipe says."""
    counts = Counter(name for row in sample for name in row)
    common = {name for name, count in counts.items() if count > share * len(sample)}
    return frozenset((common - set(dataset.columns.values())) | set(dataset.columns))


def _check_keys(dataset: DatasetSection) -> None:
    wanted = [dataset.format] if dataset.format != "auto" else list(FORMATS)
    known = [column for name in wanted for column in FORMATS[name].COLUMNS]
    problems = []
    for key in dataset.columns:
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            problems.append(f"dataset.columns.{key}: is no column of a format.{hint}")
    if problems:
        allowed = "; ".join(f"{name}: {', '.join(FORMATS[name].COLUMNS)}" for name in wanted)
        raise RecipeError("\n".join([*problems, f"Allowed: {allowed}"]))


def _no_labels(dataset: DatasetSection, sample: list[Row]) -> DataError:
    return DataError(
        f"{dataset.path}: has {_shown_columns(sample)}, and task_type: SEQ_CLS needs a text and a "
        "label that comes again in each row. Name them: dataset.columns: {text: body, label: queue}"
        " (dots for nesting), or learn answers with task_type: CAUSAL_LM."
    )


def _shown_columns(sample: list[Row]) -> str:
    seen = sorted({name for row in sample for name in row})
    columns = ", ".join(f"{name[:SHOWN_CHARACTERS]!a}" for name in seen[:20])
    return f"the columns {columns}" if seen else "no readable row"


def _none_or_many(
    dataset: DatasetSection, readings: list[tuple[str, dict[str, str]]], sample: list[Row]
) -> DataError:
    shown = _shown_columns(sample)
    if readings:
        lines = [f"    {name}: {', '.join(reading.values())}" for name, reading in readings]
        return DataError(
            f"{dataset.path}: its format is ambiguous; it can be read as\n"
            + "\n".join(lines)
            + "\nSet dataset.format, and dataset.columns where two columns could be meant."
        )
    asked = "no known format" if dataset.format == "auto" else f"not the format {dataset.format}"
    forms = "; ".join(f"{name} has {', '.join(FORMATS[name].COLUMNS)}" for name in FORMATS)
    header = (
        " If its first line is no header, name the columns: dataset.column_names: [...]."
        if re.search(r"\.[ct]sv(\.\w+)?$", str(dataset.path).lower()) and not dataset.column_names
        else ""
    )
    return DataError(
        f"{dataset.path}: has {shown}, which is {asked} ({forms}). Name the columns in "
        f"dataset.columns, for instance {{prompt: question, completion: answer}}.{header}"
    )
