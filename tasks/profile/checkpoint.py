"""Running suites over the numeric profile: a real Great Expectations checkpoint, and its rows.

Great Expectations says whether a check holds; the lines that failed are read off the profile,
because its own lists of failing rows carry raw values and take minutes on a million rows.
Numbers only: no text of the data set is in the profile.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts import DataCheck
from tasks.errors import RecipeError, StageError
from tasks.profile.prevents import write_notes
from tasks.profile.rows import REASONS
from tasks.report_records import Unit
from tasks.signals.frame import add_checks

if TYPE_CHECKING:
    import numpy
    import pandas
    from great_expectations import ExpectationSuite
    from great_expectations.core import ExpectationSuiteValidationResult

__all__ = ["failing_rows", "read_profile", "run_checkpoint"]

LISTED_ROWS = 1000

#: Rows of a check whose text is shown on the page.
SHOWN_ROWS = 8


def read_profile(path: Path) -> pandas.DataFrame:
    """Return the profile with the columns that checks are written in.

    `kept_...` columns are empty for rejected rows: Great Expectations leaves those out.
    """
    import pandas

    frame = pandas.read_parquet(path)
    kept = frame["split"] != "rejected"
    for split in ("train", "validation", "test"):
        frame[f"in_{split}"] = (frame["split"] == split).astype("int8")
    frame["new_in_train"] = frame["in_train"] * (1 - frame["near_duplicate"])
    frame["kept_loss_tokens"] = frame["loss_tokens"].where(kept)
    frame["kept_ends"] = frame["last_token_learned_is_eos"].where(kept)
    frame["kept_starts"] = frame["bos_count"].where(kept)
    frame["nothing_learned"] = (frame["kept_loss_tokens"] < 1).astype("int8")
    frame["end_not_learned"] = (frame["kept_ends"] < 1).astype("int8")
    frame["many_starts"] = (frame["kept_starts"] > 1).astype("int8")
    frame["kept_special_tokens"] = (frame["special_tokens"] > 0).astype("float32").where(kept)
    frame["lost"] = (~kept & ~_only_duplicates(frame)).astype("int8")
    frame["leaked_share"] = sum(
        frame[f"leaks_into_{split}"] / max(1, int(frame[f"in_{split}"].sum()))
        for split in ("test", "validation")
    )
    add_checks(frame)
    return frame


def run_checkpoint(
    frame: pandas.DataFrame,
    build: Callable[[], list[ExpectationSuite]],
    parameters: dict[str, float],
    site: Path | None = None,
) -> tuple[list[DataCheck], dict[str, Any]]:
    """Return one DataCheck per expectation, and the evidence for it.

    The evidence: `failing` places, `positions` in the frame of the first of them, suites, results.

    Args:
        frame: What `read_profile` returned.
        build: Returns the suites; called once Great Expectations is loaded quietly.
        parameters: The thresholds that the suites name.
        site: Where Data Docs are rendered, if at all; `tasks/reports/data_docs.py` mends them.

    Raises:
        StageError: A check could not be computed.
        RecipeError: A check of the user's own could not.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        # Loading it warns of deprecated parts of the standard library: theirs to mend.
        warnings.simplefilter("ignore")
        import great_expectations  # noqa: F401 - here, so that it warns nobody

        suites = build()
    write_notes(suites)
    results = _run(frame, suites, parameters, site)
    found: list[Any] = [result for each in results for result in each.results]
    metas = [result.expectation_config.meta for result in found]
    rows = {meta["id"]: failing_rows(frame, meta["rows"]) for meta in metas}
    checks = [
        _check(result, frame, rows[meta["id"]]) for result, meta in zip(found, metas, strict=True)
    ]
    return checks, {
        "failing": {name: _places(frame, where) for name, where in rows.items()},
        "positions": {name: where[:SHOWN_ROWS].tolist() for name, where in rows.items()},
        "suite_of": {
            str((expectation.meta or {})["id"]): suite.name
            for suite in suites
            for expectation in suite.expectations
        },
        "suites": [suite.to_json_dict() for suite in suites],
        "results": [each.to_json_dict() for each in results],
    }


def _run(
    frame: pandas.DataFrame,
    suites: Sequence[ExpectationSuite],
    parameters: dict[str, float],
    site: Path | None,
) -> list[ExpectationSuiteValidationResult]:
    """Run the suites over the frame as one checkpoint, and render its Data Docs."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    # It sets its own level and tells of a temporary folder in every run.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("prepare").add_dataframe_asset("profile")
    batch = asset.add_batch_definition_whole_dataframe("rows")
    definitions = [
        context.validation_definitions.add(
            gx.ValidationDefinition(name=suite.name, data=batch, suite=context.suites.add(suite))
        )
        for suite in suites
    ]
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(name="data-gate", validation_definitions=definitions, result_format="SUMMARY")
    )
    outcome = checkpoint.run(
        batch_parameters={"dataframe": frame.drop(columns=["source", "split"])},
        expectation_parameters=parameters,
        run_id=gx.RunIdentifier(run_name="data-gate"),
    )
    if site is not None:
        configuration: Any = _site(site)
        context.add_data_docs_site("run", configuration)
        context.build_data_docs(site_names=["run"])
    return list(outcome.run_results.values())


def _site(folder: Path) -> dict[str, Any]:
    """Return the configuration of a Data Docs site in a folder."""
    return {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(folder),
        },
    }


def failing_rows(frame: pandas.DataFrame, column: str | None) -> numpy.ndarray:
    """Return where in the frame a 0/1 column is 1; nowhere for a check that is about no row."""
    import numpy

    return numpy.flatnonzero(frame[column] == 1) if column else numpy.empty(0, dtype=int)


def _places(frame: pandas.DataFrame, rows: numpy.ndarray) -> list[tuple[str, int]]:
    """Return source and line of up to 1,000 rows that broke a check."""
    few = frame[["source", "line"]].iloc[rows[:LISTED_ROWS]]
    return [(str(s), int(n)) for s, n in zip(few["source"], few["line"], strict=True)]


def _check(result: Any, frame: pandas.DataFrame, failing: numpy.ndarray) -> DataCheck:  # noqa: ANN401
    config = result.expectation_config
    problem = _problem(result.exception_info)
    if problem is not None:
        said = f"could not be computed: {problem}"
        if "own" in config.meta:
            raise RecipeError(f"{config.meta['own']}: check {config.meta['id']!r} {said}")
        raise StageError(f"data check {config.meta['id']}: {said}")
    limit = config.kwargs.get("max_value", config.kwargs.get("min_value"))
    # An expectation about a column reports its value, one about rows how many broke it.
    observed = result.result.get("observed_value", result.result.get("unexpected_count"))
    per_row = "observed_value" not in result.result
    return DataCheck(
        id=config.meta["id"],
        severity=config.severity.value,
        passed=bool(result.success),
        observed=_number(observed),
        threshold=0.0 if per_row else _number(limit),
        unexpected_count=len(failing),
        rows=tuple(int(line) for line in frame["line"].iloc[failing[:LISTED_ROWS]]),
        sentence=config.description,
        prevents=config.notes if isinstance(config.notes, str) else "",
        unit="rows"
        if per_row
        else _unit(config.type, str(config.kwargs.get("column", "")), config.meta["rows"]),
        at_least=not per_row and config.kwargs.get("max_value") is None,
    )


def _problem(info: dict[str, Any]) -> str | None:
    """Return what went wrong in computing a check: said once, or once for each of its metrics."""
    said = [info] if "raised_exception" in info else list(info.values())
    raised = [each for each in said if each.get("raised_exception")]
    return " ".join(str(raised[0].get("exception_message")).split())[:300] if raised else None


def _unit(kind: str, column: str, rows: str | None) -> Unit:
    """Return what an expectation about a column counts in: the mean of a 0/1 column is a share."""
    if column.endswith("_share") or ("_mean_" in kind and column == rows):
        return "share"
    if column.endswith("tokens"):
        return "tokens"
    return "rows" if "_sum_" in kind else "number"


def _number(value: float | None) -> float | None:
    """Return a finite number, or None where there was none to observe."""
    return None if value is None or not math.isfinite(value) else round(float(value), 6)


def _only_duplicates(frame: pandas.DataFrame) -> pandas.Series:
    """Return whether a row goes for nothing but being there already, which loses nothing."""
    repeats = ["duplicate", "near_duplicate"]
    others = [word for word in REASONS if word not in (*repeats, "overlength")]
    return (frame[repeats].sum(axis=1) > 0) & (frame[others].sum(axis=1) == 0)
