"""Freezing: full fine-tuning of a part of the weights; the others stay bitwise what they were.

    theta_i <- theta_i - learning_rate * AdamW(dL/dtheta_i)     for i that is not frozen, only

The guide's example trains the last 12 of 32 layers. Frozen weights have neither gradient nor
moments: 12 of the 16 bytes a parameter are saved. Where the embeddings are frozen too, no gradient
goes through the first layers, which then keep no activations either.

What a section freezes is found by the names of the real model's parameters, here and for the
estimate (`tasks/estimates/frozen.py`). Tied parameters have two names and are one.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

from tasks.errors import RecipeError
from tasks.sections.continual import FreezeSection

__all__ = ["check_layers", "freeze", "frozen_names", "layer_of"]

#: The first number in a parameter's name is that of its decoder layer.
LAYER = re.compile(r"\.(\d+)\.")


def layer_of(name: str) -> int | None:
    """Return the decoder layer a parameter stands in: 3 for `model.layers.3.mlp.up_proj.weight`."""
    found = LAYER.search(name)
    return int(found[1]) if found else None


def check_layers(section: FreezeSection, layers: int, model: str) -> None:
    """Refuse more layers than the model has.

    Raises:
        RecipeError: It has fewer.
    """
    for key in ("layers", "trainable_layers"):
        wanted = getattr(section, key)
        if wanted is not None and wanted > layers:
            raise RecipeError(
                f"freeze.{key} = {wanted}: {model} has {layers} decoder layers. "
                f"Write {layers} or fewer."
            )


def freeze(model: Any, section: FreezeSection) -> None:  # noqa: ANN401 - a PreTrainedModel
    """Take the gradient from every parameter that the section freezes.

    Raises:
        RecipeError: A pattern matches nothing, too many layers, or nothing is left to train.
    """
    frozen = frozen_names(model, section)
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)


def frozen_names(model: Any, section: FreezeSection) -> frozenset[str]:  # noqa: ANN401 - a model
    """Return the names of the parameters that are frozen, each once.

    Raises:
        RecipeError: A pattern matches nothing, too many layers, or nothing is left to train.
    """
    depth = model.config.get_text_config().num_hidden_layers
    check_layers(section, depth, model.config.model_type)
    every = dict(model.named_parameters(remove_duplicate=False))
    named = _trained(every, section, depth) if section.names_trained else _frozen(model, section)
    meant = {id(every[name]) for name in named}
    once = {name: id(parameter) in meant for name, parameter in model.named_parameters()}
    frozen = frozenset(name for name in once if once[name] is not section.names_trained)
    if len(frozen) == len(once):
        raise RecipeError("freeze: every parameter is frozen; nothing is left to train.")
    return frozen


def _frozen(model: Any, section: FreezeSection) -> set[str]:  # noqa: ANN401 - a model
    every = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    found = _matching(every, section.patterns, "patterns")
    first = section.layers or 0
    found |= {name for name in every if (at := layer_of(name)) is not None and at < first}
    return found | (_embeddings(model) if section.embeddings else set())


def _trained(every: dict[str, Any], section: FreezeSection, depth: int) -> set[str]:
    found = _matching(list(every), section.unfrozen_parameters, "unfrozen_parameters")
    if section.trainable_layers is not None:
        first = depth - section.trainable_layers
        found |= {name for name in every if (at := layer_of(name)) is not None and at >= first}
    return found


def _embeddings(model: Any) -> set[str]:  # noqa: ANN401 - a model
    """Return the names of word and position embeddings."""
    from torch import nn

    return {
        f"{name}.weight"
        for name, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, nn.Embedding) and layer_of(f"{name}.weight") is None
    }


def _matching(names: list[str], patterns: tuple[str, ...], key: str) -> set[str]:
    found: set[str] = set()
    for pattern in patterns:
        hits = {name for name in names if re.search(pattern, name)}
        if not hits:
            raise RecipeError(
                f"freeze.{key}: {pattern!r} matches no parameter. {_near(pattern, names)}"
            )
        found |= hits
    return found


def _near(pattern: str, names: list[str]) -> str:
    """Return the nearest name; those in a layer with and without what stands before."""
    tails = [LAYER.split(name, 1)[-1] for name in names]
    parts = [part for tail in tails for part in tail.removesuffix(".weight").split(".")]
    candidates = dict.fromkeys([*parts, *tails, *names])
    plain = pattern.replace("\\", "").strip("^$*.")
    near = difflib.get_close_matches(plain, list(candidates), n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}?" if near else f"Names look like {names[-2]!r}."
