"""Fine-tune: recipe in, release out.

The order of the stages, the gates between them, and what people see of each. A gate that says no
ends the flow in a state with its name, without a traceback and without a retry.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.states import Completed, Failed, State

from flows.gating import call, data_gate, error_state
from flows.reporting import Reporter
from flows.runs import PLAN, Outcome, Run, open_run
from tasks.contracts import Evidence, Recommendation, Release
from tasks.errors import FinetuneError
from tasks.evaluation import evaluate
from tasks.preparation import prepare
from tasks.publication import publish
from tasks.recommendation import recommend
from tasks.run_folder import STAGES
from tasks.training import train

__all__ = ["finetune"]


@flow(flow_run_name="finetune-{recipe}", retries=0, validate_parameters=True)
def finetune(
    recipe: str = "recipes/quickstart.yaml",
    overrides: list[str] | None = None,
    dry_run: bool = False,
) -> State[Any]:
    """Fine-tune a model as the recipe says: validate, recommend, train, evaluate, publish.

    Args:
        recipe: Path of the recipe file, from the project folder.
        overrides: Changes to the recipe, each `section.key=value`, such as `lora.r=32`.
        dry_run: Stop after validate and recommend; no weights are loaded.
    """
    reporter = Reporter.of_this_run()
    try:
        run = open_run(recipe, overrides or ()).with_voice(reporter.say, reporter.progress)
        reporter.opened(run)
        with run.folder.locked():
            run.write_snapshot((recipe, *(overrides or ())))
            outcome = _stages(run, reporter, dry_run=dry_run)
            run.write_outcome(outcome)
    except FinetuneError as error:
        return Failed(name=error_state(error), message=str(error))
    finally:
        reporter.close()
    if outcome.state in ("Completed", "Planned"):
        return Completed(name=outcome.state, message=outcome.message)
    return Failed(name=outcome.state, message=outcome.message)


def _stages(run: Run, reporter: Reporter, *, dry_run: bool) -> Outcome:
    """Go through the stages in order, and say how the run ended."""
    recipe, base, folder = run.recipe, run.base, run.folder
    splits = call(prepare, recipe, base, folder)
    report, stopped = data_gate(run, splits, reporter)
    if stopped is not None:
        return stopped
    choice = call(recommend, recipe, base, splits, report, folder)
    reporter.recommendation(choice)
    refusal = _refusal(choice)
    if refusal is not None:
        return refusal
    if dry_run:
        reporter.plan(run, splits, choice)
        return Outcome("Planned", _plan_line(choice), PLAN)
    checkpoint = call(train, recipe, base, choice, splits, folder)
    reporter.checkpoint(choice, checkpoint)
    scorecard = call(evaluate, recipe, choice, checkpoint, splits, folder)
    reporter.scorecard(scorecard)
    if not scorecard.passed:
        told = "; ".join(
            g.sentence for g in scorecard.gates if g.verdict in ("missed", "undecided")
        )
        return Outcome("QualityRejected", told, STAGES[:-1])
    evidence = Evidence(
        splits=splits,
        report=report,
        recommendation=choice,
        checkpoint=checkpoint,
        scorecard=scorecard,
    )
    release: Release = call(publish, recipe, base, evidence, folder)
    reporter.release(release)
    return Outcome("Completed", f"{release.name} v{release.version} in {release.path}", STAGES)


def _refusal(choice: Recommendation) -> Outcome | None:
    """Return the gate's outcome where no training is advised or possible."""
    states = {"nothing_fits": "NothingFits", "prompting": "DataRejected"}
    if choice.method not in states:
        return None
    decided = [f"{r.answer}: {r.argues_for}" for r in choice.reasons if r.outcome == "decided"]
    why = [choice.conflict] if choice.conflict else decided
    told = " ".join([*why, *choice.warnings, *choice.would_change])
    return Outcome(states[choice.method], told, PLAN)


def _plan_line(choice: Recommendation) -> str:
    rank = (
        f", r {choice.hyperparameters.r}"
        if choice.hyperparameters and choice.hyperparameters.r
        else ""
    )
    return f"{choice.method}{rank}; nothing was trained (dry run)"
