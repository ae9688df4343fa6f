"""Adapter counts: every variant on every kind of model and target is what PEFT trains, or refused.

Models are built on the meta device: shapes without numbers. QLoRA is LoRA on a base whose linear
layers bitsandbytes has replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import RecipeError
from tasks.estimates.architecture import from_config
from tasks.estimates.parameters import refuse_for_experts, trainable_parameters
from tasks.methods import VARIANTS
from tasks.recipe import LoraSection
from tests.records import make_recommendation
from tests.tasks.estimates.test_architecture import CONFIGS, SIZES

if TYPE_CHECKING:
    from transformers import PretrainedConfig

GPT2 = {"n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 160, "n_positions": 32}
MIXTURES = ("mixtral", "qwen3_moe")
KINDS = ("llama", "mistral", "qwen2", "qwen3", "gemma", "phi3", "gpt2", *MIXTURES)
#: The guide's tiers: minimum, better, maximum; families that fuse q, k and v have their own names.
TIERS = (("q_proj", "v_proj"), ("q_proj", "k_proj", "v_proj", "o_proj"), "all-linear")
OTHER_TIERS: dict[str, tuple[Any, ...]] = {
    "phi3": (("qkv_proj",), ("qkv_proj", "o_proj"), "all-linear"),
    "gpt2": (("c_attn",), ("attn.c_attn", "attn.c_proj"), "all-linear"),
}


def counted_by_peft(
    config: PretrainedConfig, variant: str, lora: LoraSection, *, four_bit: bool = False
) -> int:
    """Return how many numbers of the model with PEFT's adapter are trained."""
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from transformers.integrations import replace_with_bnb_linear

    chosen = make_recommendation(
        "lora", r=5, lora_alpha=10, variant=variant, target_modules=lora.target_modules
    ).hyperparameters
    assert chosen is not None
    method = VARIANTS[variant]
    adapter = method.peft_config(chosen.model_copy(update={"steps": 100}), lora)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        if four_bit:
            packed = BitsAndBytesConfig(load_in_4bit=True)
            model = replace_with_bnb_linear(model, ["lm_head"], packed)
            model.is_loaded_in_4bit = True
        tuned = get_peft_model(model, adapter)
    if hasattr(method, "adapt"):
        method.adapt(tuned)
    return sum(p.numel() for p in tuned.parameters() if p.requires_grad)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_every_variant_trains_what_peft_trains_or_is_refused(kind: str) -> None:
    from transformers import AutoConfig

    sizes = GPT2 if kind == "gpt2" else SIZES | {"num_hidden_layers": 2} | CONFIGS[kind]
    config = AutoConfig.for_model(kind, **sizes)
    ours = from_config(config.to_dict(), kind)
    for targets in OTHER_TIERS.get(kind, TIERS):
        for variant in VARIANTS:
            lora = LoraSection(variant=variant, target_modules=targets, lora_dropout=0.0)
            try:
                refuse_for_experts(ours, lora)
            except RecipeError:
                with pytest.raises((ValueError, AttributeError), match=r"ParamWrapper|Experts"):
                    counted_by_peft(config, variant, lora)
                continue
            counted = trainable_parameters(ours, "lora", 5, lora)
            assert counted == counted_by_peft(config, variant, lora), (targets, variant)
        plain = LoraSection(variant="lora", target_modules=targets, lora_dropout=0.0)
        counted = trainable_parameters(ours, "qlora", 5, plain)
        assert counted == counted_by_peft(config, "lora", plain, four_bit=True), (targets, "qlora")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", MIXTURES)
def test_experts_know_no_dropout_and_peft_says_so_too(kind: str) -> None:
    from transformers import AutoConfig

    config = AutoConfig.for_model(kind, **SIZES, **CONFIGS[kind])
    lora = LoraSection(lora_dropout=0.05)
    with pytest.raises(
        RecipeError, match=r"lora_dropout: 0\.05.*experts.*target_modules: \[q_proj"
    ):
        refuse_for_experts(from_config(config.to_dict(), kind), lora)
    with pytest.raises(ValueError, match="lora_dropout"):
        counted_by_peft(config, "lora", lora)


def test_only_what_peft_cannot_do_with_experts_is_refused() -> None:
    sizes = SIZES | CONFIGS["mixtral"] | {"model_type": "mixtral"}
    mixture = from_config(sizes, "mixtral")
    for variant in ("dora", "pissa"):
        with pytest.raises(RecipeError, match=f"lora.variant: {variant}"):
            refuse_for_experts(mixture, LoraSection(variant=variant, lora_dropout=0.0))
        attention = LoraSection(variant=variant, target_modules=("q_proj",))
        refuse_for_experts(mixture, attention)
    refuse_for_experts(from_config(SIZES | {"model_type": "llama"}, "llama"), LoraSection())
