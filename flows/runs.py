"""Opening a run: recipe, base model and data files become one content-addressed run folder.

Shared by the flow and the command line, and free of Prefect and torch, so that a repeat with
nothing changed is answered from the folder in a moment. What was asked for is written down at the
start (`recipe.resolved.yaml`, `snapshot.json`) and an unfinished run goes on with exactly that.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tasks.base_model import BaseModelFiles, read_config, resolve
from tasks.chat_template import find_template, no_template
from tasks.contracts import DataReport
from tasks.errors import DataError
from tasks.estimates.architecture import from_config
from tasks.estimates.hardware import detect
from tasks.methods.freezing import check_layers
from tasks.readers.general import general_sources
from tasks.readers.sources import find_sources
from tasks.recipe import Recipe
from tasks.recipe_file import LoadedRecipe, as_yaml, load_recipe
from tasks.reviews import live_reviews
from tasks.run_folder import (
    STAGES,
    RunFolder,
    canonical,
    environment,
    file_sha256,
    text_sha256,
    write_atomically,
)

__all__ = ["Outcome", "Run", "open_run", "runs_root"]

PLAN = ("prepare", "validate", "recommend")


@dataclass(frozen=True)
class Outcome:
    """How a run ended: a state's name (`Completed`, `DataRejected`, ...), its message, its stages."""

    state: str
    message: str
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """A recipe with everything it names found, and the folder its work lies in."""

    recipe: Recipe
    base: BaseModelFiles
    folder: RunFolder
    notes: tuple[str, ...]

    def with_voice(self, say: Callable[[str], None], progress: Callable[..., None]) -> Run:
        """Return the run with somewhere for its words to go."""
        return replace(self, folder=replace(self.folder, say=say, progress=progress))

    def write_snapshot(self, asked_for: Sequence[str]) -> None:
        """Write down what was asked for; an unfinished run's snapshot stays as it is."""
        path = self.folder.path / "snapshot.json"
        if path.is_file():
            return
        write_atomically(self.folder.path / "recipe.resolved.yaml", as_yaml(self.recipe))
        snapshot = {
            "asked_for": list(asked_for),
            "base": self.base.model_dump(mode="json"),
            "data": _data_hashes(self.recipe),
            "environment": self.folder.environment,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        write_atomically(path, json.dumps(snapshot, indent=1))

    def write_outcome(self, outcome: Outcome) -> None:
        """Write down how the run ended; last, so that its existence means it ended."""
        write_atomically(self.folder.path / "outcome.json", json.dumps(vars(outcome), indent=1))

    def finished(self, *, dry_run: bool = False) -> tuple[Outcome | None, str]:
        """Return how this very run ended before if all of it is still good, else why not."""
        try:
            text = (self.folder.path / "outcome.json").read_text(encoding="utf-8")
            known: dict[str, Any] = json.loads(text)
            outcome = Outcome(known["state"], known["message"], tuple(known["stages"]))
        except FileNotFoundError:
            return None, ""
        except (ValueError, KeyError):
            return None, "outcome.json is damaged"
        if outcome.state == "ReviewNeeded" or (outcome.state == "Planned" and not dry_run):
            return None, ""
        why = (
            self.folder.spoiled(outcome.stages)
            or self._changed_review(outcome)
            or self._spoiled_release(outcome)
        )
        return (None, why) if why else (outcome, "")

    def _changed_review(self, outcome: Outcome) -> str:
        """Return that a finding was reviewed since, or that a review ran out, or nothing."""
        if "validate" not in outcome.stages:
            return ""
        report = self.folder.record("validate", DataReport)
        live = live_reviews(self.folder.reviews_path, report.data_sha256)
        known = tuple(review.model_copy(update={"void": ""}) for review in report.reviews)
        return "" if live == known else "the review of its data changed"

    def _spoiled_release(self, outcome: Outcome) -> str:
        if "publish" not in outcome.stages:
            return ""
        from tasks.contracts import Release
        from tasks.targets.folder import damage

        return damage(self.folder.record("publish", Release))

    def forget(self) -> None:
        """Make every stage run again; what they left is replaced as they do."""
        for name in ("outcome.json", "snapshot.json"):
            (self.folder.path / name).unlink(missing_ok=True)
        for stage in STAGES:
            (self.folder.stage(stage) / "manifest.json").unlink(missing_ok=True)
            (self.folder.stage(stage) / "begun").unlink(missing_ok=True)


def runs_root() -> Path:
    """Return where run folders lie: `FINETUNE_RUNS`, else `runs` in the working directory."""
    return Path(os.environ.get("FINETUNE_RUNS", "runs")).resolve()


def open_run(
    asked: str | Path | LoadedRecipe, overrides: Sequence[str] = (), *, weights: bool = True
) -> Run:
    """Read a recipe, find its base model and data, and name its run folder.

    Args:
        asked: A recipe file, or a recipe that was read already.
        overrides: Changes to a recipe file, each `key=value`.
        weights: Whether the base model's weights are needed.

    Raises:
        RecipeError: The recipe or an override is wrong.
        ModelError: The base model cannot be had.
        DataError: A data file does not exist.
    """
    loaded = asked if isinstance(asked, LoadedRecipe) else load_recipe(asked, overrides)
    recipe = loaded.recipe
    data = _data_hashes(recipe)
    base = _base(recipe, data, weights=weights)
    if recipe.freeze is not None:
        layers = from_config(read_config(Path(base.path)), base.name).layers
        check_layers(recipe.freeze, layers, base.name)
    identity = _identity(recipe, data, None if base.revision else base.sha256)
    folder = RunFolder(runs_root() / recipe.name / identity, environment(detect().device_class))
    return Run(recipe, base, folder, loaded.notes)


def _base(recipe: Recipe, data: dict[str, str], *, weights: bool) -> BaseModelFiles:
    """Resolve the base model; an unfinished run of a Hub model goes on with its own commit."""
    folder = runs_root() / recipe.name / _identity(recipe, data, None)
    if not (folder / "snapshot.json").is_file() or (folder / "outcome.json").is_file():
        return resolve(recipe.model, weights=weights)
    try:
        text = (folder / "snapshot.json").read_text(encoding="utf-8")
        revision = json.loads(text)["base"]["revision"]
    except (ValueError, KeyError):
        revision = None
    pinned = recipe.model.model_copy(update={"revision": revision or recipe.model.revision})
    return resolve(pinned, weights=weights)


def _identity(recipe: Recipe, data: dict[str, str], base_sha256: str | None) -> str:
    return text_sha256(canonical([recipe, data, base_sha256]))[:12]


def _data_hashes(recipe: Recipe) -> dict[str, str]:
    """Return the SHA-256 of every file of ours that the recipe names."""
    files = find_sources(recipe.dataset)
    hashes = {
        f"{file.key.removeprefix('dataset.')}:{file.name}": file_sha256(file.path) for file in files
    }
    for key, general in general_sources(recipe).items():
        hashes |= {f"{key}:{file.name}": file_sha256(file.path) for file in general}
    name = recipe.dataset.chat_template
    template = find_template(name) if name != "auto" else None
    if template is not None:
        hashes["chat_template"] = file_sha256(template)
    elif name != "auto":
        raise DataError(no_template(name))
    return hashes
