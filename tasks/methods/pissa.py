"""PiSSA: LoRA that starts from the largest singular directions of W.

Meng et al. 2024, "PiSSA: Principal Singular Values and Singular Vectors Adaptation of Large
Language Models", arXiv:2404.02948.

    W = U S V^T;  B A = the first r of them,  W_frozen = W - B A        then trained as LoRA

The adapter belongs to W_frozen, which nobody else has. So what is saved is the difference to the
start, as a plain LoRA of rank 2r and alpha 2 lora_alpha, which loads on the untouched base. A 4-bit
W cannot be split that way.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from tasks.contracts import Hyperparameters
from tasks.methods import lora as plain
from tasks.methods.lora import effective_scale, trainable_parameters
from tasks.recipe import LoraSection

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel

__all__ = ["effective_scale", "keep_start", "peft_config", "save", "trainable_parameters"]


def peft_config(hyperparameters: Hyperparameters, lora: LoraSection) -> LoraConfig:
    """Return what PEFT needs to build this adapter; the exact SVD, which is the same every time."""
    config = plain.peft_config(hyperparameters, lora)
    config.init_lora_weights = "pissa"
    return config


def keep_start(model: PeftModel, folder: Path) -> None:
    """Write the adapter as it is before training, for `save` to subtract."""
    config = cast("LoraConfig", model.peft_config["default"])
    how, config.init_lora_weights = config.init_lora_weights, True
    model.save_pretrained(str(folder))
    config.init_lora_weights = how


def save(model: PeftModel, folder: Path, start: Path) -> None:
    """Write what was learned as a plain LoRA of twice the rank, for the untouched base."""
    model.save_pretrained(str(folder), path_initial_model_for_weight_conversion=str(start))
