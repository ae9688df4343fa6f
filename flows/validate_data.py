"""Validate: the data gate alone, as a flow: a report to review, and nothing trained.

The first two stages of `flows/finetune.py`, in the same run folder; `finetune validate` does the
same without Prefect.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.states import Completed, Failed, State

from flows.gating import call, data_gate, error_state
from flows.reporting import Reporter
from flows.runs import open_run
from tasks.errors import FinetuneError
from tasks.preparation import prepare

__all__ = ["validate_data"]


@flow(name="validate", flow_run_name="validate-{recipe}", retries=0, validate_parameters=True)
def validate_data(
    recipe: str = "recipes/quickstart.yaml", overrides: list[str] | None = None
) -> State[Any]:
    """Check a recipe's data and write the report; no weights are needed.

    Args:
        recipe: Path of the recipe file, from the project folder.
        overrides: Changes to the recipe, each `section.key=value`.
    """
    reporter = Reporter.of_this_run()
    try:
        run = open_run(recipe, overrides or (), weights=False)
        run = run.with_voice(reporter.say, reporter.progress)
        reporter.opened(run)
        with run.folder.locked():
            run.write_snapshot((recipe, *(overrides or ())))
            splits = call(prepare, run.recipe, run.base, run.folder)
            report, refusal = data_gate(run, splits, reporter)
    except FinetuneError as error:
        return Failed(name=error_state(error), message=str(error))
    finally:
        reporter.close()
    if refusal is not None:
        return Failed(name=refusal.state, message=refusal.message)
    page = run.folder.path / report.report_path
    return Completed(name="Validated", message=f"data gate: {report.verdict}. Report: {page}")
