"""Parameters: which linear layers an adapter sits on, and how many numbers are trained.

    A is (r, in), B is (out, r), so a layer of W (out, in) gets r * (in + out) numbers.

Example: Llama-2-7B, q and v, r = 16: 32 layers * 2 * 16 * (4096 + 4096) = 8,388,608.
"""

from __future__ import annotations

import re
from functools import lru_cache

from tasks.contracts import Linear, Variant
from tasks.errors import RecipeError
from tasks.estimates.architecture import Architecture
from tasks.estimates.frozen import frozen_by
from tasks.estimates.settings import rule
from tasks.methods import VARIANTS, adalora, full
from tasks.methods.lora import trainable_parameters as lora_parameters
from tasks.recipe import FreezeSection, LoraSection

__all__ = [
    "adapted",
    "adapter_parameters",
    "first_rank",
    "lora_parameters",
    "refuse_for_experts",
    "trainable_parameters",
    "variant_for",
]


@lru_cache(maxsize=1024)
def adapted(
    architecture: Architecture, target_modules: str | tuple[str, ...]
) -> tuple[Linear, ...]:
    """Return the linear layers that `target_modules` names; `all-linear` leaves out the head.

    A mixture's experts are adapted under `all-linear` only.

    As in PEFT, a text is a regular expression over the layer's whole path, a list holds endings.

    Raises:
        RecipeError: A name that no layer of this model ends with.
    """
    prefix = "transformer.h.0." if architecture.model_type == "gpt2" else "model.layers.0."
    if target_modules == "all-linear":
        return (*architecture.linears, *architecture.experts)
    if isinstance(target_modules, str):
        found = [x for x in architecture.linears if re.fullmatch(target_modules, prefix + x.name)]
        missing = [] if found else [target_modules]
    else:
        ends = {n: [x for x in architecture.linears if _ends_with(x, n)] for n in target_modules}
        missing = [n for n, layers in ends.items() if not layers]
        found = [x for x in architecture.linears if any(x in layers for layers in ends.values())]
    if missing:
        known = ", ".join(x.name.rpartition(".")[2] for x in architecture.linears)
        raise RecipeError(
            f"lora.target_modules: {', '.join(missing)}: no such linear layer in "
            f"{architecture.name}. Its layers: {known}. Or write all-linear."
        )
    return tuple(found)


def refuse_for_experts(architecture: Architecture, lora: LoraSection) -> None:
    """Refuse what PEFT 0.21 cannot do with a mixture's experts, before anything is loaded.

    Experts are one tensor for all of them and no linear layers: their adapters know no dropout, no
    DoRA and no PiSSA.

    Raises:
        RecipeError: The recipe asks for one of them; the message says what is possible.
    """
    if not architecture.experts or lora.target_modules != "all-linear":
        return
    asked = f"lora.variant: {lora.variant}" if lora.variant in ("dora", "pissa") else ""
    if lora.lora_dropout:
        asked = asked or f"lora.lora_dropout: {lora.lora_dropout:g}"
    if asked:
        attention = ", ".join(layer.name.rpartition(".")[2] for layer in architecture.linears)
        mend = "variant: lora" if "variant" in asked else "lora_dropout: 0"
        raise RecipeError(
            f"{asked}: PEFT cannot do that with the experts of {architecture.name}. Write lora: "
            f"{{{mend}}}, or leave the experts alone: target_modules: [{attention}]."
        )


def _ends_with(layer: Linear, name: str) -> bool:
    return layer.name == name or layer.name.endswith(f".{name}")


def variant_for(r: int, lora: LoraSection) -> Variant:
    """Return the recipe's variant, else LoRA, from rank 64 on rsLoRA (the rule `rslora`)."""
    return lora.variant or ("rslora" if r >= rule("rslora")["when"]["r"]["at_least"] else "lora")


def first_rank(r: int, lora: LoraSection) -> int:
    """Return the rank that training starts with: r, under AdaLoRA more."""
    return adalora.initial_rank(r, lora) if lora.variant == "adalora" else r


def trainable_parameters(
    architecture: Architecture,
    method: str,
    r: int | None,
    lora: LoraSection,
    frozen: FreezeSection | None = None,
) -> int:
    """Return how many numbers the method trains, under AdaLoRA at the start; a head is trained whole."""
    if method == "full":
        left = frozen_by(frozen, architecture).parameters
        return full.trainable_parameters(architecture.parameters, left)
    assert r is not None
    rank, variant = first_rank(r, lora), variant_for(r, lora)
    adapter = adapter_parameters(architecture, lora.target_modules, variant, rank)
    return adapter + architecture.score_parameters


@lru_cache(maxsize=4096)
def adapter_parameters(
    architecture: Architecture, target_modules: str | tuple[str, ...], variant: Variant, r: int
) -> int:
    """Return how many numbers an adapter of a rank trains."""
    layers = adapted(architecture, target_modules)
    if variant == "adalora":  # PEFT 0.21 has no AdaLoRA for experts and passes them over
        layers = tuple(layer for layer in layers if layer not in architecture.experts)
    return VARIANTS[variant].trainable_parameters(layers, r)
