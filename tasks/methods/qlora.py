"""QLoRA: a LoRA or rsLoRA adapter on a base that is frozen in 4 bit.

Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs", arXiv:2305.14314.

    h = dequantize(W4) x + scale * B A x        W4 in NF4, blocks of 64 with one absmax each

With double quantization a weight takes 0.5 + 1/64 + 4/(64 * 256) = 0.516 bytes; embeddings, head
and norms keep their precision. Costs time: each product dequantizes its weight. The adapter belongs
to the quantized base: on the original one its logits are far off. A and B are trained in float32
(TRL makes them bfloat16; the trainer undoes it, else a resumed run is another run).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.contracts import Hyperparameters
from tasks.methods import lora as plain
from tasks.methods import rslora
from tasks.methods.lora import base_dtype, trainable_parameters
from tasks.recipe import LoraSection

if TYPE_CHECKING:
    from peft import LoraConfig

__all__ = ["QUANTIZED", "base_dtype", "peft_config", "trainable_parameters"]

#: Whether the frozen base is kept in 4 bit.
QUANTIZED = True


def peft_config(hyperparameters: Hyperparameters, lora: LoraSection) -> LoraConfig:
    """Return what PEFT needs to build this adapter, of the variant that was chosen."""
    variant = rslora if hyperparameters.variant == "rslora" else plain
    return variant.peft_config(hyperparameters, lora)
