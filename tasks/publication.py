"""Publication: a candidate with its evidence in; a checked, versioned release out.

A child process (`tasks/exports/`) builds the artefact in the registry's hidden folder and checks
that it is the model that was evaluated; then it appears as a version by one rename
(`tasks/targets/folder.py`). If anything fails before that, nothing is visible.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Literal

from tasks.base_model import BaseModelFiles
from tasks.contracts import Evidence, Release
from tasks.errors import ReleaseError
from tasks.exports.lineage import Lineage
from tasks.exports.model_card import write_about
from tasks.exports.spec import ExportSpec
from tasks.processes import run_child
from tasks.recipe import Recipe
from tasks.run_folder import RunFolder
from tasks.scorer.ledger import weights_sha256
from tasks.stage import stage
from tasks.targets.folder import Placed, content_files, content_sha256, damage, place, staging

__all__ = ["publish"]


@stage
def publish(recipe: Recipe, base: BaseModelFiles, evidence: Evidence, folder: RunFolder) -> Release:
    """Publish a candidate that passed its gates.

    Raises:
        ReleaseError: The artefact is not the model that was evaluated, or its gates said no.
        FolderError: The registry cannot be written.
    """
    if not evidence.scorecard.passed:
        raise ReleaseError("the candidate did not pass its gates, so it is not published.")
    registry = Path(recipe.publish.registry).expanduser().resolve()
    candidate = weights_sha256(folder.path / evidence.checkpoint.path)
    inputs = {
        "form": [recipe, registry, base.name, base.revision, base.sha256, candidate],
        "evidence": [evidence.splits, evidence.report, evidence.recommendation, evidence.scorecard],
    }
    known, _why = folder.answer("publish", Release, inputs)
    if known is not None and damage(known):  # a manifest cannot vouch for files outside the folder
        folder.say(f"publish: runs again, {damage(known)}")
        (folder.stage("publish") / "manifest.json").unlink()

    def work(_home: Path) -> Release:
        with staging(registry, recipe.name) as built:
            checks = _build(recipe, base, evidence, folder, built)
            line = Lineage(
                name=recipe.name,
                version=0,
                kind=_kind(recipe, evidence),
                place="",
                sha256=content_sha256(built),
                files=content_files(built),
                recipe=recipe,
                base=base,
                evidence=evidence,
                checkpoint_sha256=candidate,
                checks=checks,
            )
            placed = place(registry, recipe.name, built, partial(write_about, line))
        if placed.existed:
            folder.say(f"publish: this very model is {recipe.name} v{placed.version} already")
        return _release(line, placed)

    return folder.remember("publish", Release, inputs, work)


def _release(line: Lineage, placed: Placed) -> Release:
    return Release(
        name=line.name,
        version=placed.version,
        kind=line.kind,
        path=placed.path,
        card_path=str(Path(placed.path) / "README.md"),
        sha256=line.sha256,
        replaced=placed.replaced,
        checks=line.checks,
    )


def _kind(recipe: Recipe, evidence: Evidence) -> Literal["adapter", "merged", "model"]:
    return "model" if evidence.checkpoint.kind == "model" else recipe.publish.kind


def _build(
    recipe: Recipe, base: BaseModelFiles, evidence: Evidence, folder: RunFolder, out: Path
) -> dict[str, object]:
    """Build and check the artefact in a child; return what the checks saw."""
    checkpoint, splits = evidence.checkpoint, evidence.splits
    path, checks_path = (folder.stage("publish") / name for name in ("spec.json", "checks.json"))
    spec = ExportSpec(
        base_path=checkpoint.base_path,
        base_name=base.name,
        base_revision=base.revision,
        tuned_path=str(folder.path / checkpoint.path),
        kind=_kind(recipe, evidence),
        method=checkpoint.method,
        dtype=checkpoint.dtype,
        model=recipe.model,
        quantization=recipe.quantization,
        dataset=recipe.dataset,
        row_type=splits.row_type,
        rows_path=str(folder.path / splits.train.path),
        max_length=splits.max_length,
        verify_merge=recipe.publish.verify_merge,
        out=str(out),
        checks_path=str(checks_path),
        labels=tuple(label.name for label in splits.labels),
    )
    path.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
    run_child("tasks.exports", path, folder.progress)
    return json.loads(checks_path.read_text(encoding="utf-8"))
