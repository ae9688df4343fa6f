"""Records of the recommendation: estimates, reasons, settings, and the methods side by side.

Read through `tasks/contracts.py`, like all records.
"""

from __future__ import annotations

from typing import Literal

from tasks.record import Record
from tasks.sections.sharding import Profile

__all__ = [
    *("Advice", "Alternative", "CostEstimate", "Hyperparameters", "MemoryEstimate", "Method"),
    *("Option", "Reason", "Recommendation", "StageCost", "Variant"),
]

Method = Literal["full", "lora", "qlora"]
Variant = Literal["lora", "rslora", "dora", "lora_plus", "lora_fa", "adalora", "pissa"]


class MemoryEstimate(Record):
    """Peak training memory of one device, part by part; low and high bound the device figure."""

    weights_bytes: int
    adapter_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int
    logits_bytes: int
    overhead_bytes: int
    low_bytes: int
    high_bytes: int
    available_bytes: int | None
    fits: bool


class CostEstimate(Record):
    """Tokens, time and money as ranges; `usd_*` is None where no price is known."""

    train_tokens: int
    steps: int
    low_seconds: float
    high_seconds: float
    low_usd: float | None
    high_usd: float | None
    price_source: str


class Reason(Record):
    """One rule that spoke: the question, the user's answer, and what it argued for."""

    rule: str
    question: str
    answer: str
    argues_for: str
    outcome: Literal["decided", "agreed", "overruled"]
    source: str
    why: str = ""
    overruled_by: str | None = None


class Hyperparameters(Record):
    """Everything the trainer needs that the recipe may leave open, resolved.

    `accelerate_config` says how several processes share the work; one process has nothing to share.
    """

    r: int | None
    lora_alpha: int | None
    variant: Variant | None
    effective_scale: float | None
    target_modules: str | tuple[str, ...] | None
    learning_rate: float
    num_train_epochs: float
    max_steps: int
    per_device_train_batch_size: int
    gradient_accumulation_steps: int
    gradient_checkpointing: bool
    dtype: Literal["float32", "bfloat16", "float16"]
    steps: int
    trainable_parameters: int
    parameters: int
    num_processes: int = 1
    accelerate_config: Profile = "multi_gpu"


class Option(Record):
    """One column of the comparison: what a method would take, computed for this very case.

    `storage_bytes` is what one task leaves (an adapter, or a whole model); `storage_all_bytes` all
    tasks together with the base that adapters need. The texts are evidence, each with its source.
    """

    method: Method
    r: int | None
    role: Literal["chosen", "runner-up", "rejected"]
    trainable_parameters: int
    memory: MemoryEstimate
    cost: CostEstimate
    storage_bytes: int
    storage_all_bytes: int
    forgetting: str
    quality: str


class Advice(Record):
    """A setting of the recipe that differs from what the rules would choose, and why."""

    key: str
    yours: str
    advised: str
    because: str


class Alternative(Record):
    """A method that was not chosen, and why."""

    method: Method
    r: int | None
    why_not: str
    memory: MemoryEstimate | None
    cost: CostEstimate | None


class StageCost(Record):
    """What a stage takes: time and money as ranges, memory and disk where they matter.

    `basis` says whether the figure was measured here or how it was estimated.
    """

    stage: str
    seconds: tuple[float, float]
    usd: tuple[float, float] | None
    memory_bytes: int | None
    disk_bytes: int | None
    basis: str


class Recommendation(Record):
    """The method and its settings, with every reason, and what would change the answer."""

    method: Method | Literal["prompting", "nothing_fits"]
    adapters: int
    hyperparameters: Hyperparameters | None
    memory: MemoryEstimate | None
    cost: CostEstimate | None
    reasons: tuple[Reason, ...]
    runner_up: Alternative | None
    alternatives: tuple[Alternative, ...]
    conflict: str | None
    warnings: tuple[str, ...]
    would_change: tuple[str, ...]
    device: str
    rules: str
    asked_for: str
    #: Ids of the rules that forbid full fine-tuning here.
    blocked: tuple[str, ...] = ()
    comparison: tuple[Option, ...] = ()
    advice: tuple[Advice, ...] = ()
