"""The command `finetune validate`: a recipe, or a data file and a model, in; a verdict out.

It does the flow's first two stages in the flow's run folder, without Prefect and without weights:
a tokenizer is enough. A later `finetune run` of the same recipe is answered from what it left.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.bars import Bars
from flows.data_display import data_report_parts, where_lines
from flows.display import console
from flows.runs import Run, open_run
from tasks.contracts import DataReport, Splits
from tasks.errors import ExitCode, RecipeError
from tasks.preparation import prepare
from tasks.processes import QUIET
from tasks.recipe_file import LoadedRecipe, load_recipe, recipe_of_data
from tasks.validation import validate

__all__ = ["Wanted", "data_json", "validate_data"]

RECIPES = (".yaml", ".yml")


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line; `data` is a recipe or a data file."""

    data: str
    model: str | None = None
    overrides: Sequence[str] = ()
    force: bool = False
    as_json: bool = False


def validate_data(wanted: Wanted) -> ExitCode:
    """Validate and show the report; the exit code is the gate's.

    Raises:
        RecipeError: The recipe, an override or the flags are wrong.
        ModelError: No configuration and tokenizer of that name can be had.
        DataError: The data cannot be read, or nothing is left of them.
    """
    os.environ.update(QUIET)
    run = open_run(_recipe(wanted), weights=False)
    bars = Bars(shown=not wanted.as_json)
    try:
        splits, report = _validate(run.with_voice(_voice(wanted), bars.move), wanted)
    finally:
        bars.close()
    if wanted.as_json:
        console.file.write(json.dumps(data_json(report, run.folder.path), indent=1) + "\n")
    else:
        for part in data_report_parts(report, splits, run.folder.path, console):
            console.print(part)
        for line in where_lines(report, splits, run.folder.path):
            console.print(line, soft_wrap=True)
    return ExitCode.GATE if report.verdict == "fail" else ExitCode.DONE


def data_json(report: DataReport, folder: Path) -> dict[str, Any]:
    """Return the report as the one object that `--json` prints."""
    fields = {"id", "severity", "passed", "observed", "threshold", "unexpected_count", "rows"}
    plain = report.model_dump(mode="json", include={"verdict", "rows_in", "rows_out", "rejected"})
    return plain | {
        "splits": report.splits,
        "checks": [check.model_dump(mode="json", include=fields) for check in report.checks],
        "report": str(folder / report.report_path),
    }


def _recipe(wanted: Wanted) -> LoadedRecipe:
    if Path(wanted.data).suffix.lower() in RECIPES:
        model = [f"model.model_name_or_path={wanted.model}"] if wanted.model else []
        return load_recipe(wanted.data, [*model, *wanted.overrides])
    if wanted.model is None:
        raise RecipeError(
            f"{wanted.data}: is no recipe (*.yaml), so --model is needed: a folder with a tokenizer "
            "or a Hub id, for its tokens are what is counted. Or give a recipe."
        )
    return recipe_of_data(wanted.data, wanted.model, wanted.overrides)


def _voice(wanted: Wanted) -> Any:  # noqa: ANN401 - a function of a line
    return (lambda _line: None) if wanted.as_json else _say


def _say(line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)


def _validate(run: Run, wanted: Wanted) -> tuple[Splits, DataReport]:
    """Do both stages, or be answered from the folder, under its lock."""
    folder = run.folder
    for note in run.notes:
        folder.say(f"recipe: {note}")
    folder.say(f"run folder: {folder.path}")
    with folder.locked():
        if wanted.force:
            run.forget()
        run.write_snapshot((wanted.data, *wanted.overrides))
        splits = prepare.function(run.recipe, run.base, folder)
        return splits, validate.function(run.recipe, splits, folder)
