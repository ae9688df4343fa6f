"""What a failed training run means for its user: which errors have a plain explanation.

Anything not known here keeps its traceback, in the child's log.
"""

from __future__ import annotations

import errno
import shutil
import traceback

from tasks.deaths import NO_MEMORY
from tasks.errors import FinetuneError, FolderError, OutOfMemoryError, RecipeError
from tasks.trainer import memory
from tasks.trainer.spec import TrainSpec

__all__ = ["explain"]

FULL = {errno.ENOSPC, errno.EDQUOT}


def explain(error: BaseException, spec: TrainSpec) -> FinetuneError | None:
    """Return the error to show the user, or None if this one is not understood."""
    if isinstance(error, FinetuneError):
        return error
    text = str(error)
    if _out_of_memory(error, text):
        return OutOfMemoryError(_memory_message(spec))
    if _disk_full(error, text, spec):
        return FolderError(
            f"{spec.home}: the disk is full; no result was kept. Free some space or lower "
            "training.save_total_limit, then run again: it goes on from the last whole checkpoint."
        )
    handed_on = _handed_on(spec)
    if handed_on and isinstance(error, ValueError | TypeError) and _while_building(error):
        return RecipeError(f"{', '.join(handed_on)}: the library refuses it: {text}")
    if isinstance(error, ImportError):
        return RecipeError(f"training.optim = {spec.training.optim}: {text}")
    return None


def _handed_on(spec: TrainSpec) -> list[str]:
    """Return the keys whose values were checked for their type only."""
    sections = spec.training, spec.lora, spec.quantization
    return [f"{section.SECTION}.{key}" for section in sections for key in section.handed_on()]


def _while_building(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return any(frame.name == "build_trainer" for frame in frames)


def _out_of_memory(error: BaseException, text: str) -> bool:
    import torch

    on_gpu = isinstance(error, torch.OutOfMemoryError)
    return on_gpu or isinstance(error, MemoryError) or any(words in text for words in NO_MEMORY)


def _disk_full(error: BaseException, text: str, spec: TrainSpec) -> bool:
    """Safetensors names the cause in its text; torch.save only that its zip file went wrong."""
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    writing = "PytorchStreamWriter" in text or "inline_container" in text
    return "No space left on device" in text or (
        writing and shutil.disk_usage(spec.checkpoints).free < memory.GIB
    )


def _memory_message(spec: TrainSpec) -> str:
    chosen = spec.hyperparameters
    tries = []
    if chosen.per_device_train_batch_size > 1:
        half = chosen.per_device_train_batch_size // 2
        tries.append(
            f"training.per_device_train_batch_size: {half} (the step stays as large: accumulation "
            "is derived from global_batch_size)"
        )
    if not chosen.gradient_checkpointing:
        tries.append("training.gradient_checkpointing: true")
    tries.append(f"dataset.max_length below {spec.max_length}")
    if spec.method != "qlora":
        tries.append("method: qlora")
    return (
        f"train: memory ran out at a peak of {memory.gib(memory.peak_bytes())} "
        f"({memory.sentence(spec.memory)}). Try, in this order: {'; '.join(tries)}."
    )
