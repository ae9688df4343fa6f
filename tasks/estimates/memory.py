"""Memory: the peak of one training step in closed form, in microseconds.

A step is largest at one of three moments (not at their sum):

    start of backward   W + O + saved + logits
    inside backward     W + O + saved inputs + one live layer          (with checkpointing)
    optimizer step      W + G + O + temporaries

W weights, G gradients (also held during the first two once they accumulate), O optimizer states,
all per device; sharded over N devices each holds 1/N of them, two gathered layers and the embedding
and head. Against an exact trace of 60 random configurations: mean error 1.0 %, worst 5.9 %
(methods.md 4.2, measured); in float32 on a CPU 0 to 13 % above the bytes counted in real steps
(`tests/tasks/estimates/test_memory_traced.py`). The figure of the device adds allocator slack and
context; its factors are heuristics, so an interval is given and `high_bytes` decides what fits.
"""

from __future__ import annotations

from typing import Literal

from tasks.contracts import MemoryEstimate, Method, Record, Variant
from tasks.estimates.architecture import Architecture
from tasks.estimates.parameters import adapted, lora_parameters

__all__ = ["GIB", "Setup", "estimate"]

GIB = 2**30

Quantization = Literal["nf4-double", "nf4", "int8"]
Attention = Literal["sdpa", "sdpa-repeated", "eager", "flash"]

#: Bytes of a quantized weight. 4 bits: packed, its scale per block of 64, doubly quantized in blocks
#: of 256; int8 has a scale per row, too few to count.
PACKED = {"nf4-double": 0.5 + 1 / 64 + 4 / (64 * 256), "nf4": 0.5 + 4 / 64, "int8": 1.0}

#: Moments kept per parameter and bytes of each; None: as wide as the parameter.
OPTIMIZERS: dict[str, tuple[int, float | None]] = {
    "adamw_bnb_8bit": (2, 1 + 4 / 256),
    "adamw_8bit": (2, 1 + 4 / 256),
    "paged_adamw_8bit": (2, 1 + 4 / 256),
    "lion_8bit": (1, 1 + 4 / 256),
    "sgd": (0, None),
    "adafactor": (0, None),
}

#: Heuristics of the device figure (methods.md 4.2): slack on states and on the rest, context.
STATE_SLACK, REST_SLACK = 1.02, 1.15
CONTEXT_LOW, CONTEXT_HIGH, SEVERAL_GPUS = 0.15 * GIB, 0.7 * GIB, 1.4 * GIB
#: A process with torch, transformers and TRL loaded holds 0.5 to 0.75 GB before any model
#: (stack.md: 490 MB peak at 260K parameters, 740 MB at 2M).
LIBRARIES_LOW, LIBRARIES_HIGH = 0.45 * GIB, 0.8 * GIB


class Setup(Record):
    """One exact configuration of a training step; `devices` above 1 means sharded over them.

    `base_bytes` is the width of a frozen weight and of the computation: 4 on a CPU, 2 on a GPU.
    Full fine-tuning keeps float32 states either way (methods.md 3.4) unless `pure_half`.
    `quantization` is how QLoRA keeps the linear layers. `sdpa-repeated` is SDPA on a card without
    FlashAttention.
    """

    architecture: Architecture
    method: Method
    r: int | None = None
    target_modules: str | tuple[str, ...] = "all-linear"
    batch: int = 1
    length: int
    checkpointing: bool = True
    accumulates: bool = False
    fused_loss: bool = True
    optim: str = "adamw_torch_fused"
    base_bytes: Literal[2, 4] = 2
    adapter_bytes: Literal[2, 4] = 4
    dropout: bool = False
    variant: Variant = "lora"
    quantization: Quantization = "nf4-double"
    attention: Attention = "sdpa"
    pure_half: bool = False
    devices: int = 1
    on_cpu: bool = False


class _States(Record):
    """What is there all the time, in bytes for the whole model, before sharding."""

    weights: float
    adapter: float
    gradients: float
    optimizer: float


def estimate(setup: Setup, available_bytes: int | None) -> MemoryEstimate:
    """Return the peak memory of one device, part by part, and whether it fits.

    Args:
        setup: The configuration.
        available_bytes: What the device can give to a process; None if unknown: then it fits.
    """
    states = _states(setup)
    share = 1 / setup.devices
    frozen = (states.weights + states.adapter + states.optimizer) * share + _gathered(setup)
    held = states.gradients * share if setup.accumulates else 0.0
    tokens = setup.batch * setup.length
    inputs, live, everything = _saved(setup, tokens)
    logits = _logits(setup, tokens)
    wide = setup.base_bytes / 2
    if setup.checkpointing:
        moments = [
            (frozen + held, inputs, logits + 8 * wide * tokens * setup.architecture.hidden),
            (frozen + held, inputs + live, _head_product(setup)),
        ]
    else:
        moments = [
            (frozen + held, everything, logits + 8 * wide * tokens * setup.architecture.hidden)
        ]
    step = frozen + states.gradients * share
    moments.append((step, 0.0, _step_temporaries(setup) * share))
    state, activations, extra = max(moments, key=lambda m: m[0] * STATE_SLACK + sum(m[1:]))
    low, high = _device_interval(setup, state, activations + extra)
    gradients = state - frozen
    return MemoryEstimate(
        weights_bytes=round(states.weights * share + _gathered(setup)),
        adapter_bytes=round(states.adapter * share),
        gradients_bytes=round(gradients),
        optimizer_bytes=round(states.optimizer * share),
        activations_bytes=round(activations),
        logits_bytes=round(extra),
        overhead_bytes=high - round(state + activations + extra),
        low_bytes=low,
        high_bytes=high,
        available_bytes=available_bytes,
        fits=available_bytes is None or high <= available_bytes,
    )


def _device_interval(setup: Setup, state: float, rest: float) -> tuple[int, int]:
    """Return allocated plus the smallest context, and the slackened upper end."""
    if setup.on_cpu:
        low, high = LIBRARIES_LOW, LIBRARIES_HIGH
    else:
        low, high = CONTEXT_LOW, CONTEXT_HIGH
    several = SEVERAL_GPUS if setup.devices > 1 else 0.0
    upper = STATE_SLACK * state + REST_SLACK * rest + high + several
    return round(state + rest + low), round(upper)


def _states(setup: Setup) -> _States:
    model = setup.architecture
    moments, width = OPTIMIZERS.get(setup.optim, (2, None))
    if setup.method == "full":
        count, size = model.parameters, 2 if setup.pure_half else 4
        weights, adapter = count * size, 0
    else:
        assert setup.r is not None
        count = lora_parameters(adapted(model, setup.target_modules), setup.r)
        size = setup.adapter_bytes
        weights, adapter = _frozen_weights(setup), count * size
    return _States(
        weights=weights,
        adapter=adapter,
        gradients=count * size,
        optimizer=count * moments * (size if width is None else width),
    )


def _frozen_weights(setup: Setup) -> float:
    model = setup.architecture
    if setup.method == "lora":
        return model.parameters * setup.base_bytes
    packed = PACKED[setup.quantization]
    return (
        model.linear_parameters * packed
        + (model.parameters - model.linear_parameters) * setup.base_bytes
    )


def _gathered(setup: Setup) -> float:
    """Return what each device of a sharded model holds whole: two layers, embedding and head."""
    if setup.devices == 1:
        return 0.0
    model = setup.architecture
    packed = PACKED[setup.quantization]
    width = packed if setup.method == "qlora" else setup.base_bytes
    layer = model.linear_parameters / model.layers
    return 2 * layer * width + model.embedding_parameters * setup.base_bytes


def _saved(setup: Setup, tokens: int) -> tuple[float, float, float]:
    """Return bytes of the layers' inputs, of one live layer, and of all layers unchecked."""
    model = setup.architecture
    h, f, wide = model.hidden, model.intermediate, setup.base_bytes / 2
    float32 = setup.base_bytes == 4
    layer = 8 * h + (4 * model.q_width + 4 * model.kv_width + 6 * f) * wide + 4 * model.heads
    if setup.method == "full":
        layer += (8 * h + 2 * f) * wide
    else:
        layer += _adapter_inputs(setup)
    wide_inputs = float32 or (setup.method == "full" and not setup.pure_half)
    inputs = (4 if wide_inputs else 2) * h * tokens * model.layers
    live = tokens * (layer + (6 * f + 4 * h) * wide)
    if setup.method == "full" and not setup.pure_half and not float32:
        live += 2 * model.linear_parameters / model.layers  # its weights, cast by autocast
    return inputs, live, tokens * layer * model.layers


def _adapter_inputs(setup: Setup) -> float:
    """Return bytes a token and layer that adapters keep: their input and r numbers each.

    Adapters as wide as the base share one copy of their common input, unless dropout gives each its
    own: the dropped input, and the mask (a byte on a card, as wide as the input on a CPU).
    """
    assert setup.r is not None
    layers = adapted(setup.architecture, setup.target_modules)
    numbers = setup.base_bytes * setup.r * len(layers)
    inputs = sum(x.in_features for x in layers)
    dropped = 0.0
    if setup.dropout:
        dropped = inputs * (setup.base_bytes if setup.on_cpu else 1)
    if setup.dropout or setup.adapter_bytes != setup.base_bytes:
        return setup.base_bytes * inputs + numbers + dropped
    kinds = {(x.name.partition(".")[0], x.in_features) for x in layers}
    shared = {k for k in kinds if not (k[0] in {"self_attn", "attn"} and _only_output(layers, k))}
    return setup.base_bytes * sum(width for _, width in shared) + numbers


def _only_output(layers: tuple, kind: tuple[str, int]) -> bool:
    names = [x.name for x in layers if (x.name.partition(".")[0], x.in_features) == kind]
    return all(name.endswith(("o_proj", "attn.c_proj")) for name in names)


def _logits(setup: Setup, tokens: int) -> float:
    """Return the peak of the loss: tiled (TRL's default), or plain with whole logits."""
    model, wide = setup.architecture, setup.base_bytes / 2
    if not setup.fused_loss:
        return 14.0 * tokens * model.vocabulary
    tile = min(tokens, 4096) * min(model.vocabulary, 32768) * 2 * wide
    head = 4 * model.vocabulary * model.hidden if setup.method == "full" else 0
    return tile + 4 * tokens * model.hidden + head


def _head_product(setup: Setup) -> float:
    model = setup.architecture
    return 2.0 * model.vocabulary * model.hidden if setup.method == "full" else 0.0


def _step_temporaries(setup: Setup) -> float:
    """Return what the optimizer allocates: nothing if fused, else about its largest tensor."""
    if "fused" in setup.optim:
        return 0.0
    model = setup.architecture
    if setup.method != "full":
        return 0.0
    return 2.0 * model.vocabulary * model.hidden * (2 if setup.pure_half else 4)
