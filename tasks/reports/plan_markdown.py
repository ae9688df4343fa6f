"""The plan: every setting that training would use and where it comes from, and what stages cost.

`resolved_settings` is what both the terminal (`flows/plan_page.py`) and the run page show.
"""

from __future__ import annotations

from typing import Any

from tasks.contracts import Recommendation, Splits, StageCost
from tasks.recipe import Recipe
from tasks.sections.adapter import VARIANT_KEYS

__all__ = ["plan_markdown", "resolved_settings"]

#: Sections of the recipe that decide how is trained, in the order of the file.
SECTIONS = ("model", "lora", "quantization", "dataset", "training")
#: Setting of the recommendation -> the recipe's key.
KEYS = {
    "dtype": "model.dtype",
    "r": "lora.r",
    "lora_alpha": "lora.lora_alpha",
    "variant": "lora.variant",
    "target_modules": "lora.target_modules",
    "learning_rate": "training.learning_rate",
    "num_train_epochs": "training.num_train_epochs",
    "max_steps": "training.max_steps",
    "per_device_train_batch_size": "training.per_device_train_batch_size",
    "gradient_accumulation_steps": "training.gradient_accumulation_steps",
    "gradient_checkpointing": "training.gradient_checkpointing",
    "num_processes": "training.num_processes",
    "accelerate_config": "training.accelerate_config",
}


def resolved_settings(
    recipe: Recipe, splits: Splits, choice: Recommendation
) -> tuple[tuple[str, str, str], ...]:
    """Return every setting of the training as key, value, and `recipe`, `chosen` or `default`."""
    chosen = choice.hyperparameters
    assert chosen is not None
    settings = chosen.model_dump()
    resolved: dict[str, Any] = {key: settings[name] for name, key in KEYS.items()}
    resolved["dataset.max_length"] = splits.max_length
    resolved["dataset.format"] = splits.format
    if chosen.num_processes == 1:
        resolved["training.accelerate_config"] = None  # nothing to share
    batch = chosen.per_device_train_batch_size * chosen.gradient_accumulation_steps
    resolved["training.global_batch_size"] = batch * chosen.num_processes
    rows = [("method", choice.method, "chosen" if recipe.method == "auto" else "recipe")]
    for section in SECTIONS:
        if section in ("lora", "quantization") and not _applies(section, choice.method):
            continue
        values = getattr(recipe, section)
        for key in (*type(values).model_fields, *(values.model_extra or {})):
            name, own = f"{section}.{key}", getattr(values, key)
            value = resolved.get(name, own)
            if value is None or value == {} or key in _of_other_variants(chosen.variant):
                continue
            said = key in values.model_fields_set and own not in (None, "auto")
            source = "recipe" if said else "chosen" if name in resolved else "default"
            rows.append((name, _text(value), source))
    rows.append(("steps", f"{chosen.steps:,}", "chosen"))
    return tuple(rows)


def _of_other_variants(variant: str | None) -> set[str]:
    return {key for name, keys in VARIANT_KEYS.items() if name != variant for key in keys}


def _applies(section: str, method: str) -> bool:
    return method == "qlora" if section == "quantization" else method in ("lora", "qlora")


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {item}" for key, item in value.items())
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def plan_markdown(
    settings: tuple[tuple[str, str, str], ...],
    costs: tuple[StageCost, ...],
    choice: Recommendation,
) -> str:
    """Return the plan for the run page."""
    lines = ["# Plan", "", "| setting | value | from |", "|---|---|---|"]
    lines += [
        f"| {key} | {value.replace('|', chr(92) + '|')} | {by} |" for key, value, by in settings
    ]
    lines += ["", "| stage | seconds | dollars | memory, GiB | disk, GB | basis |"]
    lines.append("|---|---|---|---|---|---|")
    for cost in costs:
        low, high = cost.seconds
        usd = "" if cost.usd is None else f"{cost.usd[0]:.2f} to {cost.usd[1]:.2f}"
        memory = "" if cost.memory_bytes is None else f"{cost.memory_bytes / 2**30:.3g}"
        disk = "" if cost.disk_bytes is None else f"{cost.disk_bytes / 1e9:.3g}"
        seconds = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        lines.append(f"| {cost.stage} | {seconds} | {usd} | {memory} | {disk} | {cost.basis} |")
    if choice.advice:
        lines += ["", "## Your recipe and the rules", ""]
    for one in choice.advice:
        lines.append(f"- `{one.key}: {one.yours}`; {one.advised} is advised because {one.because}")
    return "\n".join([*lines, ""])
