"""Adapters: what they train, and what they keep that the table of activations does not have.

The table (`tasks/assets/activations.json`) is of plain LoRA on every linear layer, with SDPA. Fewer
targets, dropout, other variants and whole attention scores keep less or more for each token:

    a target's input    its own 16-bit copy under autocast over a 16-bit or 32-bit base, else shared
    r numbers           A x, each target
    dropout             its own dropped input, and the mask: a byte on a card, as wide on a CPU
    DoRA                the base's and the adapter's output of each target: 6 bytes a number
    LoRA-FA             no input, for A is not trained
    eager attention     scores in float32 and in 16 bits, heads x length for each token
"""

from __future__ import annotations

from functools import lru_cache

from tasks.contracts import Linear
from tasks.estimates.architecture import Architecture
from tasks.estimates.frozen import frozen_by
from tasks.estimates.parameters import adapted, adapter_parameters
from tasks.estimates.setups import Setup

__all__ = ["in_forward", "inputs", "keeps_inputs", "per_token", "regime", "scores", "trained"]

#: Families with layer norms, whose outputs are float32 under autocast.
LAYER_NORM = ("bloom", "falcon", "gpt2", "gpt_neox", "opt", "phi")
#: Families whose row in the table is with whole attention scores: they have no SDPA.
EAGER = ("gemma2", "bloom")
#: Families whose SDPA keeps whole scores too: it has to, for they drop some out.
DROPS_SCORES = ("gpt2",)


def trained(setup: Setup) -> int:
    """Return how many numbers are trained."""
    model = setup.architecture
    if setup.method == "full":
        return model.parameters - frozen_by(setup.freeze, model).parameters
    assert setup.r is not None
    adapter = adapter_parameters(model, setup.target_modules, setup.variant, setup.r)
    return adapter + model.score_parameters


def regime(setup: Setup) -> str:
    """Return the table's word for how the setup computes."""
    cpu = " cpu" if setup.on_cpu and setup.base_bytes == 4 else ""
    if setup.method == "full":
        return "full half" if setup.pure_half and not cpu else f"full{cpu}"
    if setup.method == "qlora" and not cpu:
        return "int8" if setup.quantization == "int8" else "nf4-double"
    wide = " float32" if setup.base_bytes == 4 and not cpu else ""
    return f"adapter{cpu or wide}"


def per_token(setup: Setup) -> float:
    """Return bytes a token and layer keeps beyond the table, below zero where it is less."""
    more = _attention(setup)
    if setup.method == "full":
        return more
    model = setup.architecture
    layers = adapted(model, setup.target_modules)
    targets = setup.target_modules
    more += _inputs(setup, targets, dropout=setup.dropout) - _inputs(setup, None, dropout=False)
    width = _width(setup)
    assert setup.r is not None
    more += width * setup.r * (len(layers) - len(model.linears) - len(model.experts))
    if setup.dropout and keeps_inputs(setup) and model.model_type not in LAYER_NORM:
        more += _inputs(setup, None, dropout=False)  # its product keeps them too
    if setup.variant == "dora":
        more += 3 * width * sum(x.out_features for x in layers)
    if setup.variant == "lora_fa":
        more -= _inputs(setup, targets, dropout=setup.dropout)
    return more


def keeps_inputs(setup: Setup) -> bool:
    """Whether every product keeps its input: bitsandbytes' int8 does, past checkpointing too."""
    return setup.method == "qlora" and setup.quantization == "int8" and regime(setup) == "int8"


def inputs(setup: Setup) -> float:
    """Return bytes a token and layer keeps as the inputs of all its linear layers, each once."""
    model = setup.architecture
    kinds = {(*_kind(x), x.name.endswith(OUTPUTS)) for x in model.linears}
    return _width(setup) * sum(size for _, size, _ in kinds)


def scores(setup: Setup) -> float:
    """Return bytes a token takes for whole attention scores inside the backward pass."""
    known = setup.architecture.model_type in EAGER + DROPS_SCORES
    eager = setup.attention == "eager" and not known
    return 4.0 * setup.architecture.heads * setup.length if eager else 0.0


def in_forward(setup: Setup) -> float:
    """Return bytes a token more at the largest moment within a layer's forward pass.

    Dropout: what it keeps, and the widest input in float32 (PEFT drops before it casts). Whole
    scores of a family that drops some out: less than SDPA's, which has float32 copies.
    """
    more = _scores_less(setup)
    if setup.dropout and setup.method == "lora":  # packed weights are unpacked at a larger moment
        targets = setup.target_modules
        more += _inputs(setup, targets, dropout=True) - _inputs(setup, None, dropout=False)
        if _width(setup) == 2:
            more += 4.0 * max(x.in_features for x in adapted(setup.architecture, targets))
    return more


def _scores_less(setup: Setup) -> float:
    model = setup.architecture
    eager = setup.attention == "eager" and model.model_type in DROPS_SCORES
    if not eager or _width(setup) == 4:
        return 0.0
    return -5.0 * model.heads * setup.length - 6.0 * model.hidden


def _width(setup: Setup) -> int:
    """Return the bytes of a number in products."""
    return 4 if setup.on_cpu and setup.base_bytes == 4 else 2


def _inputs(setup: Setup, targets: str | tuple[str, ...] | None, *, dropout: bool) -> int:
    """Return bytes a token keeps of the inputs of adapters on targets, or on every linear layer."""
    width = _width(setup)
    if dropout:
        mask = width if setup.on_cpu else 1
        return (width + mask) * _numbers(setup.architecture, targets, shared=False)
    shared = setup.method != "lora" or width != 2
    return width * _numbers(setup.architecture, targets, shared=shared)


@lru_cache(maxsize=1024)
def _numbers(model: Architecture, targets: str | tuple[str, ...] | None, *, shared: bool) -> int:
    """Return how many numbers of a token the adapters read, each tensor once if it is shared."""
    layers = (*model.linears,) if targets is None else adapted(model, targets)
    if not shared:
        return sum(x.in_features for x in layers if "experts" not in x.name)
    # Attention's output is kept anyway.
    kinds = {_kind(x) for x in layers}
    return sum(
        size
        for kind, size in kinds
        if not (kind in ATTENTION and _only_output(layers, (kind, size)))
    )


ATTENTION = ("self_attn", "attn", "attention", "self_attention")
#: Layers that read what attention puts out, not what the others of its block read.
OUTPUTS = ("o_proj", "attn.c_proj", "dense", "out_proj")


def _kind(layer: Linear) -> tuple[str, int]:
    """Return block and width of a layer's input: layers of one kind read one tensor."""
    return layer.name.partition(".")[0], layer.in_features


def _only_output(layers: tuple[Linear, ...], kind: tuple[str, int]) -> bool:
    return all(x.name.endswith(OUTPUTS) for x in layers if _kind(x) == kind)


def _attention(setup: Setup) -> float:
    """Return what attention keeps beyond SDPA's query, key, value and output."""
    model, width = setup.architecture, _width(setup)
    repeated = 2 * width * (model.q_width - model.kv_width)
    if setup.attention == "sdpa-repeated":
        return repeated
    if setup.attention != "eager" or model.model_type in EAGER:
        return 0.0
    if model.model_type in DROPS_SCORES:
        return _scores_less(setup)
    scores = 4 + width if width == 2 else 4
    return repeated + scores * model.heads * setup.length
