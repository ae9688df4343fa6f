"""Facts: everything a decision depends on, in one frozen record."""

from __future__ import annotations

from typing import Literal

from tasks.contracts import Method, Record, Splits
from tasks.estimates.architecture import Architecture
from tasks.estimates.hardware import Hardware, hardware_for
from tasks.estimates.parameters import refuse_for_experts
from tasks.recipe import (
    BudgetSection,
    FreezeSection,
    LoraSection,
    QuantizationSection,
    Recipe,
    RequirementsSection,
    TrainingSection,
)

__all__ = ["Facts", "facts_for"]


class Facts(Record):
    """The facts of one run: the model, the data, the hardware, and what the user wants.

    `rows` are the training rows of one adapter, of which `repeats` say almost the same as another;
    `train_tokens` and `loss_tokens` are what they hold, once; `length` is the longest sequence of a
    step. `insists` says that the recipe wants to train on few rows. `replay_rows` are trained beside `rows`; `reference_tokens` are what
    EWC's Fisher is estimated on. What a section leaves at None is decided; what it sets, wins.
    `eight_bit` estimates a quantized base of 8 bits instead of 4, which is not trained here.
    """

    architecture: Architecture
    hardware: Hardware
    rows: int
    repeats: int = 0
    train_tokens: int
    loss_tokens: int | None = None
    length: int
    packing: bool = False
    insists: bool = False
    fused_loss: bool = True
    attn_implementation: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    eight_bit: bool = False
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    method: Method | Literal["auto"] = "auto"
    freeze: FreezeSection | None = None
    ewc: bool = False
    reference_tokens: int = 0
    replay_rows: int = 0
    replay_tokens: int = 0
    lora: LoraSection = LoraSection()
    quantization: QuantizationSection = QuantizationSection()
    training: TrainingSection = TrainingSection()
    requirements: RequirementsSection = RequirementsSection()
    budget: BudgetSection = BudgetSection()
    rules: Literal["evidence", "guide"] = "evidence"

    @property
    def usable_rows(self) -> int:
        """What the rules count: rows of different wording, each once."""
        return self.rows - self.repeats


def facts_for(recipe: Recipe, architecture: Architecture, splits: Splits) -> Facts:
    """Return the facts of a run whose data are prepared; one process for each card of this machine.

    Raises:
        RecipeError: `budget.gpu` is no known card, or PEFT cannot adapt this model that way.
        ModelError: Labels, and transformers has no classification head for this model.
    """
    if recipe.method != "full":
        refuse_for_experts(architecture, recipe.lora)
    if splits.labels:
        architecture = architecture.with_labels(len(splits.labels))
    hardware, training = hardware_for(recipe.budget), recipe.training
    here = recipe.budget.gpu is None and recipe.budget.vram_gb is None
    if here and hardware.kind != "cpu" and "num_processes" not in training.model_fields_set:
        training = training.model_copy(update={"num_processes": hardware.count})
    rows, least = splits.train.rows, recipe.validation.min_train_rows
    repeats = splits.train.near_duplicates
    return Facts(
        architecture=architecture,
        hardware=hardware,
        rows=rows,
        repeats=repeats,
        train_tokens=splits.train.tokens,
        loss_tokens=splits.train.loss_tokens,
        length=splits.max_length,
        packing=recipe.dataset.packing,
        insists=recipe.validation.allow_few_rows or (least is not None and rows - repeats >= least),
        dtype=recipe.model.dtype,
        attn_implementation=recipe.model.attn_implementation,
        method=recipe.method,
        freeze=recipe.freeze,
        ewc=recipe.ewc is not None,
        reference_tokens=splits.reference.split.tokens if splits.reference else 0,
        replay_rows=splits.replay.split.rows if splits.replay else 0,
        replay_tokens=splits.replay.split.tokens if splits.replay else 0,
        lora=recipe.lora,
        quantization=recipe.quantization,
        training=training,
        requirements=recipe.requirements,
        budget=recipe.budget,
        rules=recipe.rules,
    )
