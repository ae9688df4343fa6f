"""Methods: our arithmetic agrees with what PEFT really builds, for every rank."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import Linear
from tasks.estimates.parameters import first_rank
from tasks.methods import METHODS, VARIANTS, full, lora, lora_plus, rslora
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
@pytest.mark.parametrize("variant", VARIANTS)
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
    chosen = chosen.model_copy(update={"steps": 100})
    section = LoraSection(variant=variant)
    first = first_rank(r, section)
    method = VARIANTS[variant]
    adapted = get_peft_model(model, method.peft_config(chosen, section))
    if hasattr(method, "adapt"):
        method.adapt(adapted)
    trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert trained == method.trainable_parameters(layers, first)
    found = [m for m in adapted.modules() if isinstance(m, LoraLayer)]
    # AdaLoRA divides by the rank in its forward pass only.
    rank = first if variant == "adalora" else 1
    (scale,) = {m.scaling["default"] / rank for m in found}
    assert scale == pytest.approx(method.effective_scale(first, 24))


@pytest.mark.slow
def test_lora_plus_gives_b_the_stated_multiple_of_a_s_rate(base: Path) -> None:
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM, TrainingArguments

    chosen = make_recommendation("lora", variant="lora_plus").hyperparameters
    section = LoraSection(variant="lora_plus", loraplus_lr_ratio=7)
    assert chosen is not None
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), lora_plus.peft_config(chosen, section)
    )
    args = TrainingArguments(learning_rate=3e-4, use_cpu=True)
    optimizer = lora_plus.make_optimizer(model, args, section)
    names = {id(p): name for name, p in model.named_parameters()}
    rates = {names[id(p)]: g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert {rate for name, rate in rates.items() if "lora_A" in name} == {3e-4}
    (faster,) = {rate for name, rate in rates.items() if "lora_B" in name}
    assert faster == pytest.approx(21e-4)


def test_a_key_of_another_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="target_r: belongs to variant: adalora"):
        LoraSection(variant="lora", target_r=4)
    assert LoraSection(variant="adalora", target_r=4).target_r == 4
