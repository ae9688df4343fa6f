"""LoRA-FA: LoRA whose A stays at its random start.

Zhang et al. 2023, "LoRA-FA: Memory-efficient Low-rank Adaptation for Large Language Models
Fine-tuning", arXiv:2308.03303.

    h = W x + (lora_alpha / r) B A x        only B (out, r) is trained

The input of a layer need not be kept for A's gradient, only the r numbers A x. PEFT's optimizer
corrects B's gradient by (A A^T)^-1, so that a step comes nearest to that of full fine-tuning. PEFT
0.21 does that in bfloat16 where the processor has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tasks.contracts import Linear
from tasks.methods.lora import effective_scale, peft_config
from tasks.recipe import LoraSection

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from transformers import TrainingArguments

__all__ = ["adapt", "effective_scale", "make_optimizer", "peft_config", "trainable_parameters"]


def trainable_parameters(layers: Iterable[Linear], r: int) -> int:
    """Return the size of all B: the sum of count * r * out.

    One layer of 4096 -> 4096 at r = 16: 65,536.
    """
    return sum(layer.count * r * layer.out_features for layer in layers)


def adapt(model: Any) -> None:  # noqa: ANN401 - a PeftModel
    """Freeze A, before anything counts what is trained."""
    for name, parameter in model.named_parameters():
        if "lora_A" in name:
            parameter.requires_grad_(False)


def make_optimizer(
    model: Any,  # noqa: ANN401 - a PeftModel
    args: TrainingArguments,
    _lora: LoraSection,
) -> Optimizer:
    """Return PEFT's optimizer for B with A fixed; it reads each layer's scale off the model."""
    from peft.optimizers import create_lorafa_optimizer

    config = model.peft_config["default"]
    return create_lorafa_optimizer(
        model,
        r=config.r,
        lora_alpha=config.lora_alpha,
        lr=args.learning_rate,
        weight_decay=args.weight_decay,
    )
