"""Where a release comes from, as `release.json`: recipe, data, base, checkpoint, scores, files.

Hashes and counts, no rows of data and no paths of this machine; the recipe has no place for a
secret. `finetune generate` and the model card read it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from tasks.base_model import BaseModelFiles
from tasks.contracts import Evidence, Record
from tasks.recipe import Recipe

__all__ = ["Lineage", "lineage_json"]


class Lineage(Record):
    """A release about to be placed; `place` is where it will lie, as the recipe names it."""

    name: str
    version: int
    kind: Literal["adapter", "merged", "model"]
    place: str
    sha256: str
    files: dict[str, str]
    recipe: Recipe
    base: BaseModelFiles
    evidence: Evidence
    checkpoint_sha256: str
    checks: dict[str, Any]


def lineage_json(line: Lineage) -> dict[str, Any]:
    """Return what release.json holds."""
    evidence = line.evidence
    checkpoint, splits = evidence.checkpoint, evidence.splits
    return {
        "name": line.name,
        "version": line.version,
        "kind": line.kind,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": line.sha256,
        "files": line.files,
        "base": {
            "name": line.base.name,
            "revision": line.base.revision,
            "sha256": line.base.sha256,
        },
        "recipe": line.recipe.model_dump(mode="json"),
        "row_type": splits.row_type,
        "labels": [label.model_dump() for label in splits.labels],
        "data": {
            "sources": [
                {"file": Path(s.path).name, "sha256": s.sha256, "rows": s.rows}
                for s in splits.sources
            ],
            "rows_in": evidence.report.rows_in,
            "rows_out": evidence.report.rows_out,
            "rejected": evidence.report.rejected,
            "verdict": evidence.report.verdict,
            "splits": {
                name: {"rows": split.rows, "sha256": split.sha256}
                for name, split in (
                    ("train", splits.train),
                    ("validation", splits.validation),
                    ("test", splits.test),
                )
            },
        },
        "checkpoint": {
            "sha256": line.checkpoint_sha256,
            **checkpoint.model_dump(mode="json", exclude={"path", "base_path", "history_path"}),
        },
        "recommendation": evidence.recommendation.model_dump(
            mode="json", include={"method", "hyperparameters", "reasons", "conflict", "rules"}
        ),
        "scorecard": evidence.scorecard.model_dump(mode="json", exclude={"samples_path"}),
        "checks": line.checks,
    }
