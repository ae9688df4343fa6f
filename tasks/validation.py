"""Validation: the prepared profile in; a verdict, and a page that people review, out.

The suites stand in `expectations/`, their thresholds in the recipe. A failed critical check is a
verdict of `fail`, on which the flow stops before anything is trained; it is no exception.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tasks.contracts import DataCheck, DataReport, Splits
from tasks.profile.checkpoint import read_profile, run_checkpoint
from tasks.profile.page_evidence import gather
from tasks.profile.suites import compare, named_files, suites_of
from tasks.recipe import Recipe
from tasks.reports.data_docs import make_offline
from tasks.reports.data_page import data_page
from tasks.reviews import data_sha256, decided, live_reviews, suites_sha256
from tasks.run_folder import RunFolder, write_atomically
from tasks.stage import stage

__all__ = ["validate"]

#: Rule D1 of the decision tree: below, a prompt with examples does better than fine-tuning.
MIN_TRAIN_ROWS = 500
#: Rows below which a method is known to do badly: the guide's table of data sizes (rules lint.rows_*
#: of tasks/assets/rules.yaml). A simple task needs 500 for LoRA too.
METHOD_ROWS = {"full": 10_000, "lora": 1_000, "qlora": 500}


@stage
def validate(recipe: Recipe, splits: Splits, folder: RunFolder) -> DataReport:
    """Check the prepared rows against the recipe's thresholds and write the report."""

    def work(stage_folder: Path) -> DataReport:
        folder.progress(_event(0, "checking"))
        frame = read_profile(folder.path / splits.profile_path)
        compare(recipe.validation, frame)
        parameters = _parameters(recipe, splits)
        site = stage_folder / "data_docs"
        checks, evidence = run_checkpoint(
            frame, lambda: suites_of(recipe.validation, frame.columns, parameters), parameters, site
        )
        own = f"{stage_folder.name}/report.html"
        report = decided(_report(splits, checks, evidence["suites"], own), reviews)
        page = data_page(gather(recipe.name, report, splits, (frame, evidence), folder.path))
        write_atomically(stage_folder / "report.html", page)
        make_offline(site, report, evidence["suite_of"], recipe.name, stage_folder / "report.html")
        evidence = {k: v for k, v in evidence.items() if k not in ("positions", "suite_of")}
        both = {"report": report.model_dump(mode="json"), "great_expectations": evidence}
        write_atomically(stage_folder / "report.json", json.dumps(both, indent=1, default=str))
        folder.progress(_event(len(checks), f"{len(checks)} checks: {report.verdict}"))
        return report

    reviews = live_reviews(folder.reviews_path, data_sha256(splits))
    files = named_files(recipe.validation)
    inputs = [recipe.name, recipe.validation, splits, files, reviews]
    return folder.remember("validate", DataReport, inputs, work)


def _parameters(recipe: Recipe, splits: Splits) -> dict[str, float]:
    """Return the thresholds by the names that the suites use."""
    limits = recipe.validation
    return {
        **{key: value for key, value in limits if isinstance(value, float)},
        "min_train_rows": limits.min_train_rows or MIN_TRAIN_ROWS,
        "method_rows": _method_rows(recipe),
        # A sum of shares: 5 rows of 500 are 1 %, whatever binary fractions make of it.
        "max_leaked_fraction": limits.max_leaked_fraction + 1e-9,
        "max_length": splits.max_length,
    }


def _method_rows(recipe: Recipe) -> int:
    """Return the rows that the recipe's method is known to need; `auto` takes one that has them."""
    if recipe.method == "auto":
        return recipe.validation.min_train_rows or MIN_TRAIN_ROWS
    simple = recipe.method == "lora" and recipe.requirements.complexity == "simple"
    return MIN_TRAIN_ROWS if simple else METHOD_ROWS[recipe.method]


def _report(
    splits: Splits, checks: list[DataCheck], suites: list[dict[str, Any]], page: str
) -> DataReport:
    rows = {name: getattr(splits, name).rows for name in ("train", "validation", "test")}
    parts = (splits.train, splits.validation, splits.test)
    return DataReport(
        verdict="pass",  # said by `decided`, which knows the reviews
        rows_in=splits.rows_in,
        rows_out=sum(rows.values()),
        rejected=splits.rejected,
        splits=rows,
        checks=tuple(checks),
        token_percentiles=splits.token_percentiles,
        loss_token_fraction=sum(p.loss_tokens for p in parts) / sum(p.tokens for p in parts),
        report_path=page,
        data_sha256=data_sha256(splits),
        suite_sha256=suites_sha256(suites),
    )


def _event(done: int, text: str) -> dict[str, object]:
    return {"event": "progress", "stage": "validate", "done": done, "total": done, "text": text}
