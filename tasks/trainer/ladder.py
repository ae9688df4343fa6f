"""The ladder: what to change when memory ran out, rung by rung; each changes as little as can be.

    1 smaller micro-batch, more accumulation    the same sum over the same rows in a step
    2 gradient checkpointing                    the same sum, computed twice
    3 an 8-bit optimizer (paged on a GPU)       other moments, near to these: starts anew
    4 QLoRA                                     another frozen base: starts anew, only if method: auto

1 and 2 go on from the newest whole checkpoint; 3 and 4 cannot. Each rung is climbed at most once,
but for the first, which ends at a micro-batch of one. What the recipe set is left alone:
`gradient_checkpointing: false`, another `optim`, `auto_find_batch_size: false`. A sharded run has
only 1 and 2. Memory that runs out before the first batch is not the batch's fault: then only the
last rung is left.
"""

from __future__ import annotations

from tasks.contracts import Recovery
from tasks.methods import VARIANTS
from tasks.recipe import IMPOSSIBLE, TrainingSection
from tasks.trainer.spec import TrainSpec

__all__ = ["applied", "next_rung"]

Settings = dict[str, str | int | bool]

#: bitsandbytes' AdamW: two bytes of state a parameter where AdamW has eight.
SAVED_BYTES = 6
#: Heuristic: below this share of the estimated peak the third rung is not worth a new start.
WORTH_IT = 0.02


def next_rung(spec: TrainSpec, *, begun: bool, may_quantize: bool) -> Recovery | None:
    """Return the next change, or None when nothing is left or the recipe forbids it.

    Args:
        spec: The run whose memory ran out, with every rung climbed so far applied.
        begun: Whether it had reached its first batch.
        may_quantize: Whether QLoRA would still be what was asked for (`method: auto`).
    """
    if spec.training.on_out_of_memory == "raise":
        return None
    rungs = (_smaller, _checkpointed, _eight_bit) if begun else ()
    for rung in rungs:
        found = rung(spec)
        if found is not None:
            return found
    return _quantized(spec) if may_quantize else None


def applied(spec: TrainSpec, recoveries: tuple[Recovery, ...]) -> TrainSpec:
    """Return a spec under these changes; its estimate is still that of what was recommended."""
    for recovery in recoveries:
        chosen, training, method = spec.hyperparameters, spec.training, spec.method
        for key, value in recovery.settings.items():
            name = key.rpartition(".")[2]
            if key == "method":
                method = "qlora"
            if name in type(training).model_fields:
                training = training.model_copy(update={name: value})
            if name in type(chosen).model_fields:
                chosen = chosen.model_copy(update={name: value})
        changed = {"hyperparameters": chosen, "training": training, "method": method}
        spec = spec.model_copy(update=changed)
    return spec.model_copy(update={"recoveries": recoveries})


def _smaller(spec: TrainSpec) -> Recovery | None:
    """Divide the micro-batch by its smallest factor, so that the step stays exactly as large."""
    chosen, size = spec.hyperparameters, spec.hyperparameters.per_device_train_batch_size
    evaluated = spec.training.per_device_eval_batch_size
    if not spec.training.auto_find_batch_size or (size == 1 and evaluated == 1):
        return None
    times = next((n for n in range(2, size + 1) if size % n == 0), 1)
    small, accumulated = size // times, chosen.gradient_accumulation_steps * times
    settings: Settings = {
        "training.per_device_train_batch_size": small,
        "training.gradient_accumulation_steps": accumulated,
        "training.per_device_eval_batch_size": min(evaluated, small),
    }
    told = f"micro-batches of {small} sequences instead of {size}, {accumulated} accumulated"
    return _recovery("smaller micro-batch", settings, f"{told}: the step stays as large")


def _checkpointed(spec: TrainSpec) -> Recovery | None:
    if spec.hyperparameters.gradient_checkpointing or spec.training.gradient_checkpointing is False:
        return None
    settings: Settings = {"training.gradient_checkpointing": True}
    told = "activations are computed again in the backward pass instead of kept"
    return _recovery("gradient checkpointing", settings, told)


def _eight_bit(spec: TrainSpec) -> Recovery | None:
    """Leave alone what the recipe or the variant chose, and what would gain too little."""
    asked = spec.training.optim
    variant = VARIANTS[spec.hyperparameters.variant or "lora"]
    own = spec.method != "full" and hasattr(variant, "make_optimizer")
    if asked != TrainingSection.model_fields["optim"].default or own or spec.sharded:
        return None
    saved = SAVED_BYTES * spec.hyperparameters.trainable_parameters
    if spec.memory is not None and saved < WORTH_IT * spec.memory.high_bytes:
        return None
    optim = "paged_adamw_8bit" if spec.on_gpu else "adamw_bnb_8bit"
    told = f"optimizer {optim} instead of {asked}; its states do not fit, so training starts anew"
    return _recovery("8-bit optimizer", {"training.optim": optim}, told, restarts=True)


def _quantized(spec: TrainSpec) -> Recovery | None:
    """Only from LoRA: full fine-tuning and QLoRA share neither rank nor learning rate."""
    variant = spec.hyperparameters.variant
    if spec.method != "lora" or ("qlora", variant) in IMPOSSIBLE or spec.sharded:
        return None
    told = "QLoRA instead of LoRA: the frozen base in 4 bit, so training starts anew"
    return _recovery("QLoRA", {"method": "qlora"}, told, restarts=True)


def _recovery(name: str, settings: Settings, told: str, *, restarts: bool = False) -> Recovery:
    return Recovery(
        cause="memory ran out",
        settings=settings,
        sentence=f"{name}: {told}",
        restarts=restarts,
    )
