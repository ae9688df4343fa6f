"""Methods: our arithmetic agrees with what PEFT really builds, for every rank."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import Linear
from tasks.methods import METHODS, full, lora, qlora, rslora
from tasks.recipe import LoraSection
from tests.records import make_recommendation
from tests.tiny import build_tiny_model

sizes = st.integers(1, 20_000)
linears = st.lists(
    st.builds(
        Linear, name=st.just("w"), in_features=sizes, out_features=sizes, count=st.integers(1, 99)
    ),
    max_size=8,
)


@given(linears, st.integers(1, 1024))
def test_lora_is_linear_in_rank(layers: list[Linear], r: int) -> None:
    assert lora.trainable_parameters(layers, r) == r * lora.trainable_parameters(layers, 1)


@given(linears, st.integers(1, 1024))
def test_a_layer_that_stands_twice_counts_twice(layers: list[Linear], r: int) -> None:
    once = [layer.model_copy(update={"count": 1}) for layer in layers for _ in range(layer.count)]
    assert lora.trainable_parameters(layers, r) == lora.trainable_parameters(once, r)


@given(st.integers(1, 1024), st.integers(1, 2048))
def test_both_scales_agree_at_rank_one_and_rslora_s_is_never_smaller(r: int, alpha: int) -> None:
    assert lora.effective_scale(1, alpha) == rslora.effective_scale(1, alpha)
    assert rslora.effective_scale(r, alpha) >= lora.effective_scale(r, alpha)


def test_llama_2_7b_has_the_published_counts() -> None:
    """methods.md 3.3: q and v only, 32 layers of 4096 x 4096 each."""
    layers = [Linear(name=n, in_features=4096, out_features=4096, count=32) for n in ("q", "v")]
    for r, count in {4: 2_097_152, 8: 4_194_304, 16: 8_388_608, 64: 33_554_432}.items():
        assert lora.trainable_parameters(layers, r) == count


def test_full_trains_all_in_float32_and_adapters_keep_the_dtype() -> None:
    assert full.trainable_parameters(7_000_000) == 7_000_000
    assert full.base_dtype("bfloat16") == "float32"
    assert {METHODS[name].base_dtype("bfloat16") for name in ("lora", "qlora")} == {"bfloat16"}
    assert [name for name, method in METHODS.items() if method.QUANTIZED] == ["qlora"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("base"))


def linear_layers(model: Any, targets: tuple[str, ...] | None) -> list[Linear]:
    """Return the model's linear layers, as the architecture reader would."""
    from torch import nn

    found: Counter[tuple[str, int, int]] = Counter()
    for name, module in model.named_modules():
        last = name.split(".")[-1]
        wanted = last != "lm_head" if targets is None else last in targets
        if isinstance(module, nn.Linear) and wanted:
            found[last, module.in_features, module.out_features] += 1
    return [
        Linear(name=n, in_features=i, out_features=o, count=c) for (n, i, o), c in found.items()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("r", [1, 4, 64])
@pytest.mark.parametrize("variant", ["lora", "rslora"])
@pytest.mark.parametrize("targets", [None, ("q_proj", "v_proj"), ("down_proj",)])
def test_count_and_scale_match_peft(
    base: Path, variant: str, r: int, targets: tuple[str, ...] | None
) -> None:
    from peft import get_peft_model
    from peft.tuners.lora import LoraLayer
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    layers = linear_layers(model, targets)
    chosen = make_recommendation(
        "lora", r=r, lora_alpha=24, variant=variant, target_modules=targets or "all-linear"
    ).hyperparameters
    assert chosen is not None
    method = METHODS[variant]
    adapted = get_peft_model(model, method.peft_config(chosen, LoraSection()))
    trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert trained == method.trainable_parameters(layers, r)
    scales = {m.scaling["default"] for m in adapted.modules() if isinstance(m, LoraLayer)}
    assert scales == {method.effective_scale(r, 24)}


def test_qlora_takes_the_adapter_of_the_variant() -> None:
    for variant, stabilized in (("lora", False), ("rslora", True)):
        chosen = make_recommendation("qlora", variant=variant).hyperparameters
        assert chosen is not None
        config = qlora.peft_config(chosen, LoraSection(modules_to_save=("lm_head",)))
        assert config.use_rslora is stabilized
        assert config.modules_to_save == ["lm_head"]
