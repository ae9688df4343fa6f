"""Trace: counted without data, equal to a real step; two depths give the whole model."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from tasks.errors import ModelError, RecipeError
from tasks.estimates.trace.case import TraceCase

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "vocab_size": 512,
    "tie_word_embeddings": True,
}
LORA: dict[str, Any] = {"peft_type": "LORA", "r": 8, "target_modules": "all-linear"}


def on_cpu(**values: object) -> TraceCase:
    base = {"config": CONFIG, "length": 128, "batch": 4, "dtype": "float32", "autocast": None}
    return TraceCase.model_validate({**base, "device": "cpu", **values})


def real_step(case: TraceCase) -> int:
    """Return the peak of live bytes in the second step of a real model with real data."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    from tasks.estimates.trace.live_bytes import LiveBytes

    values = dict(case.config)
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    model: Any = AutoModelForCausalLM.from_config(config, attn_implementation=case.attention)
    base = model
    if case.adapter is not None:
        adapter = {k: v for k, v in case.adapter.items() if k != "peft_type"}
        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **adapter))
        base = model.get_base_model()
    if case.fused_loss:
        add_fused_lm_head(base, outputs=("log_probs", "entropy", "is_top1"))
    model.train()
    if case.checkpointing:
        base.enable_input_require_grads()
        base.gradient_checkpointing_enable({"use_reentrant": False})
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, fused=True)
    extra = {"fused_lm_head": True} if case.fused_loss else {}
    count = LiveBytes(1)
    for tensor in [*model.parameters(), *model.buffers()]:
        count.add(tensor)
    with count:
        for _ in range(2):
            count.peaks.clear()
            ids = torch.randint(0, config.vocab_size, (case.batch, case.length))
            loss = model(input_ids=ids, labels=ids, use_cache=False, **extra).loss
            loss.backward()
            del loss
            optimizer.step()
            model.zero_grad(set_to_none=True)
            gc.collect()
    return max(count.peaks.values())


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    "adapter", [None, LORA, LORA | {"lora_dropout": 0.1}, LORA | {"use_dora": True}]
)
def test_a_trace_counts_what_a_real_step_holds(
    adapter: dict[str, Any] | None, fused: bool, checkpointing: bool
) -> None:
    from tasks.estimates.trace.step import trace

    case = on_cpu(adapter=adapter, fused_loss=fused, checkpointing=checkpointing)
    assert trace(case).peak_bytes == pytest.approx(real_step(case), rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_two_depths_give_the_whole_model(kind: str, checkpointing: bool) -> None:
    from tasks.estimates.trace.step import measure, trace

    sizes = {"n_embd": 192, "n_layer": 7, "n_head": 6, "vocab_size": 512, "n_positions": 128}
    config = CONFIG | {"num_hidden_layers": 7}
    case = TraceCase(
        config={"model_type": "gpt2", **sizes} if kind == "gpt2" else config,
        adapter=LORA,
        length=128,
        checkpointing=checkpointing,
    )
    found = measure(case, 7)
    extrapolated = trace(case)
    assert not extrapolated.whole
    for phase, peak in extrapolated.peaks.items():
        assert peak == pytest.approx(found[phase], rel=1e-3), phase
    assert extrapolated.trainable_parameters == found["trainable_parameters"]


@pytest.mark.slow
def test_what_makes_a_step_larger_makes_the_trace_larger() -> None:
    from tasks.estimates.trace.step import trace

    large = CONFIG | {"hidden_size": 1536, "intermediate_size": 4096, "vocab_size": 32000}
    base = {"config": large, "length": 512, "adapter": LORA}

    def peak(**values: object) -> int:
        return trace(TraceCase.model_validate(base | values)).peak_bytes

    usual = peak()
    assert peak(quantization="nf4-double") < peak(quantization="nf4") < peak(quantization="int8")
    assert peak(quantization="nf4") < usual < peak(checkpointing=False)
    assert usual < peak(fused_loss=False)
    assert peak(checkpointing=False) < peak(checkpointing=False, attention="eager")
    assert peak(checkpointing=False) < peak(checkpointing=False, attention="sdpa-repeated")
    assert usual < peak(adapter=None) < peak(adapter=None, accumulates=True)
    full = {
        optim: peak(adapter=None, optim=optim) for optim in ("sgd", "adamw_8bit", "adamw_torch")
    }
    assert list(full.values()) == sorted(full.values())


@pytest.mark.slow
def test_what_cannot_be_built_is_said_in_a_line() -> None:
    from tasks.estimates.trace.step import trace

    with pytest.raises(ModelError, match="model_type = 'nonesuch'"):
        trace(TraceCase(config={"model_type": "nonesuch"}, length=8))
    with pytest.raises(RecipeError, match="PEFT cannot build"):
        trace(TraceCase(config=CONFIG, length=8, adapter=LORA | {"target_modules": ["nowhere"]}))
