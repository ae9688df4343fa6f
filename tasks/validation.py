"""Validation: the prepared profile in; a verdict, and a page that people review, out.

The suites stand in `expectations/`, their thresholds in the recipe. A failed critical check is a
verdict of `fail`, on which the flow stops before anything is trained; it is no exception.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from tasks.contracts import DataCheck, DataReport, Splits
from tasks.profile.checkpoint import read_profile, run_checkpoint
from tasks.profile.suites import compare, named_files, suites_of
from tasks.recipe import Recipe
from tasks.reports.data_page import PageEvidence, data_page
from tasks.run_folder import RunFolder, write_atomically
from tasks.stage import stage

__all__ = ["validate", "verdict_of"]

#: Rule D1 of the decision tree: below, a prompt with examples does better than fine-tuning.
MIN_TRAIN_ROWS = 500


@stage
def validate(recipe: Recipe, splits: Splits, folder: RunFolder) -> DataReport:
    """Check the prepared rows against the recipe's thresholds and write the report."""

    def work(stage_folder: Path) -> DataReport:
        folder.progress(_event(0, "checking"))
        frame = read_profile(folder.path / splits.profile_path)
        compare(recipe.validation, frame)
        parameters = _parameters(recipe, splits)
        checks, evidence = run_checkpoint(
            frame, lambda: suites_of(recipe.validation, frame.columns, parameters), parameters
        )
        lengths = frame.loc[frame["tokens"] > 0, "tokens"].tolist()
        report = _report(splits, checks, f"{stage_folder.name}/report.html")
        about = PageEvidence(recipe.name, report, splits, lengths, evidence["failing"])
        page = data_page(about, folder.path)
        write_atomically(stage_folder / "report.html", page)
        both = {"report": report.model_dump(mode="json"), "great_expectations": evidence}
        write_atomically(stage_folder / "report.json", json.dumps(both, indent=1, default=str))
        folder.progress(_event(len(checks), f"{len(checks)} checks: {report.verdict}"))
        return report

    inputs = [recipe.name, recipe.validation, splits, named_files(recipe.validation)]
    return folder.remember("validate", DataReport, inputs, work)


def _parameters(recipe: Recipe, splits: Splits) -> dict[str, float]:
    """Return the thresholds by the names that the suites use."""
    limits = recipe.validation
    return {
        **{key: value for key, value in limits if isinstance(value, float)},
        "min_train_rows": limits.min_train_rows or MIN_TRAIN_ROWS,
        # A sum of shares: 5 rows of 500 are 1 %, whatever binary fractions make of it.
        "max_leaked_fraction": limits.max_leaked_fraction + 1e-9,
        "max_length": splits.max_length,
    }


def _report(splits: Splits, checks: list[DataCheck], page: str) -> DataReport:
    rows = {name: getattr(splits, name).rows for name in ("train", "validation", "test")}
    parts = (splits.train, splits.validation, splits.test)
    return DataReport(
        verdict=verdict_of(checks, rejected=splits.rows_in - sum(rows.values())),
        rows_in=splits.rows_in,
        rows_out=sum(rows.values()),
        rejected=splits.rejected,
        splits=rows,
        checks=tuple(checks),
        token_percentiles=splits.token_percentiles,
        loss_token_fraction=sum(p.loss_tokens for p in parts) / sum(p.tokens for p in parts),
        report_path=page,
    )


def verdict_of(checks: list[DataCheck], *, rejected: int) -> Literal["pass", "warn", "fail"]:
    """Return fail on a failed critical check; warn on a failed warning or any rejected row."""
    failed = {check.severity for check in checks if not check.passed}
    if "critical" in failed:
        return "fail"
    return "warn" if "warning" in failed or rejected else "pass"


def _event(done: int, text: str) -> dict[str, object]:
    return {"event": "progress", "stage": "validate", "done": done, "total": done, "text": text}
