"""Schedule: batch sizes that multiply to the wanted one, and the optimizer steps that follow.

    global = per device x accumulation x processes          exactly, or the recipe is wrong
    steps  = ceil(epochs x ceil(batches / accumulation))     as transformers' Trainer counts

Example: 1,500 rows, 16 a step, 3 epochs: 94 batches, 282 steps.
"""

from __future__ import annotations

import math

from tasks.errors import RecipeError
from tasks.recipe import TrainingSection

__all__ = ["DEFAULT_GLOBAL_BATCH", "accumulation_for", "candidates", "optimizer_steps"]

#: Sequences a step where the recipe says nothing, as in peers' examples.
DEFAULT_GLOBAL_BATCH = 16


def candidates(training: TrainingSection) -> tuple[int, ...]:
    """Return the per-device batch sizes that are possible, largest first.

    Raises:
        RecipeError: The recipe's batch sizes do not multiply to its global one.
    """
    processes = training.num_processes
    wanted, fixed = training.global_batch_size, training.per_device_train_batch_size
    accumulation = training.gradient_accumulation_steps
    if fixed is not None:
        if wanted is not None and wanted % (fixed * (accumulation or 1) * processes):
            raise RecipeError(_conflict(training))
        if wanted is not None and accumulation and fixed * accumulation * processes != wanted:
            raise RecipeError(_conflict(training))
        return (fixed,)
    parts = processes * (accumulation or 1)
    if wanted is not None and wanted % parts:
        raise RecipeError(_conflict(training))
    share = (wanted or max(parts, DEFAULT_GLOBAL_BATCH)) // parts
    if accumulation is not None and wanted is not None:
        return (share,)
    return tuple(n for n in _powers_down(share) if wanted is None or share % n == 0)


def accumulation_for(training: TrainingSection, per_device: int) -> int:
    """Return the accumulation steps that go with a per-device batch size."""
    if training.gradient_accumulation_steps is not None:
        return training.gradient_accumulation_steps
    step = per_device * training.num_processes
    if training.global_batch_size is not None:
        return training.global_batch_size // step
    return max(1, round(DEFAULT_GLOBAL_BATCH / step))


def optimizer_steps(
    sequences: int, per_device: int, accumulation: int, training: TrainingSection
) -> int:
    """Return the optimizer steps of a run, as `Trainer.set_initial_training_values` counts them."""
    if training.max_steps >= 0:
        return training.max_steps
    batches = math.ceil(math.ceil(sequences / per_device) / training.num_processes)
    per_epoch = max(1, math.ceil(batches / accumulation))
    return math.ceil(training.num_train_epochs * per_epoch)


def _powers_down(limit: int) -> list[int]:
    return [2**k for k in range(limit.bit_length() - 1, -1, -1)]


def _conflict(training: TrainingSection) -> str:
    return (
        f"training.global_batch_size = {training.global_batch_size} is not a multiple of "
        f"per_device_train_batch_size ({training.per_device_train_batch_size or 'chosen'}) x "
        f"gradient_accumulation_steps ({training.gradient_accumulation_steps or 'derived'}) x "
        f"num_processes ({training.num_processes}). Leave one of them out and it is derived."
    )
