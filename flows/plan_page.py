"""The plan as a terminal shows it: settings with their origin, stages with their cost, the diff."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tasks.arguments.words import dollars, duration, gib
from tasks.contracts import Recommendation, Splits, StageCost
from tasks.estimates.stages import stage_costs
from tasks.recipe import Recipe
from tasks.reports.plan_markdown import plan_markdown, resolved_settings
from tasks.run_folder import RunFolder

__all__ = ["plan_page", "plan_text", "seconds_of"]

#: How the sentences about the exact memory begin.
TRACED = ("Traced", "The trace", "The memory could not be traced")
COLOURS = {"recipe": "bold", "chosen": "green", "default": "dim"}


def plan_page(
    recipe: Recipe, splits: Splits, choice: Recommendation, measured: Mapping[str, float]
) -> list[RenderableType]:
    """Return what training would be run with, what each stage will cost, and the diff.

    Args:
        recipe: What the user says.
        splits: The prepared data.
        choice: What was recommended.
        measured: Seconds of the stages that are done.
    """
    settings = Table("setting", "value", "from", box=None, pad_edge=False)
    for key, value, source in resolved_settings(recipe, splits, choice):
        settings.add_row(key, Text(value, COLOURS[source]), Text(source, COLOURS[source]))
    parts: list[RenderableType] = [_head("What training would be run with"), settings]
    parts += [_head("What each stage will cost")]
    parts.append(_costs(stage_costs(recipe, splits, choice, measured)))
    parts += [Text(line, "dim") for line in choice.warnings if line.startswith(TRACED)]
    parts.append(_head("Your recipe and the rules"))
    if not choice.advice:
        parts.append(
            Text("Nothing that the recipe fixes differs from what the rules would choose.")
        )
    parts += [
        Text(f"your recipe says {x.key}: {x.yours}; {x.advised} is advised because {x.because}")
        for x in choice.advice
    ]
    return parts


def plan_text(
    recipe: Recipe, splits: Splits, choice: Recommendation, measured: Mapping[str, float]
) -> str:
    """Return the plan as Markdown."""
    costs = stage_costs(recipe, splits, choice, measured)
    return plan_markdown(resolved_settings(recipe, splits, choice), costs, choice)


def seconds_of(folder: RunFolder) -> dict[str, float]:
    """Return how long the stages took that are done, from their manifests."""
    done = ("prepare", "validate", "recommend")
    return {stage: folder.seconds(stage) for stage in done}


def _head(title: str) -> Text:
    return Text.assemble("\n", (title, "bold"))


def _costs(costs: tuple[StageCost, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "time", "cost", "memory", "disk", "basis"):
        table.add_column(name)
    for cost in costs:
        low, high = cost.seconds
        time = duration(low) if low == high else f"{duration(low)} to {duration(high)}"
        usd = "" if cost.usd is None else f"{dollars(cost.usd[0])} to {dollars(cost.usd[1])}"
        table.add_row(
            cost.stage,
            time,
            usd,
            gib(cost.memory_bytes) if cost.memory_bytes else "",
            f"{cost.disk_bytes / 1e9:.2g} GB" if cost.disk_bytes else "",
            Text(cost.basis, "dim"),
        )
    return table
