"""Profiles: in which precision a method runs, and how several devices may share its work."""

from __future__ import annotations

from typing import Literal

from tasks.contracts import Method
from tasks.estimates.facts import Facts
from tasks.estimates.parameters import variant_for
from tasks.sections.sharding import Profile, why_not_sharded

__all__ = ["devices_of", "precision", "profiles", "why_not"]

#: Heuristic: below this size bfloat16 on a CPU with AMX gains nothing.
BF16_ON_CPU_FROM = 1e9


def precision(facts: Facts, method: Method) -> Literal["float32", "bfloat16", "float16"]:
    """Return the dtype of frozen weights and of the computation.

    float32 on a CPU, except for an adapter on a large model where AMX makes bfloat16 fast;
    bfloat16 on a card that has it, else float16. For `full` on a card it is the dtype of
    autocast: weights and optimizer states stay float32 (methods.md 3.4).
    """
    if facts.dtype != "auto":
        return facts.dtype
    if facts.hardware.kind == "cpu":
        large = facts.architecture.parameters >= BF16_ON_CPU_FROM
        return "bfloat16" if facts.hardware.bf16 and large and method != "full" else "float32"
    return "bfloat16" if facts.hardware.bf16 else "float16"


def devices_of(facts: Facts) -> int:
    """Return what the work is shared among: the processes, one a card if the recipe is silent."""
    said = "num_processes" in facts.training.model_fields_set
    on_cpu = facts.hardware.kind == "cpu"
    return facts.training.num_processes if said or on_cpu else facts.hardware.count


def profiles(facts: Facts, method: Method, r: int, devices: int) -> tuple[Profile, ...]:
    """Return the profiles that may be taken, least shared first; the recipe's word is the only one.

    A sharded model gathers every layer when its turn comes, so that DDP goes first. On a CPU all
    processes share one memory anyway. DeepSpeed shards what FSDP2 shards and has to be installed:
    it is taken where the recipe says so.
    """
    asked = facts.training.accelerate_config
    if asked != "auto":
        return (asked,)
    alone = devices == 1 or facts.hardware.kind == "cpu"
    return ("multi_gpu",) if alone or why_not("fsdp2", facts, method, r) else ("multi_gpu", "fsdp2")


def why_not(profile: Profile, facts: Facts, method: Method, r: int) -> str | None:
    """Return why a method cannot be trained under a profile, and the mend; None if it can."""
    return why_not_sharded(
        profile,
        method,
        None if method == "full" else variant_for(r, facts.lora),
        ewc=facts.ewc,
        labels=bool(facts.architecture.labels),
        optim=facts.training.optim,
        storage=facts.quantization.handed_on().get("bnb_4bit_quant_storage"),
        dtype=precision(facts, method),
    )
