"""The recommendation as one JSON object, flat and with stable keys, for scripts and planners."""

from __future__ import annotations

from typing import Any

from tasks.contracts import CostEstimate, Hyperparameters, MemoryEstimate, Recommendation

__all__ = ["recommendation_json"]

#: Method of the record -> word of the object.
METHODS = {"nothing_fits": "none"}


def recommendation_json(
    choice: Recommendation, understood: tuple[str, ...] = (), assumed: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the object; a figure that is not known is null."""
    chosen = choice.hyperparameters
    return {
        "method": METHODS.get(choice.method, choice.method),
        "adapters": choice.adapters,
        "lora": _lora(chosen),
        "learning_rate": chosen.learning_rate if chosen else None,
        "conflict": choice.conflict is not None,
        "conflict_reason": choice.conflict,
        "fired": [reason.rule for reason in choice.reasons],
        "blocked": list(choice.blocked),
        "runner_up": choice.runner_up.model_dump(mode="json", include={"method", "r", "why_not"})
        if choice.runner_up
        else None,
        "would_change": list(choice.would_change),
        "memory": _memory(choice.memory),
        "time_seconds": _range(choice.cost, "seconds"),
        "cost_usd": _range(choice.cost, "usd"),
        "price_source": choice.cost.price_source if choice.cost else None,
        "trainable_parameters": chosen.trainable_parameters if chosen else None,
        "warnings": list(choice.warnings),
        "settings": chosen.model_dump(mode="json") if chosen else None,
        "reasons": [reason.model_dump(mode="json") for reason in choice.reasons],
        "comparison": [
            option.model_dump(mode="json", exclude={"memory", "cost"})
            | {
                "memory": _memory(option.memory),
                "time_seconds": _range(option.cost, "seconds"),
                "cost_usd": _range(option.cost, "usd"),
            }
            for option in choice.comparison
        ],
        "rejected": {other.method: other.why_not for other in choice.alternatives},
        "advice": [advice.model_dump(mode="json") for advice in choice.advice],
        "understood": list(understood),
        "assumed": list(assumed),
        "device": choice.device,
        "rules": choice.rules,
        "asked_for": choice.asked_for,
    }


def _lora(chosen: Hyperparameters | None) -> dict[str, Any] | None:
    if chosen is None or chosen.r is None:
        return None
    return {
        "r": chosen.r,
        "lora_alpha": chosen.lora_alpha,
        "use_rslora": chosen.variant == "rslora",
        "target_modules": chosen.target_modules
        if isinstance(chosen.target_modules, str)
        else list(chosen.target_modules or ()),
        "effective_scale": chosen.effective_scale,
    }


def _memory(memory: MemoryEstimate | None) -> dict[str, Any] | None:
    """Return allocated bytes (live tensors), the device's interval, and the parts of the peak."""
    if memory is None:
        return None
    parts = {
        "weights": memory.weights_bytes,
        "adapter": memory.adapter_bytes,
        "gradients": memory.gradients_bytes,
        "optimizer": memory.optimizer_bytes,
        "activations": memory.activations_bytes,
        "logits": memory.logits_bytes,
    }
    return {
        "allocated_bytes": sum(parts.values()),
        "device_low_bytes": memory.low_bytes,
        "device_high_bytes": memory.high_bytes,
        "usable_bytes": memory.available_bytes,
        "fits": memory.fits,
        "parts": parts | {"overhead": memory.overhead_bytes},
    }


def _range(cost: CostEstimate | None, unit: str) -> dict[str, float | None] | None:
    if cost is None:
        return None
    return {"low": getattr(cost, f"low_{unit}"), "high": getattr(cost, f"high_{unit}")}
