"""What the adapter's variant changes around the loop: what is kept at the start, what is saved.

Most variants save what PEFT saves. PiSSA saves the difference to its start, so that the adapter
loads on the untouched base; the start is the same in every process of a run, resumed or not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.methods import VARIANTS
from tasks.trainer.spec import TrainSpec

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["can_resume", "keep_start", "save_weights", "variant_of"]


def variant_of(spec: TrainSpec) -> ModuleType | None:
    """Return the module of the adapter's variant; None for full fine-tuning."""
    chosen = spec.hyperparameters.variant
    return None if spec.method == "full" else VARIANTS[chosen or "lora"]


def can_resume(spec: TrainSpec) -> bool:
    """Return whether a checkpoint of this variant loads back into training."""
    return getattr(variant_of(spec), "CAN_RESUME", True)


def keep_start(spec: TrainSpec, model: Any) -> None:  # noqa: ANN401 - a PeftModel
    """Keep what `save_weights` needs of the untrained adapter."""
    variant = variant_of(spec)
    if variant is not None and hasattr(variant, "keep_start"):
        variant.keep_start(model, _start(spec))


def save_weights(
    spec: TrainSpec,
    model: Any,  # noqa: ANN401 - a PeftModel
    folder: Path,
    weights: dict[str, Any] | None = None,
) -> None:
    """Write the model or the adapter as it is handed on.

    Args:
        spec: The run.
        model: What was trained.
        folder: Where to.
        weights: Of a sharded model: its weights put together (`tasks/trainer/sharding.py`).
    """
    variant = variant_of(spec)
    if weights is not None:
        model.save_pretrained(folder, state_dict=weights)
    elif variant is not None and hasattr(variant, "save"):
        variant.save(model, folder, _start(spec))
    else:
        model.save_pretrained(folder)


def _start(spec: TrainSpec) -> Path:
    return spec.checkpoints / "start"
