"""LoRA+: LoRA whose B learns faster than its A.

Hayou et al. 2024, "LoRA+: Efficient Low Rank Adaptation of Large Models", arXiv:2402.12354.

    B <- B - loraplus_lr_ratio * learning_rate * AdamW(dL/dB)        ratio 16 in the paper

The adapter, its size and its files are LoRA's; only the optimizer differs. `learning_rate` is A's,
so where the recipe leaves it open it is half of LoRA's, as PEFT's documentation advises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.methods.lora import effective_scale, peft_config, trainable_parameters
from tasks.recipe import LoraSection

if TYPE_CHECKING:
    from peft import PeftModel
    from torch.optim import Optimizer
    from transformers import TrainingArguments

__all__ = [
    "RATE_FACTOR",
    "effective_scale",
    "make_optimizer",
    "peft_config",
    "trainable_parameters",
]

#: Of LoRA's learning rate; see `create_loraplus_optimizer` in PEFT 0.21.
RATE_FACTOR = 0.5


def make_optimizer(model: PeftModel, args: TrainingArguments, lora: LoraSection) -> Optimizer:
    """Return AdamW with one learning rate for A and another for B."""
    import torch
    from peft.optimizers import create_loraplus_optimizer

    return create_loraplus_optimizer(
        model,
        torch.optim.AdamW,
        lr=args.learning_rate,
        loraplus_lr_ratio=lora.loraplus_lr_ratio,
        loraplus_weight_decay=args.weight_decay,
        betas=(args.adam_beta1, args.adam_beta2),
        eps=args.adam_epsilon,
    )
