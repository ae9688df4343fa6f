"""Recommendation: the recipe's open questions answered, from the data, the model and the hardware.

A thin stage: the facts are gathered here, the decision is in `tasks/decision.py`. A method that
does not fit is not an error but the record `nothing_fits`; the flow ends there in a named state.
"""

from __future__ import annotations

from pathlib import Path

from tasks.arguments.words import gib
from tasks.base_model import BaseModelFiles, read_config
from tasks.contracts import DataReport, Recommendation, Splits
from tasks.decision import decide
from tasks.estimates.architecture import from_config
from tasks.estimates.facts import Facts, facts_for
from tasks.estimates.hardware import free_ram_bytes
from tasks.formats.preference import refuse_training
from tasks.recipe import Recipe
from tasks.reports.recommendation_markdown import recommendation_markdown
from tasks.run_folder import RunFolder, write_atomically
from tasks.stage import stage

__all__ = ["recommend"]


@stage
def recommend(
    recipe: Recipe,
    base: BaseModelFiles,
    splits: Splits,
    report: DataReport,
    folder: RunFolder,
) -> Recommendation:
    """Return the method, its settings, memory and cost, with every reason.

    Args:
        recipe: What it sets, wins; what it leaves open is decided.
        base: Its config.json gives the architecture.
        splits: Usable training rows and tokens.
        report: The data gate's verdict, which came first.
        folder: Gets `recommend/recommendation.md`, the reasons to read.

    Raises:
        RecipeError: `budget.gpu` is no known card, batch sizes conflict, or a target is missing.
        ModelError: The model's type is not one whose memory can be estimated.
        DataError: The rows are preference pairs, which nothing here trains yet.
    """
    assert report.verdict != "fail", "the flow stops at a failed data gate"
    if "preference" in splits.format.split(" + "):
        raise refuse_training(str(recipe.dataset.path))
    facts = facts_for(recipe, from_config(read_config(Path(base.path)), base.name), splits)
    inputs = {"facts": facts, "base": base.sha256}
    recommendation = folder.remember(
        "recommend", Recommendation, inputs, lambda place: _decide_and_write(facts, place)
    )
    if recommendation.method == "nothing_fits":
        folder.say(f"recommend: nothing fits. {recommendation.conflict}")
    elif recommendation.memory is not None and recommendation.device == "cpu":
        free, needed = free_ram_bytes(), recommendation.memory.high_bytes
        if free is not None and free < needed:
            folder.say(f"recommend: {gib(needed)} may be needed, {gib(free)} are free right now")
    return recommendation


def _decide_and_write(facts: Facts, place: Path) -> Recommendation:
    recommendation = decide(facts)
    write_atomically(place / "recommendation.md", recommendation_markdown(recommendation))
    return recommendation
