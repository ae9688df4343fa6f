"""The command `finetune recommend`: flags in, a recommendation out, on a table or as JSON.

It answers at once: nothing of Prefect, torch or transformers is imported, no file but the model's
config.json is read, and nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.arguments.words import NAMES, price
from tasks.base_model import find_path, read_config
from tasks.contracts import MemoryEstimate, Recommendation
from tasks.decision import Facts, decide
from tasks.errors import RecipeError
from tasks.estimates.architecture import Architecture, architecture, from_config
from tasks.estimates.hardware import hardware_for
from tasks.estimates.memory import GIB
from tasks.recipe import BudgetSection, LoraSection, RequirementsSection, Section, TrainingSection

__all__ = ["Flags", "recommend_from_flags", "recommendation_tables", "show"]

S = TypeVar("S", bound=Section)

#: Recipe key -> flag, where they differ.
FLAG_NAMES = {"max_usd": "budget", "max_hours": "hours", "num_train_epochs": "epochs", "r": "rank"}
COLOURS = {"decided": "bold green", "agreed": "", "overruled": "yellow"}


@dataclass(frozen=True)
class Flags:
    """What can be said on the command line; each is a key of the recipe."""

    model: str
    gpu: str | None = None
    gpu_count: int = 1
    vram_gb: float | None = None
    usd_per_gpu_hour: float | None = None
    budget: float | None = None
    hours: float | None = None
    tasks: int = 1
    accuracy: float | None = None
    rows: int = 10_000
    tokens: int = 1024
    epochs: float = 3.0
    deployment: str = "cloud"
    continual: str = "none"
    complexity: str = "medium"
    critical: bool = False
    domain_shift: str = "none"
    rapid: str = "no"
    method: str = "auto"
    rank: int | None = None
    rules: str = "evidence"


def recommend_from_flags(flags: Flags) -> Recommendation:
    """Return the recommendation for the flags.

    Raises:
        RecipeError: Flags that are wrong, all in one message.
        ModelError: No such model, or a type whose memory cannot be estimated.
    """
    problems: list[str] = []
    requirements = _section(
        RequirementsSection,
        problems,
        **_pick(flags, "accuracy", "tasks", "deployment", "continual"),
        **_pick(flags, "complexity", "critical", "domain_shift", "rapid"),
    )
    budget = _section(
        BudgetSection,
        problems,
        max_usd=flags.budget,
        max_hours=flags.hours,
        **_pick(flags, "gpu", "gpu_count", "vram_gb", "usd_per_gpu_hour"),
    )
    lora = _section(LoraSection, problems, r=flags.rank)
    training = _section(TrainingSection, problems, num_train_epochs=flags.epochs)
    problems += _wrong_words(flags)
    if problems or requirements is None or budget is None or lora is None or training is None:
        raise RecipeError("\n".join(problems))
    hardware = hardware_for(budget)
    if hardware.kind != "cpu":
        training = training.model_copy(update={"num_processes": hardware.count})
    return decide(
        Facts(
            architecture=_architecture(flags.model),
            hardware=hardware,
            rows=flags.rows,
            train_tokens=flags.rows * flags.tokens,
            length=flags.tokens,
            method=flags.method,  # ty: ignore[invalid-argument-type]
            lora=lora,
            training=training,
            requirements=requirements,
            budget=budget,
            rules=flags.rules,  # ty: ignore[invalid-argument-type]
        )
    )


def _wrong_words(flags: Flags) -> list[str]:
    """Return what is wrong with the flags that are no keys of a section."""
    told = [
        f"--{name} {getattr(flags, name)}: must be at least 1."
        for name in ("rows", "tokens")
        if getattr(flags, name) < 1
    ]
    words = {"rules": ("evidence", "guide"), "method": ("auto", "full", "lora", "qlora")}
    for name, allowed in words.items():
        if getattr(flags, name) not in allowed:
            told.append(f"--{name} {getattr(flags, name)}: must be one of {', '.join(allowed)}.")
    return told


def _pick(flags: Flags, *names: str) -> dict[str, Any]:
    return {name: getattr(flags, name) for name in names}


def _section(kind: type[S], problems: list[str], **values: object) -> S | None:
    """Return the recipe's section, or note each wrong value under the name of its flag."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        for item in error.errors():
            key = str(item["loc"][0])
            flag = FLAG_NAMES.get(key, key).replace("_", "-")
            reason = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            problems.append(f"--{flag} {item['input']}: {_sentence(reason)}")
    return None


def _sentence(reason: str) -> str:
    begins = reason.startswith("is ")
    return f"{reason if begins else 'must be ' + reason}."


def _architecture(model: str) -> Architecture:
    """Return a folder's architecture, else the catalogue's."""
    folder = find_path(model)
    if folder is not None and folder.is_dir():
        return from_config(read_config(folder), folder.name)
    return architecture(model)


def show(recommendation: Recommendation, console: Console, *, as_json: bool = False) -> None:
    """Write the recommendation for people, or as JSON."""
    if as_json:
        console.file.write(recommendation.model_dump_json(indent=2) + "\n")
        return
    for part in recommendation_tables(recommendation):
        console.print(part)


def recommendation_tables(recommendation: Recommendation) -> list[RenderableType]:
    """Return what a terminal shows: the decision, settings, figures, reasons, and the rest."""
    chosen = recommendation.hyperparameters
    rank = f" r {chosen.r}" if chosen and chosen.r else ""
    adapters = f", {recommendation.adapters} adapters" if recommendation.adapters > 1 else ""
    parts: list[RenderableType] = [
        Text.assemble("Recommendation: ", (NAMES[recommendation.method] + rank, "bold"), adapters)
    ]
    if recommendation.conflict:
        parts.append(Text(recommendation.conflict, "yellow"))
    parts += [_settings(recommendation), _reasons(recommendation)]
    for other in recommendation.alternatives:
        second = recommendation.runner_up
        mark = "runner-up" if second and second.method == other.method else "not"
        name = NAMES[other.method] + (f" r {other.r}" if other.r else "")
        parts.append(Text(f"{mark} {name}: {other.why_not}"))
    parts += [Text(f"warning: {x}", "yellow") for x in recommendation.warnings]
    parts += [Text(f"would change it: {x}") for x in recommendation.would_change]
    note = f"Rules: {recommendation.rules}. Times and the upper memory figure rest on heuristics."
    return [*parts, Text(note, "dim")]


def _settings(recommendation: Recommendation) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    chosen, memory, cost = (
        recommendation.hyperparameters,
        recommendation.memory,
        recommendation.cost,
    )
    if chosen and chosen.r:
        scale = f"effective scale {chosen.effective_scale:.2f}"
        table.add_row(
            "adapter", f"r {chosen.r}, alpha {chosen.lora_alpha}, {chosen.variant}, {scale}"
        )
        targets = chosen.target_modules
        table.add_row("targets", ", ".join(targets) if isinstance(targets, tuple) else targets)
    if chosen:
        batch, accumulation = chosen.per_device_train_batch_size, chosen.gradient_accumulation_steps
        table.add_row("learning rate", f"{chosen.learning_rate:g}")
        table.add_row("batch", f"{batch} per device, accumulated {accumulation} times")
        table.add_row("steps", f"{chosen.steps:,} ({chosen.num_train_epochs:g} epochs)")
        share = chosen.trainable_parameters / chosen.parameters
        trained = (
            f"{chosen.trainable_parameters:,} ({share:.2%} of the base's {chosen.parameters:,})"
        )
        table.add_row("trained", trained)
        checkpointing = ", gradient checkpointing" if chosen.gradient_checkpointing else ""
        table.add_row("precision", chosen.dtype + checkpointing)
    if memory:
        table.add_row("memory", _memory(memory))
    if cost:
        table.add_row("cost", f"{price(cost)} (price: {cost.price_source})")
    table.add_row("device", recommendation.device)
    return table


def _memory(memory: MemoryEstimate) -> str:
    parts = {
        "weights": memory.weights_bytes + memory.adapter_bytes,
        "gradients": memory.gradients_bytes,
        "optimizer": memory.optimizer_bytes,
        "activations": memory.activations_bytes + memory.logits_bytes,
        "context": memory.overhead_bytes,
    }
    told = ", ".join(f"{name} {size / GIB:.2g}" for name, size in parts.items() if size)
    usable = "" if memory.available_bytes is None else f" of {memory.available_bytes / GIB:.1f}"
    return f"{memory.low_bytes / GIB:.1f} to {memory.high_bytes / GIB:.1f}{usable} GiB ({told})"


def _reasons(recommendation: Recommendation) -> Table:
    table = Table("question", "answer", "argues for", "outcome", pad_edge=False)
    for reason in recommendation.reasons:
        by = f" by {reason.overruled_by}" if reason.overruled_by else ""
        outcome = Text(reason.outcome + by, COLOURS[reason.outcome])
        table.add_row(reason.question, reason.answer, reason.argues_for, outcome)
    return table
