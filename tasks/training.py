"""Training: a recipe, a recommendation and a data set in; a checkpoint out.

The loop runs in a child process (`tasks/trainer/`), so that its memory is really freed and a crash
does not take the flow down. What differs between methods lies in `tasks/methods/`. The child is
told the paths of the train and validation split; the test split is never opened here.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tasks.base_model import BaseModelFiles
from tasks.contracts import Checkpoint, Recommendation, Split, Splits
from tasks.errors import DataError
from tasks.ledger import booked, booking, ledger_of
from tasks.recipe import Recipe
from tasks.run_folder import RunFolder, file_sha256
from tasks.stage import stage
from tasks.trainer.attempts import train_in_children
from tasks.trainer.spec import GENERAL, TrainSpec, as_planned, beside, recorded

__all__ = ["train"]

SECTIONS = ("model", "freeze", "ewc", "lora", "quantization")


@stage
def train(
    recipe: Recipe,
    base: BaseModelFiles,
    recommendation: Recommendation,
    splits: Splits,
    folder: RunFolder,
) -> Checkpoint:
    """Train and return where the result is.

    A run that was killed goes on from its newest whole checkpoint when it is called again.

    Raises:
        DataError: The data changed since it was validated.
        RecipeError: The loss diverged, or an optimizer or tracker is not installed.
        BudgetError: Memory ran out on the last rung, or other runs have spent the budget.
        FolderError: The disk is full.
        StageError: The child died, stood still, or was stopped on request.
    """
    spec = _spec(recipe, base, recommendation, splits, folder)

    def work(_home: Path) -> Checkpoint:
        _refuse_changed_data(splits, folder.path)
        wanted = booking(recipe, recommendation, folder.path)
        with booked(ledger_of(folder.path), wanted, recipe.budget.max_usd) as measured:
            checkpoint = train_in_children(
                spec,
                may_quantize=recipe.method == "auto",
                on_event=lambda event: _pass_on(event, folder),
            )
            measured(checkpoint)
        return checkpoint

    places = {"folder", "base_path", "memory", "on_gpu", "train", "validation", *GENERAL}
    data = [getattr(splits, name) for name in ("train", "validation", *GENERAL)]
    inputs = [spec.model_dump(mode="json", exclude=places), *data]
    checkpoint = folder.remember("train", Checkpoint, inputs, work, keep=("checkpoints",))
    shutil.rmtree(spec.checkpoints, ignore_errors=True)
    return checkpoint.model_copy(update={"base_path": base.path})


def _spec(
    recipe: Recipe,
    base: BaseModelFiles,
    recommendation: Recommendation,
    splits: Splits,
    folder: RunFolder,
) -> TrainSpec:
    assert recommendation.hyperparameters is not None, "the flow trains only what was recommended"
    assert recommendation.method in ("full", "lora", "qlora"), recommendation.method
    return TrainSpec(
        folder=str(folder.stage("train")),
        base_name=base.name,
        base_path=base.path,
        base_revision=base.revision,
        base_sha256=base.sha256,
        method=recommendation.method,
        **{name: getattr(recipe, name) for name in SECTIONS},
        training=as_planned(recipe.training, recommendation.hyperparameters),
        dataset=recipe.dataset.model_copy(
            update={"path": "prepared", "validation_path": None, "test_path": None}
        ),
        hyperparameters=recommendation.hyperparameters,
        memory=recommendation.memory,
        **{name: getattr(splits, name) for name in ("row_type", "max_length")},
        labels=tuple(label.name for label in splits.labels),
        on_gpu=folder.environment.get("device", "cpu") != "cpu",
        train=_absolute(splits.train, folder.path),
        validation=_absolute(splits.validation, folder.path),
        **beside(splits, folder.path),
    )


def _absolute(split: Split, root: Path) -> Split:
    return split.model_copy(update={"path": str(root / split.path)})


def _refuse_changed_data(splits: Splits, root: Path) -> None:
    for path, sha256 in recorded(splits, root).items():
        if not path.is_file() or file_sha256(path) != sha256:
            state = "changed" if path.is_file() else "is gone"
            raise DataError(
                f"{path}: {state} since it was validated. Nothing was trained. Run again: the "
                "data is then prepared and validated anew."
            )


def _pass_on(event: dict[str, Any], folder: RunFolder) -> None:
    if event["event"] == "progress":
        folder.progress(event)
    else:
        folder.say(f"train: {event['text']}")
