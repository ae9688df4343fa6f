"""The recommendation as Markdown: for the run page and the model card."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.contracts import CostEstimate, MemoryEstimate, Recommendation

__all__ = ["NAMES", "recommendation_markdown"]

GIB = 2**30
OUTCOMES = {"decided": "**decided**", "agreed": "agrees", "overruled": "overruled"}
NAMES = {
    "full": "full fine-tuning",
    "lora": "LoRA",
    "qlora": "QLoRA",
    "prompting": "prompting or few-shot examples",
    "nothing_fits": "nothing fits",
}


def recommendation_markdown(recommendation: Recommendation) -> str:
    """Return the decision with its settings, figures and reasons."""
    return "\n".join(
        [
            *_head(recommendation),
            *_settings(recommendation),
            *_memory(recommendation.memory),
            *_cost(recommendation.cost),
            *_reasons(recommendation),
            *_others(recommendation),
            *_list("Warnings", recommendation.warnings),
            *_list("What would change the answer", recommendation.would_change),
            (
                f"Rules: {recommendation.rules}. Device: {recommendation.device}. "
                f"The recipe asked for: {recommendation.asked_for}."
            ),
            "",
        ]
    )


def _head(recommendation: Recommendation) -> list[str]:
    chosen = recommendation.hyperparameters
    name = NAMES[recommendation.method]
    rank = f", r {chosen.r}" if chosen and chosen.r else ""
    adapters = f", {recommendation.adapters} adapters" if recommendation.adapters > 1 else ""
    lines = [f"# Recommendation: {name}{rank}{adapters}", ""]
    if recommendation.conflict:
        lines += [f"> {recommendation.conflict}", ""]
    return lines


def _settings(recommendation: Recommendation) -> list[str]:
    chosen = recommendation.hyperparameters
    if chosen is None:
        return []
    targets = chosen.target_modules
    rows = {
        "rank, alpha": f"{chosen.r}, {chosen.lora_alpha} ({chosen.variant})" if chosen.r else None,
        "effective scale": f"{chosen.effective_scale:.2f}" if chosen.effective_scale else None,
        "target modules": ", ".join(targets) if isinstance(targets, tuple) else targets,
        "learning rate": f"{chosen.learning_rate:g}",
        "batch": f"{chosen.per_device_train_batch_size} per device, accumulated "
        f"{chosen.gradient_accumulation_steps} times",
        "steps": f"{chosen.steps:,}",
        "precision": chosen.dtype,
        "gradient checkpointing": "yes" if chosen.gradient_checkpointing else "no",
        "trained": f"{chosen.trainable_parameters:,} of {chosen.parameters:,} parameters "
        f"({100 * chosen.trainable_parameters / chosen.parameters:.3g} %)",
    }
    return _table(("Setting", "Value"), [(k, v) for k, v in rows.items() if v is not None])


def _memory(memory: MemoryEstimate | None) -> list[str]:
    if memory is None:
        return []
    parts = {
        "weights": memory.weights_bytes,
        "adapter": memory.adapter_bytes,
        "gradients": memory.gradients_bytes,
        "optimizer": memory.optimizer_bytes,
        "activations": memory.activations_bytes,
        "logits and temporaries": memory.logits_bytes,
        "context and slack": memory.overhead_bytes,
        "device, low to high": None,
    }
    rows = [(name, _gib(size)) for name, size in parts.items() if size]
    rows.append(("device, low to high", f"{_gib(memory.low_bytes)} to {_gib(memory.high_bytes)}"))
    if memory.available_bytes is not None:
        rows.append(("usable", _gib(memory.available_bytes)))
    return _table(("Memory at the peak", "GiB"), rows)


def _gib(size: int) -> str:
    return f"{size / GIB:.2f}" if size >= 0.01 * GIB else f"{size / GIB:.2g}"


def _cost(cost: CostEstimate | None) -> list[str]:
    if cost is None:
        return []
    rows = [
        ("tokens", f"{cost.train_tokens:,}"),
        ("steps", f"{cost.steps:,}"),
        ("hours", f"{cost.low_seconds / 3600:.3g} to {cost.high_seconds / 3600:.3g}"),
    ]
    if cost.low_usd is not None and cost.high_usd is not None:
        rows.append(("dollars", f"{cost.low_usd:,.2f} to {cost.high_usd:,.2f}"))
    rows.append(("price", cost.price_source))
    return _table(("Cost, a range (heuristic efficiency)", ""), rows)


def _reasons(recommendation: Recommendation) -> list[str]:
    rows = [
        (
            reason.question,
            reason.answer,
            reason.argues_for,
            OUTCOMES[reason.outcome]
            + (f" by {reason.overruled_by}" if reason.overruled_by else ""),
            f"{reason.rule}, {reason.source}",
        )
        for reason in recommendation.reasons
    ]
    return _table(("Question", "Answer", "Argues for", "Outcome", "Rule"), rows)


def _others(recommendation: Recommendation) -> list[str]:
    second = recommendation.runner_up
    rows = [
        (
            NAMES[other.method] + (f" r {other.r}" if other.r else ""),
            "runner-up" if second and other.method == second.method else "",
            other.why_not,
        )
        for other in recommendation.alternatives
    ]
    return _table(("Not chosen", "", "Why not"), rows)


def _list(title: str, sentences: tuple[str, ...]) -> list[str]:
    return [f"## {title}", "", *(f"- {x}" for x in sentences), ""] if sentences else []


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return [*("| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines), ""]
