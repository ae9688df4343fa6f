"""Facts: everything a decision depends on, in one frozen record."""

from __future__ import annotations

from typing import Literal

from tasks.contracts import Method, Record
from tasks.estimates.architecture import Architecture
from tasks.estimates.hardware import Hardware
from tasks.recipe import (
    BudgetSection,
    LoraSection,
    QuantizationSection,
    RequirementsSection,
    TrainingSection,
)

__all__ = ["Facts"]


class Facts(Record):
    """The facts of one run: the model, the data, the hardware, and what the user wants.

    `rows` are usable training rows, those of one adapter; `train_tokens` and `loss_tokens` are what
    they hold, once; `length` is the longest sequence of a step. `insists` says that the recipe
    wants to train on few rows. What a section leaves at None is decided; what it sets, wins.
    """

    architecture: Architecture
    hardware: Hardware
    rows: int
    train_tokens: int
    loss_tokens: int | None = None
    length: int
    packing: bool = False
    insists: bool = False
    fused_loss: bool = True
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    method: Method | Literal["auto"] = "auto"
    lora: LoraSection = LoraSection()
    quantization: QuantizationSection = QuantizationSection()
    training: TrainingSection = TrainingSection()  # ty: ignore[missing-argument]
    requirements: RequirementsSection = RequirementsSection()  # ty: ignore[missing-argument]
    budget: BudgetSection = BudgetSection()  # ty: ignore[missing-argument]
    rules: Literal["evidence", "guide"] = "evidence"
