"""rsLoRA: LoRA with a scale that does not shrink the update at high rank.

Kalajdzievski 2023, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA",
arXiv:2312.03732.

    h = W x + (lora_alpha / sqrt(r)) B A x

Costs what LoRA costs. The trap: with lora_alpha = 2r, which is usual without it, the scale is
2 * sqrt(r), 16 at r = 64. With lora_alpha = 2 * sqrt(r) it stays 2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tasks.contracts import Hyperparameters
from tasks.methods import lora as plain
from tasks.methods.lora import trainable_parameters
from tasks.recipe import LoraSection

if TYPE_CHECKING:
    from peft import LoraConfig

__all__ = ["effective_scale", "peft_config", "trainable_parameters"]


def effective_scale(r: int, lora_alpha: int) -> float:
    """Return lora_alpha / sqrt(r): 16 / 8 = 2 at r = 64."""
    return lora_alpha / math.sqrt(r)


def peft_config(hyperparameters: Hyperparameters, lora: LoraSection) -> LoraConfig:
    """Return what PEFT needs to build this adapter."""
    config = plain.peft_config(hyperparameters, lora)
    config.use_rslora = True
    return config
