"""Several processes: the profile of accelerate that they run under, and what cannot be sharded.

    multi_gpu   DDP: every process holds all weights, gradients and moments
    fsdp2       FSDP2 (torch's fully_shard): each holds a share of all three
    zero2       DeepSpeed: all weights; a share of gradients and moments
    zero3       DeepSpeed: a share of all three

The names are those of TRL's `accelerate_config`. What a method or variant needs whole, cannot be
sharded; it is refused here, before anything is loaded, with what to write instead.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["DEEPSPEED", "SHARDED", "Profile", "why_not_sharded"]

Profile = Literal["multi_gpu", "fsdp2", "zero2", "zero3"]

#: Profiles under which no process holds everything.
SHARDED: tuple[Profile, ...] = ("fsdp2", "zero2", "zero3")
DEEPSPEED: tuple[Profile, ...] = ("zero2", "zero3")

WHOLE = "training.accelerate_config: multi_gpu keeps it whole"

#: Variants that look at whole matrices of theirs while they train or when they are saved.
NEEDS_WHOLE = {
    "adalora": "it ranks the singular values of whole matrices by their gradients",
    "dora": "its magnitudes are norms over whole rows of the frozen weights",
    "lora_fa": "its optimizer inverts A Aᵀ of a whole A",
    "pissa": "what is saved is the difference of whole matrices to their start",
}
#: Optimizers of bitsandbytes keep blocks of 256 numbers, and Adafactor sums over whole rows.
WHOLE_OPTIMIZERS = ("8bit", "4bit", "paged", "bnb", "adafactor")


def why_not_sharded(
    profile: Profile,
    method: str,
    variant: str | None,
    *,
    ewc: bool = False,
    labels: bool = False,
    optim: str = "adamw_torch_fused",
    storage: str | None = None,
    dtype: str | None = None,
) -> str | None:
    """Return why a run cannot be sharded that way, and the mend; None if it can.

    Args:
        profile: The profile.
        method: full, lora or qlora.
        variant: The variant of an adapter; None if it is not chosen yet.
        ewc: Whether the recipe has a section `ewc`.
        labels: Whether a classification head is trained.
        optim: `training.optim`.
        storage: `quantization.bnb_4bit_quant_storage`; None if the recipe leaves it to us.
        dtype: What is computed in; None if it is not chosen yet.
    """
    if profile not in SHARDED:
        return None
    asked = f"training.accelerate_config: {profile}"
    if labels:
        return (
            f"{asked} with task_type: SEQ_CLS: a head beside what is cut up was not tried. {WHOLE}"
        )
    if ewc and method == "full":
        return f"{asked} with ewc: its penalty compares whole weights with their start. {WHOLE}"
    if method != "full" and variant in NEEDS_WHOLE:
        return f"{asked} with lora.variant: {variant}: {NEEDS_WHOLE[variant]}. {WHOLE}"
    if any(word in optim for word in WHOLE_OPTIMIZERS):
        return (
            f"{asked} with training.optim: {optim}: its states cannot be cut anywhere. Its shares "
            "are small: leave optim out"
        )
    return _packed(asked, profile, storage, dtype) if method == "qlora" else None


def _packed(asked: str, profile: Profile, storage: str | None, dtype: str | None) -> str | None:
    """Return why a 4-bit base cannot be sharded; under zero2 it stays whole."""
    if profile == "zero3":
        return (
            f"{asked} with method: qlora: DeepSpeed would cut the packed bytes of a 4-bit weight "
            "apart from its scales. Take fsdp2, or multi_gpu"
        )
    if profile == "fsdp2" and storage and (storage == "uint8" or dtype not in (None, storage)):
        return (
            f"{asked} with method: qlora and quantization.bnb_4bit_quant_storage: {storage}: "
            "accelerate shards packed weights only if they are stored in the type that is computed "
            "in, and leaves others whole on every process. Leave it out"
        )
    return None
