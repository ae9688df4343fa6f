"""Stages: what evaluating and publishing will take, beside training, before anything is loaded.

    evaluate   base and tuned: 2 N a token scored, 2 N a token generated, over a share of the peak
    publish    read the base and write the result, at the speed of a disk; merging holds the model
               in float32 (tasks/exports/merged.py)

The shares are heuristics: generation waits for memory, so it reaches little of the peak (0.03 in the
quickstart on 2 cores, 2026-11). What was measured on the way (prepare, validate) is measured.
"""

from __future__ import annotations

from collections.abc import Mapping

from tasks.contracts import Hyperparameters, Recommendation, Splits, StageCost
from tasks.estimates.hardware import Hardware, hardware_for
from tasks.estimates.memory import LIBRARIES_HIGH
from tasks.recipe import Recipe

__all__ = ["stage_costs"]

#: Heuristics: shares of the peak when scoring and when generating, bytes a second of a disk, and
#: seconds to start a child process and load the libraries.
SCORING, GENERATING = (0.05, 0.5), (0.005, 0.2)
DISK = (1.5e8, 2e9)
STARTING = (5.0, 30.0)


def stage_costs(
    recipe: Recipe,
    splits: Splits,
    choice: Recommendation,
    measured: Mapping[str, float],
) -> tuple[StageCost, ...]:
    """Return one cost a stage, in order.

    Args:
        recipe: What it says about evaluation and publishing.
        splits: Test rows and the longest answer.
        choice: Method, settings, training time and memory.
        measured: Seconds of the stages that are done.

    Raises:
        RecipeError: `budget.gpu` is no known card.
    """
    chosen, cost = choice.hyperparameters, choice.cost
    assert chosen is not None
    assert cost is not None
    hardware = hardware_for(recipe.budget)
    done = [
        StageCost(
            stage=stage,
            seconds=(seconds, seconds),
            usd=None,
            memory_bytes=None,
            disk_bytes=None,
            basis="measured",
        )
        for stage, seconds in measured.items()
    ]
    weights = _written(choice, chosen)
    kept = (recipe.training.save_total_limit + 1) * (weights + 8 * chosen.trainable_parameters)
    usd = None if cost.low_usd is None or cost.high_usd is None else (cost.low_usd, cost.high_usd)
    training = StageCost(
        stage="train",
        seconds=(cost.low_seconds, cost.high_seconds),
        usd=usd,
        memory_bytes=choice.memory.high_bytes if choice.memory else None,
        disk_bytes=kept,
        basis=f"estimated: {cost.steps:,} steps; disk for {recipe.training.save_total_limit} + 1 "
        "checkpoints",
    )
    scoring = _evaluation(recipe, splits, chosen, hardware)
    return (*done, training, scoring, _publication(recipe, choice, chosen, hardware))


def _evaluation(
    recipe: Recipe, splits: Splits, chosen: Hyperparameters, hardware: Hardware
) -> StageCost:
    rows = min(splits.test.rows, recipe.evaluation.max_rows or splits.test.rows)
    share = rows / max(1, splits.test.rows)
    scored = 2 * chosen.parameters * splits.test.tokens * share
    answer = recipe.evaluation.max_new_tokens or splits.longest_answer_tokens + 8
    generated = 2 * chosen.parameters * rows * answer if splits.checkable else 0.0
    slow, fast = (peak * 1e12 for peak in hardware.tflops)
    low = 2 * (scored / (fast * SCORING[1]) + generated / (fast * GENERATING[1])) + STARTING[0]
    high = 2 * (scored / (slow * SCORING[0]) + generated / (slow * GENERATING[0])) + STARTING[1]
    width = 4 if chosen.dtype == "float32" else 2
    return StageCost(
        stage="evaluate",
        seconds=(low, high),
        usd=_money(hardware, low, high),
        memory_bytes=width * chosen.parameters + round(LIBRARIES_HIGH),
        disk_bytes=None,
        basis=f"heuristic: base and tuned on {rows:,} test rows"
        + (f", {answer} tokens generated a row" if splits.checkable else ""),
    )


def _written(choice: Recommendation, chosen: Hyperparameters) -> int:
    """Return the bytes of what is trained, as it is saved: an adapter, or a whole model."""
    return 4 * (chosen.parameters if choice.method == "full" else chosen.trainable_parameters)


def _publication(
    recipe: Recipe, choice: Recommendation, chosen: Hyperparameters, hardware: Hardware
) -> StageCost:
    width = 4 if chosen.dtype == "float32" else 2
    base, form = width * chosen.parameters, "model" if choice.method == "full" else "adapter"
    written = _written(choice, chosen)
    memory = base
    if choice.method != "full" and recipe.publish.kind == "merged":
        form, written, memory = "merged model", base, 4 * chosen.parameters
    low, high = (
        (2 * base + written) / DISK[1] + STARTING[0],
        (2 * base + written) / DISK[0] + 2 * STARTING[1],
    )
    return StageCost(
        stage="publish",
        seconds=(low, high),
        usd=_money(hardware, low, high),
        memory_bytes=memory + round(LIBRARIES_HIGH),
        disk_bytes=written,
        basis=f"heuristic: the {form}, compared with what was evaluated",
    )


def _money(hardware: Hardware, low: float, high: float) -> tuple[float, float] | None:
    if hardware.usd_per_hour is None:
        return None
    hours = hardware.count / 3600
    return low * hours * hardware.usd_per_hour[0], high * hours * hardware.usd_per_hour[1]
