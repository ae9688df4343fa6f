"""Frozen: what a `freeze` section takes from a model, in numbers, before any weight is loaded.

Whole layers and embeddings follow from the architecture. Patterns go by names, so for them the real
class is built without data (on the meta device), which takes torch and some seconds.
"""

from __future__ import annotations

import json
from functools import cache

from tasks.contracts import Record
from tasks.errors import ModelError
from tasks.estimates.architecture import Architecture
from tasks.methods.freezing import check_layers, frozen_names, layer_of
from tasks.sections.continual import FreezeSection

__all__ = ["NOTHING", "Frozen", "frozen_by"]


class Frozen(Record):
    """What is not trained, in parameters, and how far the backward pass goes.

    `products` stand in matrix products. No gradient reaches the first `unreached` layers. `head`
    are those of embedding and head.
    """

    parameters: int = 0
    products: int = 0
    unreached: int = 0
    head: int = 0


NOTHING = Frozen()

#: Families with a norm between embedding and layers, which is trained where layers are frozen.
INPUT_NORM = ("bloom",)


def frozen_by(section: FreezeSection | None, model: Architecture) -> Frozen:
    """Return what a section freezes of a model.

    Raises:
        RecipeError: More layers than the model has, or a pattern that matches nothing.
        ModelError: Patterns, and the model's class is not part of transformers.
    """
    if section is None:
        return NOTHING
    check_layers(section, model.layers, model.name)
    if section.needs_names:
        return _by_names(section, model.config, model.name)
    return _by_parts(section, model)


def _by_parts(section: FreezeSection, model: Architecture) -> Frozen:
    """Count whole layers and the embeddings."""
    layer = model.parameters - model.embedding_parameters - model.outside_parameters
    layer //= model.layers
    products = model.linear_parameters // model.layers
    if section.trainable_layers is not None:
        count = model.layers - section.trainable_layers
        outside = model.embedding_parameters + model.outside_parameters
        return Frozen(
            parameters=count * layer + outside,
            products=count * products + model.vocabulary * model.hidden,
            unreached=count,
            head=model.embedding_parameters,
        )
    count = section.layers or 0
    words = model.vocabulary * model.hidden if section.embeddings else 0
    return Frozen(
        parameters=count * layer + words + (model.position_parameters if section.embeddings else 0),
        products=count * products + (words if model.tied else 0),
        unreached=count if section.embeddings and model.model_type not in INPUT_NORM else 0,
        head=words,
    )


@cache
def _by_names(section: FreezeSection, config: str, name: str) -> Frozen:
    """Build the model without data and count by name."""
    if not config:
        raise ModelError(
            f"{name}: its class is not part of transformers, so freeze.patterns cannot be counted. "
            "Use freeze.layers and freeze.embeddings."
        )
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    values = json.loads(config)
    with torch.device("meta"):
        built = AutoModelForCausalLM.from_config(
            AutoConfig.for_model(values.pop("model_type"), **values)
        )
    frozen = frozen_names(built, section)
    every = dict(built.named_parameters())
    words, head = built.get_input_embeddings().weight, built.get_output_embeddings().weight
    # Parameters come in the order of the modules: what stands before the layers is used before.
    order = [layer_of(name) for name in every]
    first = next(i for i, at in enumerate(order) if at is not None)
    trained = [
        (i, at) for i, (name, at) in enumerate(zip(every, order, strict=True)) if name not in frozen
    ]
    before = any(i < first for i, _ in trained)
    layers = [at for _, at in trained if at is not None]
    return Frozen(
        parameters=sum(every[name].numel() for name in frozen),
        products=sum(
            every[name].numel()
            for name in frozen
            if every[name].dim() > 1 and (layer_of(name) is not None or every[name] is head)
        ),
        unreached=0
        if before
        else min(layers, default=max(at for at in order if at is not None) + 1),
        head=sum(
            every[name].numel() for name in frozen if every[name] is words or every[name] is head
        ),
    )
