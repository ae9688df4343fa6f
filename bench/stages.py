"""The stages up to training, called one by one, for benches that measure or vary them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.contracts import Checkpoint, Recommendation, Splits
    from tasks.recipe import Recipe

__all__ = ["Trained", "train_recipe"]


class Trained(NamedTuple):
    """What a run handed on; `seconds` are those of the train stage alone."""

    recipe: Recipe
    home: Path
    splits: Splits
    recommendation: Recommendation
    checkpoint: Checkpoint
    seconds: float


def train_recipe(path: str, changes: Mapping[str, object], home: Path) -> Trained:
    """Prepare, validate, recommend and train in a new run folder `home`.

    Args:
        path: The recipe.
        changes: Overrides: dotted keys and their values.
        home: The run folder; what it holds already is not done again.
    """
    from tasks.base_model import resolve
    from tasks.preparation import prepare
    from tasks.recipe_file import load_recipe
    from tasks.recommendation import recommend
    from tasks.run_folder import RunFolder
    from tasks.training import train
    from tasks.validation import validate

    overrides = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    recipe = load_recipe(path, overrides).recipe
    base = resolve(recipe.model)
    folder = RunFolder(home, {"device": "cpu"})
    splits = prepare.fn(recipe, base, folder)
    report = validate.fn(recipe, splits, folder)
    recommendation = recommend.fn(recipe, base, splits, report, folder)
    began = time.monotonic()
    checkpoint = train.fn(recipe, base, recommendation, splits, folder)
    seconds = time.monotonic() - began
    return Trained(recipe, home, splits, recommendation, checkpoint, seconds)
