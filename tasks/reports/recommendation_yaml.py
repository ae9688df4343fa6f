"""The recommendation as a fragment of a recipe: the sections that fix what was chosen."""

from __future__ import annotations

from typing import Any

import yaml

from tasks.contracts import Recommendation
from tasks.errors import BudgetError, DataError
from tasks.recipe import QuantizationSection, TrainingSection

__all__ = ["recommendation_yaml"]


def recommendation_yaml(
    choice: Recommendation, training: TrainingSection, quantization: QuantizationSection
) -> str:
    """Return the fragment, ready to paste below `model:` and `dataset:`.

    Args:
        choice: The recommendation.
        training: Optimizer and processes that it was computed with.
        quantization: How a 4-bit base was taken to be packed.

    Raises:
        BudgetError: Nothing fits, so there is nothing to paste.
        DataError: No training is advised.
    """
    chosen = choice.hyperparameters
    if chosen is None:
        told = " ".join([choice.conflict or "", *choice.would_change]).strip()
        refusal = BudgetError if choice.method == "nothing_fits" else DataError
        raise refusal(f"no recipe: {told}")
    whole: dict[str, Any] = {"method": choice.method}
    if chosen.r is not None:
        targets = chosen.target_modules
        whole["lora"] = {
            "variant": chosen.variant,
            "r": chosen.r,
            "lora_alpha": chosen.lora_alpha,
            "target_modules": list(targets) if isinstance(targets, tuple) else targets,
        }
    loop: dict[str, Any] = {
        "learning_rate": chosen.learning_rate,
        "num_train_epochs": chosen.num_train_epochs,
        "per_device_train_batch_size": chosen.per_device_train_batch_size,
        "gradient_accumulation_steps": chosen.gradient_accumulation_steps,
        "gradient_checkpointing": chosen.gradient_checkpointing,
    }
    if training.num_processes > 1:
        loop["num_processes"] = training.num_processes
        loop["accelerate_config"] = chosen.accelerate_config
    if training.optim != TrainingSection().optim:
        loop["optim"] = training.optim
    whole["training"] = loop
    if choice.method == "qlora" and not quantization.bnb_4bit_use_double_quant:
        whole["quantization"] = {"bnb_4bit_use_double_quant": False}
    if chosen.max_steps >= 0:
        loop["max_steps"] = chosen.max_steps
    head = f"# {choice.rules}, for {choice.device}; `finetune recommend` gives the reasons.\n"
    return head + yaml.safe_dump(whole, sort_keys=False)
