"""LoRA: learn a low-rank update of frozen weights.

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685.

    h = W x + (lora_alpha / r) B A x        W (out, in) frozen; A (r, in), B (out, r) trained

A starts random and B at zero, so training starts at the base model. Costs: the frozen weights stay
in memory; gradients and optimizer states only for A and B, which are float32. Under rsLoRA the
scale is another one (`tasks/methods/rslora.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tasks.contracts import Hyperparameters, Linear
from tasks.recipe import LoraSection

if TYPE_CHECKING:
    from peft import LoraConfig

__all__ = ["QUANTIZED", "base_dtype", "effective_scale", "peft_config", "trainable_parameters"]

#: Whether the frozen base is kept in 4 bit.
QUANTIZED = False


def trainable_parameters(layers: Iterable[Linear], r: int) -> int:
    """Return the size of all A and B: the sum of count * r * (in + out).

    One layer of 4096 -> 4096 at r = 16: 16 * 8192 = 131,072.
    """
    return sum(layer.count * r * (layer.in_features + layer.out_features) for layer in layers)


def effective_scale(r: int, lora_alpha: int) -> float:
    """Return lora_alpha / r: 32 / 16 = 2."""
    return lora_alpha / r


def base_dtype(dtype: str) -> str:
    """Return the precision the frozen weights are kept in: that of the products."""
    return dtype


def peft_config(hyperparameters: Hyperparameters, lora: LoraSection) -> LoraConfig:
    """Return what PEFT needs to build this adapter."""
    from peft import LoraConfig

    targets = hyperparameters.target_modules
    assert hyperparameters.r is not None
    assert hyperparameters.lora_alpha is not None
    return LoraConfig(
        r=hyperparameters.r,
        lora_alpha=hyperparameters.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=targets if isinstance(targets, str) else list(targets or ()),
        modules_to_save=None if lora.modules_to_save is None else list(lora.modules_to_save),
        task_type="CAUSAL_LM",
        **lora.handed_on(),
    )
