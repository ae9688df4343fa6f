"""AdaLoRA: LoRA that gives rank to the layers that need it.

Zhang et al. 2023, "AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning",
arXiv:2303.10512.

    h = W x + (lora_alpha / init_r) P diag(e) Q x        P (out, init_r), e (init_r), Q (init_r, in)

Every layer starts at rank `init_r`. After `tinit` steps the least important e are set to zero, every
`deltaT` steps, until `target_r` a layer is left on average; the last `tfinal` steps train what is
left. P and Q are kept near orthogonal by a penalty,

    orth_reg_weight * mean over all P, Q of |P^T P - I|_F

which PEFT adds to the model's own loss. TRL computes its loss elsewhere, so there the penalty has no
effect (0.5 and 50 gave bitwise equal weights): here the trainer adds it. PEFT 0.21 cannot load the
pruned adapter of a checkpoint back into training, so a killed run starts anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tasks.contracts import Hyperparameters, Linear
from tasks.errors import RecipeError
from tasks.recipe import LoraSection

if TYPE_CHECKING:
    import torch
    from peft import AdaLoraConfig

__all__ = [
    "CAN_RESUME",
    "after_step",
    "effective_scale",
    "initial_rank",
    "peft_config",
    "penalty",
    "trainable_parameters",
]

CAN_RESUME = False

#: Shares of all steps before ranks fall and after they have fallen. A heuristic.
FIRST, LAST = 0.1, 0.4
#: Ranks are allocated anew about this many times. A heuristic.
ALLOCATIONS = 50


def trainable_parameters(layers: Iterable[Linear], r: int) -> int:
    """Return the size of all P, e and Q at the start: the sum of count * r * (in + out + 1).

    `r` is the initial rank. One layer of 4096 -> 4096 at init_r = 12: 12 * 8193 = 98,316.
    """
    return sum(x.count * r * (x.in_features + x.out_features + 1) for x in layers)


def effective_scale(r: int, lora_alpha: int) -> float:
    """Return lora_alpha / init_r."""
    return lora_alpha / r


def initial_rank(r: int, lora: LoraSection) -> int:
    """Return the rank at the start: the recipe's, else 1.5 times the target, as PEFT's 12 and 8."""
    return lora.init_r or math.ceil(1.5 * (lora.target_r or r))


def peft_config(hyperparameters: Hyperparameters, lora: LoraSection) -> AdaLoraConfig:
    """Return what PEFT needs to build this adapter.

    Raises:
        RecipeError: The steps leave no time in which ranks could fall.
    """
    from peft import AdaLoraConfig

    targets, steps = hyperparameters.target_modules, hyperparameters.steps
    assert hyperparameters.r is not None
    assert hyperparameters.lora_alpha is not None
    first = lora.tinit if lora.tinit is not None else round(FIRST * steps)
    last = lora.tfinal if lora.tfinal is not None else round(LAST * steps)
    if first >= steps - last:
        raise RecipeError(
            f"lora.tinit = {first}, lora.tfinal = {last}: of {steps} steps none is left in which "
            "ranks could fall. Lower them, or train longer."
        )
    return AdaLoraConfig(
        init_r=initial_rank(hyperparameters.r, lora),
        target_r=lora.target_r or hyperparameters.r,
        tinit=first,
        tfinal=last,
        deltaT=lora.deltaT or max(1, (steps - first - last) // ALLOCATIONS),
        beta1=lora.beta1,
        beta2=lora.beta2,
        orth_reg_weight=lora.orth_reg_weight,
        total_step=steps,
        lora_alpha=hyperparameters.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=targets if isinstance(targets, str) else list(targets or ()),
        modules_to_save=None if lora.modules_to_save is None else list(lora.modules_to_save),
        task_type="CAUSAL_LM",
        **lora.handed_on(),
    )


def penalty(model: Any) -> torch.Tensor:  # noqa: ANN401 - a PeftModel
    """Return the orthogonality term, a scalar, weight included."""
    import torch

    parts = []
    for name, weight in model.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            square = weight @ weight.T if "lora_A" in name else weight.T @ weight
            parts.append(torch.linalg.norm(square - torch.eye(len(square), device=weight.device)))
    weight = model.peft_config["default"].orth_reg_weight
    return weight * torch.stack(parts).mean()


def after_step(model: Any, step: int) -> None:  # noqa: ANN401 - a PeftModel
    """Allocate ranks; called between the optimizer's step and the clearing of gradients."""
    model.base_model.update_and_allocate(step)
