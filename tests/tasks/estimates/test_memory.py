"""Memory: it grows with what it must grow with, and agrees with what was traced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.estimates.architecture import architecture, from_config
from tasks.estimates.memory import GIB, Setup, estimate

MODELS = ("llama3.2-1b", "llama3.1-8b", "llama2-13b", "mistral-7b", "qwen2.5-1.5b")
METHODS = ("full", "lora", "qlora")

setups = st.builds(
    lambda model, **rest: Setup(architecture=architecture(model), **rest),
    model=st.sampled_from(MODELS),
    method=st.sampled_from(METHODS),
    r=st.integers(1, 256),
    batch=st.integers(1, 16),
    length=st.integers(16, 8192),
    checkpointing=st.booleans(),
    accumulates=st.booleans(),
    fused_loss=st.booleans(),
    optim=st.sampled_from(["adamw_torch_fused", "adamw_torch", "adamw_bnb_8bit", "sgd"]),
    dropout=st.booleans(),
    devices=st.sampled_from([1, 2, 8]),
    base_bytes=st.sampled_from([2, 4]),
    on_cpu=st.booleans(),
)

#: Allocated GB, batch 1 x 2,048, checkpointing, all-linear r 16 (methods.md 4.3, traced):
#: LoRA over bfloat16, LoRA over float32, QLoRA, full with float32 states, LoRA with plain loss (the
#: logits are gone in the backward pass, as in TRL's trainer; a loop that holds them has 0.5 GB more).
TRACED = {
    "llama3.2-1b": (3.1, 5.9, 1.5, 21.9, 5.9),
    "llama3.2-3b": (7.5, 14.5, 3.1, 54.6, 10.2),
    "llama2-7b": (15.1, 29.6, 5.1, 108.9, 15.4),
    "llama3.1-8b": (17.8, 34.8, 7.1, 132.7, 20.8),
    "llama2-13b": (28.4, 55.9, 9.1, 209.6, 28.6),
}


def high(setup: Setup, **changes: object) -> int:
    return estimate(setup.model_copy(update=changes), None).high_bytes


@given(setups)
def test_memory_never_falls_when_rank_length_or_batch_grows(setup: Setup) -> None:
    at = high(setup)
    assert setup.r is not None
    assert high(setup, r=2 * setup.r) >= at
    assert high(setup, length=2 * setup.length) >= at
    assert high(setup, batch=2 * setup.batch) >= at


@given(setups)
def test_qlora_needs_at_most_lora_which_needs_at_most_full(setup: Setup) -> None:
    """From 1B on, where weights dominate, and with an optimizer that has moments.

    Without checkpointing, dropout's copies can cost LoRA more activations than full has.
    """
    plain = {"r": min(setup.r or 1, 64), "batch": 1, "length": 1024, "checkpointing": True}
    plain |= {"optim": "adamw_torch_fused"}  # SGD keeps no moments: full is then near LoRA
    setup = setup.model_copy(update=plain)
    sizes = [high(setup, method=method) for method in ("qlora", "lora", "full")]
    assert sizes == sorted(sizes)


@given(setups)
def test_more_devices_never_need_more_each_from_two_on(setup: Setup) -> None:
    assert high(setup, devices=8) <= high(setup, devices=2)


@given(setups)
def test_checkpointing_and_the_fused_loss_save_activations(setup: Setup) -> None:
    layers = setup.model_copy(update={"batch": 4, "length": 2048})
    assert high(layers, checkpointing=True) <= high(layers, checkpointing=False)
    # On a CPU, or for the head's own gradient, TRL's tiles cost float32 copies of their own.
    loss = setup.model_copy(update={"method": "lora", "on_cpu": False, "length": 4096})
    assert high(loss, fused_loss=True) <= high(loss, fused_loss=False)


@given(setups)
def test_the_parts_add_up_to_the_upper_figure(setup: Setup) -> None:
    found = estimate(setup, 10 * GIB)
    parts = found.weights_bytes + found.adapter_bytes + found.gradients_bytes
    parts += found.optimizer_bytes + found.activations_bytes + found.logits_bytes
    assert abs(parts + found.overhead_bytes - found.high_bytes) < 16
    assert found.low_bytes <= found.high_bytes
    assert found.fits == (found.high_bytes <= 10 * GIB)


@pytest.mark.parametrize("name", TRACED)
def test_the_closed_form_agrees_with_the_trace(name: str) -> None:
    wanted = TRACED[name]
    base = Setup(
        architecture=architecture(name), method="lora", r=16, length=2048, optim="adamw_torch_loop"
    )
    lora, wide, qlora, full, plain = (
        base,
        base.model_copy(update={"base_bytes": 4}),
        base.model_copy(update={"method": "qlora", "adapter_bytes": 2}),
        base.model_copy(update={"method": "full"}),
        base.model_copy(update={"fused_loss": False}),
    )
    found = [
        (estimate(setup, None).low_bytes - 0.15 * GIB) / 1e9
        for setup in (lora, wide, qlora, full, plain)
    ]
    assert found == pytest.approx(wanted, rel=0.03, abs=0.1)


def test_the_tile_of_the_loss_is_never_wider_than_the_vocabulary() -> None:
    """2,048 words and 2,048 tokens: a tile of the quickstart is 16 MiB, not 2 GiB."""
    config = json.loads(Path("tasks/assets/base/config.json").read_text(encoding="utf-8"))
    found = estimate(
        Setup(
            architecture=from_config(config, "base"), method="lora", r=16, batch=8, length=256,
            base_bytes=4, on_cpu=True,
        ),
        None,
    )  # fmt: skip
    assert found.logits_bytes < 200 * 2**20
