"""Architecture and parameters: our counts are those of the real classes and of PEFT."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import Linear
from tasks.errors import ModelError, RecipeError
from tasks.estimates.architecture import architecture, catalogue, from_config, list_models
from tasks.estimates.parameters import adapted, lora_parameters

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")

#: methods.md 3.3, measured with PEFT: all attention, all linear, at r = 16.
MEASURED = {
    "llama2-7b": (16_777_216, 39_976_960),
    "llama2-13b": (26_214_400, 62_586_880),
    "llama3.1-8b": (13_631_488, 41_943_040),
    "llama2-70b": (65_536_000, 207_093_760),
    "llama3.2-3b": (9_175_040, 24_313_856),
    "llama3.2-1b": (3_407_872, 11_272_192),
}

#: What each family's config.json may hold, made small.
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama biased": {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    "mistral": {},
    "qwen2": {},
    "qwen3": {"head_dim": 24},
    "gemma": {"head_dim": 32},
    "gemma2": {"head_dim": 32},
    "gemma3_text": {"head_dim": 32},
    "phi3": {"pad_token_id": 0},
    "olmo2": {},
    "granite": {},
    "smollm3": {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
    "glm": {"pad_token_id": 0, "eos_token_id": 1, "head_dim": 24, "attention_bias": True},
    "mixtral": {"num_local_experts": 4},
    "qwen3_moe": {"num_experts": 4, "head_dim": 24, "moe_intermediate_size": 112},
    "phi": {"num_key_value_heads": 4},
    "gpt_neox": {},
    "opt": {"ffn_dim": 112, "word_embed_proj_dim": 64, "max_position_embeddings": 48},
    "falcon": {},
    "falcon new": {"new_decoder_architecture": True, "num_kv_heads": 2, "bias": True},
    "bloom": {"n_layer": 3, "n_head": 4},
}
#: A linear layer of each family, adapted alone.
ALONE = {
    "gpt2": "attn.c_proj",
    "opt": "fc2",
    "phi": "fc2",
    **dict.fromkeys(("gpt_neox", "falcon", "falcon new", "bloom"), "dense_4h_to_h"),
    **dict.fromkeys(("mixtral", "qwen3_moe"), "o_proj"),
}
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 112,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 160,
}


@pytest.mark.parametrize("name", MEASURED)
def test_lora_counts_are_those_measured_with_peft(name: str) -> None:
    model = architecture(name)
    attention, every = MEASURED[name]
    assert lora_parameters(adapted(model, ATTENTION), 16) == attention
    assert lora_parameters(adapted(model, "all-linear"), 16) == every


@pytest.mark.parametrize(("r", "count"), [(4, 2_097_152), (16, 8_388_608), (64, 33_554_432)])
def test_q_and_v_of_llama_2_7b_count_as_measured(r: int, count: int) -> None:
    assert lora_parameters(adapted(architecture("llama2-7b"), ("q_proj", "v_proj")), r) == count


def test_totals_are_the_published_ones() -> None:
    """Whose counts they are stands in the catalogue; a tenth of a percent is their rounding."""
    models = list_models()
    assert len(models) >= 40
    checked = [model for model in models if model.published is not None]
    assert len(checked) >= 25
    for model in checked:
        assert model.cited, model.name
        assert model.parameters == pytest.approx(model.published, rel=1e-3), model.name


@pytest.mark.slow
@pytest.mark.parametrize("layers", [2])
def test_every_model_of_the_catalogue_is_the_real_class(layers: int) -> None:
    """The classes are built with two layers; the rest is a product."""
    import json

    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    built = 0
    for name in catalogue():
        ours = architecture(name)
        if not ours.config:
            continue
        values = json.loads(ours.config)
        for key in ("num_hidden_layers", "n_layer"):
            if key in values:
                values[key] = layers
        shallow = from_config(values, name)
        config = AutoConfig.for_model(values.pop("model_type"), **values)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        assert shallow.parameters == sum(p.numel() for p in model.parameters()), name
        built += 1
    assert built >= 70


linears = st.lists(
    st.builds(
        Linear,
        name=st.just("x"),
        in_features=st.integers(1, 9000),
        out_features=st.integers(1, 9000),
        count=st.integers(1, 100),
    )
)


@given(linears, st.integers(1, 256))
def test_lora_is_linear_in_rank(layers: list[Linear], r: int) -> None:
    assert lora_parameters(tuple(layers), r) == r * lora_parameters(tuple(layers), 1)


def test_an_unknown_model_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"model_type = 'mamba'.*Known: .*llama"):
        from_config({"model_type": "mamba"}, "x")


def test_a_missing_dimension_is_named() -> None:
    with pytest.raises(ModelError, match="intermediate_size = None"):
        from_config({"model_type": "llama", "hidden_size": 64}, "x")


def test_a_typo_in_the_catalogue_gets_a_suggestion() -> None:
    with pytest.raises(ModelError, match=r"Did you mean llama3\.1-8b"):
        architecture("llama3.1-8")


def test_a_hub_id_of_the_catalogue_is_understood() -> None:
    assert architecture("meta-llama/Llama-3.1-8B").name == "llama3.1-8b"


def test_a_target_that_no_layer_has_is_named() -> None:
    with pytest.raises(RecipeError, match=r"c_attn: no such linear layer.*q_proj"):
        adapted(architecture("llama2-7b"), ("q_proj", "c_attn"))


def test_every_model_of_the_catalogue_can_be_read() -> None:
    for name in catalogue():
        assert architecture(name).parameters > 5e7


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*CONFIGS, "gpt2"])
def test_counts_are_those_of_the_real_model_with_peft(kind: str) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"n_embd": 64, "n_layer": 3, "n_head": 4, "vocab_size": 160, "n_positions": 32}
    extra = sizes if kind == "gpt2" else SIZES | CONFIGS[kind]
    config = AutoConfig.for_model(kind.partition(" ")[0], **extra)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    ours = from_config(config.to_dict(), kind)
    assert ours.parameters == sum(p.numel() for p in model.parameters())
    alone = ALONE.get(kind, "down_proj")
    for targets in ("all-linear", (alone,)):
        wanted = list(targets) if isinstance(targets, tuple) else targets
        lora = LoraConfig(r=5, target_modules=wanted, task_type="CAUSAL_LM")
        with torch.device("meta"):
            tuned = get_peft_model(AutoModelForCausalLM.from_config(config), lora)
        trained = sum(p.numel() for p in tuned.parameters() if p.requires_grad)
        assert lora_parameters(adapted(ours, targets), 5) == trained
