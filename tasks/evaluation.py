"""Evaluation: a checkpoint and the test rows in; a scorecard with intervals and gates out.

Base and tuned model are scored on the same rows by a child process (`tasks/scorer/`), once for a
candidate. Here its samples become metrics (`tasks/metrics/comparison.py`) and gates
(`tasks/metrics/gates.py`). Only this stage opens the test split.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from tasks.contracts import Checkpoint, Recommendation, Scorecard, Splits
from tasks.errors import RecipeError
from tasks.metrics.gates import judge
from tasks.processes import run_child
from tasks.recipe import Recipe
from tasks.run_folder import RunFolder
from tasks.scorer.ledger import record_use, weights_sha256
from tasks.scorer.spec import ScoreSpec
from tasks.stage import stage

__all__ = ["evaluate"]


@stage
def evaluate(
    recipe: Recipe,
    recommendation: Recommendation,
    checkpoint: Checkpoint,
    splits: Splits,
    folder: RunFolder,
) -> Scorecard:
    """Compare base and tuned model on the test rows.

    Raises:
        RecipeError: `requirements.metric` cannot be measured on such rows.
        DataError: There are no test rows, or they changed since they were prepared.
    """
    _refuse_unmeasurable(recipe, splits)
    candidate = weights_sha256(folder.path / checkpoint.path)
    inputs = {
        "sections": [recipe.model, recipe.quantization, recipe.dataset, recipe.evaluation],
        "requirements": recipe.requirements,
        "seed": recipe.training.seed,
        "method": [recommendation.method, checkpoint.kind, checkpoint.dtype],
        "base": checkpoint.base_sha256,
        "checkpoint": candidate,
        "splits": [splits.test, splits.row_type, splits.checkable, splits.labels],
        "lengths": [splits.max_length, splits.longest_answer_tokens],
    }

    def work(home: Path) -> Scorecard:
        start = time.monotonic()
        samples_path = _run_scorer(recipe, checkpoint, splits, folder)
        with samples_path.open(encoding="utf-8") as file:
            samples = [json.loads(line) for line in file]
        uses = record_use(
            folder.path.parent.parent / "test_uses.jsonl",
            splits.test.sha256,
            f"{folder.path.parent.name}/{folder.path.name}",
            candidate,
        )
        folder.say(_what_was_scored(len(samples), splits.test.rows, uses))
        card = judge(recipe, splits, samples, uses)
        where = f"{home.name}/{samples_path.name}"
        seconds = round(time.monotonic() - start, 2)
        return card.model_copy(update={"samples_path": where, "wall_seconds": seconds})

    return folder.remember("evaluate", Scorecard, inputs, work)


def _what_was_scored(rows: int, of: int, uses: int) -> str:
    part = f"the first {rows:,} of {of:,}" if rows < of else f"all {rows:,}"
    return f"evaluate: scored {part} test rows; this test set was used {uses} time(s)"


def _refuse_unmeasurable(recipe: Recipe, splits: Splits) -> None:
    if recipe.requirements.metric == "exact_match" and splits.row_type == "text":
        raise RecipeError(
            "requirements.metric: exact_match: the rows are raw text without answers. "
            "Use token_accuracy, or give prompt and completion columns."
        )


def _run_scorer(recipe: Recipe, checkpoint: Checkpoint, splits: Splits, folder: RunFolder) -> Path:
    home = folder.stage("evaluate")
    spec = ScoreSpec(
        base_path=checkpoint.base_path,
        tuned_path=str(folder.path / checkpoint.path),
        kind=checkpoint.kind,
        method=checkpoint.method,
        dtype=checkpoint.dtype,
        model=recipe.model,
        quantization=recipe.quantization,
        dataset=recipe.dataset,
        evaluation=recipe.evaluation,
        row_type=splits.row_type,
        test_path=str(folder.path / splits.test.path),
        test_sha256=splits.test.sha256,
        max_length=splits.max_length,
        longest_answer_tokens=splits.longest_answer_tokens,
        samples_path=str(home / "samples.jsonl"),
        labels=splits.labels,
    )
    path = home / "spec.json"
    path.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
    run_child("tasks.scorer", path, folder.progress)
    return Path(spec.samples_path)
