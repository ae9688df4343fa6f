"""Plan: one method with every setting resolved, its memory, and its cost.

What the recipe sets, wins; what it leaves open is chosen here: precision by device, learning rate
by method and size, the largest batch that fits, checkpointing only where it is needed.
"""

from __future__ import annotations

import math
from functools import cache

from tasks.contracts import (
    CostEstimate,
    Hyperparameters,
    MemoryEstimate,
    Method,
    Record,
    Variant,
)
from tasks.estimates.cost import estimate_cost, flops_per_token
from tasks.estimates.facts import Facts
from tasks.estimates.frozen import frozen_by
from tasks.estimates.memory import Step, estimate, peak, standing
from tasks.estimates.parameters import first_rank, trainable_parameters, variant_for
from tasks.estimates.profiles import devices_of, precision, profiles
from tasks.estimates.schedule import accumulation_for, candidates, optimizer_steps
from tasks.estimates.settings import rule
from tasks.estimates.setups import Attention, Quantization, Setup
from tasks.estimates.tied import refuse_tied
from tasks.methods import VARIANTS
from tasks.sections.sharding import Profile

__all__ = [
    *("Plan", "alpha_for", "learning_rate", "least_memory", "make_plan", "precision"),
    *("memory_under", "plan_memory", "pure_half_memory", "setup_of"),
]

#: Heuristic: a classifier's share of the usual rate, for one label a row is a noisier gradient than
#: an answer. Five labels, 1,098 rows, the base of 2M, batches of 8: LoRA's 5.7e-3 stood at ln 5
#: after 276 steps, 2e-3 came to 1.06; full at 6e-4 came to 0.33 in 414.
LABEL_RATE = 1 / 3


class Plan(Record):
    """A method with every setting resolved."""

    method: Method
    hyperparameters: Hyperparameters
    memory: MemoryEstimate
    cost: CostEstimate


@cache
def learning_rate(
    method: Method, parameters: int, variant: Variant = "lora", *, classifies: bool = False
) -> float:
    """Return the rate for a method and a model size, log-linear between two known points.

    Example: LoRA at 50M parameters: 6e-3 at 2M and 2e-4 at 1B give 1e-3; LoRA+ half of it.
    """
    (small, at_small), (large, at_large) = rule("rate.full")["sets"]["points"]
    if method != "full":
        times = rule("rate.lora")["sets"]["times_full"]
        at_small, at_large = at_small * times[0], at_large * times[1]
    share = math.log(parameters / small) / math.log(large / small)
    share = min(1.0, max(0.0, share))
    rate = math.exp(math.log(at_small) + share * (math.log(at_large) - math.log(at_small)))
    factor = 1.0 if method == "full" else getattr(VARIANTS[variant], "RATE_FACTOR", 1.0)
    return float(f"{rate * factor * (LABEL_RATE if classifies else 1):.2g}")


def alpha_for(r: int, variant: str, profile: str = "evidence") -> int:
    """Return lora_alpha: 2r; under rsLoRA 2 * sqrt(r), which keeps the effective scale at 2."""
    root = math.sqrt(r)
    sets = rule("alpha.rslora" if variant == "rslora" else "alpha.lora", profile)["sets"]
    scale = sets["scale"] if "scale" in sets else sets["scale_per_root"] * root
    return round(scale * (root if variant == "rslora" else r))


def make_plan(facts: Facts, method: Method, r: int) -> Plan:
    """Return the plan for a method; `r` is the rank of an adapter.

    Raises:
        RecipeError: Batch sizes that conflict, or target modules the model does not have.
    """
    dtype = precision(facts, method)
    profile, (batch, checkpointing, memory) = _fitting(facts, _setup(facts, method, r, dtype))
    training = facts.training
    accumulation = accumulation_for(training, batch)
    rows, read = facts.rows + facts.replay_rows, facts.train_tokens + facts.replay_tokens
    sequences = math.ceil(read / facts.length) if facts.packing else rows
    steps = optimizer_steps(max(1, sequences), batch, accumulation, training)
    adapter = _adapter_settings(facts, method, r)
    freeze = facts.freeze if method == "full" else None
    trained = trainable_parameters(facts.architecture, method, r, facts.lora, freeze)
    epochs = training.num_train_epochs
    if training.max_steps >= 0:
        one_epoch = training.model_copy(update={"num_train_epochs": 1.0, "max_steps": -1})
        epochs = steps / optimizer_steps(max(1, sequences), batch, accumulation, one_epoch)
    tokens = round(read * epochs)
    mean = facts.length if facts.packing else read / max(1, rows)
    frozen = frozen_by(freeze, facts.architecture)
    work = (facts.architecture, method, trained, round(mean))
    flops = flops_per_token(*work, checkpointing=checkpointing, frozen=frozen)
    heads = facts.architecture.labels > 0
    usual = (method, facts.architecture.parameters, adapter["variant"] or "lora")
    return Plan(
        method=method,
        hyperparameters=Hyperparameters(
            **adapter,
            learning_rate=training.learning_rate or learning_rate(*usual, classifies=heads),
            num_train_epochs=training.num_train_epochs,
            max_steps=training.max_steps,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulation,
            gradient_checkpointing=checkpointing,
            dtype=dtype,
            steps=steps,
            trainable_parameters=trained,
            parameters=facts.architecture.parameters,
            num_processes=training.num_processes,
            accelerate_config=profile,
        ),
        memory=memory,
        cost=estimate_cost(facts, method, flops, steps, tokens),
    )


def setup_of(facts: Facts, plan: Plan) -> Setup:
    """Return the exact configuration of a plan, for a trace."""
    settings = plan.hyperparameters
    return _setup(facts, plan.method, settings.r or 1, settings.dtype).model_copy(
        update={
            "batch": settings.per_device_train_batch_size,
            "checkpointing": settings.gradient_checkpointing,
            "accumulates": settings.gradient_accumulation_steps > 1,
            "profile": settings.accelerate_config,
        }
    )


def memory_under(facts: Facts, plan: Plan, profile: Profile) -> MemoryEstimate:
    """Return the memory that a plan's method would take of a device under another profile."""
    settings = plan.hyperparameters
    base = _setup(facts, plan.method, settings.r or 1, settings.dtype)
    return _largest_that_fits(facts, base.model_copy(update={"profile": profile}))[2]


def least_memory(facts: Facts, method: Method, r: int, devices: int) -> MemoryEstimate:
    """Return the least memory a method takes of each of some GPUs: smallest batch, checkpointed."""
    training = facts.training
    batch = candidates(training)[-1]
    dtype = "float32" if facts.dtype == "float32" else "bfloat16"
    setup = _setup(facts, method, r, dtype).model_copy(
        update={
            "devices": devices,
            "profile": profiles(facts, method, r, devices)[-1],
            "on_cpu": False,
            "batch": batch,
            "checkpointing": training.gradient_checkpointing is not False,
            "accumulates": accumulation_for(training, batch) > 1,
        }
    )
    return estimate(setup, None)


def plan_memory(facts: Facts, method: Method, r: int) -> MemoryEstimate:
    """Return the memory of `make_plan`'s plan, without its settings and its cost."""
    return _fitting(facts, _setup(facts, method, r, precision(facts, method)))[1][2]


def pure_half_memory(facts: Facts) -> MemoryEstimate:
    """Return the memory of full fine-tuning with 16-bit states, the last resort.

    Updates below 2**-9 of a weight are rounded away, at rate 1e-5 most of them (methods.md 3.4).
    """
    half = _setup(facts, "full", 1, "bfloat16").model_copy(update={"pure_half": True})
    return _fitting(facts, half)[1][2]


def _adapter_settings(facts: Facts, method: Method, r: int) -> dict:
    """Return rank, alpha, variant, scale and targets; all None for full."""
    names = ("r", "lora_alpha", "variant", "effective_scale", "target_modules")
    if method == "full":
        return dict.fromkeys(names)
    refuse_tied(facts.architecture, facts.lora)
    variant = variant_for(r, facts.lora)
    first = first_rank(r, facts.lora)
    alpha = facts.lora.lora_alpha or alpha_for(first, variant, facts.rules)
    scale = VARIANTS[variant].effective_scale(first, alpha)
    return dict(zip(names, (r, alpha, variant, scale, facts.lora.target_modules), strict=True))


def _setup(facts: Facts, method: Method, r: int, dtype: str) -> Setup:
    return Setup(
        architecture=facts.architecture,
        method=method,
        r=None if method == "full" else r,
        target_modules=facts.lora.target_modules,
        length=facts.length,
        fused_loss=facts.fused_loss,
        optim=facts.training.optim,
        dropout=facts.lora.lora_dropout > 0,
        base_bytes=4 if dtype == "float32" else 2,
        variant=variant_for(r, facts.lora),
        quantization=_quantization(facts),
        attention=_attention(facts),
        devices=devices_of(facts),
        on_cpu=facts.hardware.kind == "cpu",
        freeze=facts.freeze if method == "full" else None,
        ewc=facts.ewc and method == "full",
    )


def _quantization(facts: Facts) -> Quantization:
    if facts.eight_bit:
        return "int8"
    return "nf4-double" if facts.quantization.bnb_4bit_use_double_quant else "nf4"


def _attention(facts: Facts) -> Attention:
    """Return the kernel; SDPA repeats keys and values where there is no FlashAttention (no bf16)."""
    if facts.attn_implementation == "sdpa" and facts.hardware.kind != "cpu":
        return "sdpa" if facts.hardware.bf16 else "sdpa-repeated"
    words: dict[str, Attention] = {"sdpa": "sdpa", "eager": "eager", "flash_attention_2": "flash"}
    return words[facts.attn_implementation]


def _fitting(facts: Facts, base: Setup) -> tuple[Profile, tuple[int, bool, MemoryEstimate]]:
    """Return the first profile under which a setup fits, else the last, and what it takes then."""
    possible = profiles(facts, base.method, base.r or 1, base.devices)
    for profile in possible:
        found = _largest_that_fits(facts, base.model_copy(update={"profile": profile}))
        if found[2].fits or profile == possible[-1]:
            return profile, found
    raise AssertionError(possible)


def _largest_that_fits(facts: Facts, base: Setup) -> tuple[int, bool, MemoryEstimate]:
    """Return batch, checkpointing and memory: unchecked if any batch fits, else checkpointed."""
    training, on_cpu = facts.training, facts.hardware.kind == "cpu"
    available = facts.hardware.usable_bytes // (training.num_processes if on_cpu else 1)
    ways = (False, True)
    if training.gradient_checkpointing is not None:
        ways = (training.gradient_checkpointing,)
    elif base.method == "qlora" and not on_cpu:
        ways = (True,)  # bitsandbytes keeps 3 to 4 MB a token more without (methods.md 4.2)
    sizes, whole = candidates(training), standing(base)
    for checkpointing in ways:
        # No batch takes less than the smallest alone; what fits nowhere is shown at its least.
        possible = peak(whole, Step(sizes[-1], checkpointing, accumulates=False)).fits(available)
        if not possible and checkpointing != ways[-1]:
            continue
        for batch in sizes if possible else sizes[-1:]:
            accumulates = accumulation_for(training, batch) > 1
            found = peak(whole, Step(batch, checkpointing, accumulates))
            last = (checkpointing, batch) == (ways[-1], sizes[-1])
            if last or found.fits(available):
                return batch, checkpointing, found.estimate(available)
    raise AssertionError(ways)
