"""Measure: a recommendation whose memory is traced, for `--measure` and for the plan."""

from __future__ import annotations

from pathlib import Path

from flows.runs import Run
from tasks.base_model import read_config
from tasks.contracts import Recommendation, Splits
from tasks.decision import Facts
from tasks.errors import FinetuneError
from tasks.estimates.architecture import from_config
from tasks.estimates.facts import facts_for
from tasks.estimates.measured import measured_memory
from tasks.estimates.plan import Plan

__all__ = ["measured", "measured_for_plan"]


def measured(facts: Facts, choice: Recommendation) -> Recommendation:
    """Return the recommendation with the memory of its method traced instead of computed.

    Raises:
        ModelError: transformers cannot build the model, or its step depends on data.
        StageError: The tracing child died.
    """
    settings, memory, cost = choice.hyperparameters, choice.memory, choice.cost
    if settings is None or memory is None or cost is None:
        return choice
    method = next(option.method for option in choice.comparison if option.role == "chosen")
    plan = Plan(method=method, hyperparameters=settings, memory=memory, cost=cost)
    traced, told = measured_memory(facts, plan)
    if not traced.fits:
        told += " By the trace it does not fit: take a smaller batch or shorter rows."
    columns = tuple(
        option.model_copy(update={"memory": traced}) if option.role == "chosen" else option
        for option in choice.comparison
    )
    return choice.model_copy(
        update={"memory": traced, "comparison": columns, "warnings": (*choice.warnings, told)}
    )


def measured_for_plan(run: Run, splits: Splits, choice: Recommendation) -> Recommendation:
    """Return a run's recommendation with traced memory; where that fails, a warning says so."""
    architecture = from_config(read_config(Path(run.base.path)), run.base.name)
    facts = facts_for(run.recipe, architecture, splits)
    try:
        return measured(facts, choice)
    except FinetuneError as error:
        told = (*choice.warnings, f"The memory could not be traced: {error}")
        return choice.model_copy(update={"warnings": told})
