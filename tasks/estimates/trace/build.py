"""Build: the real model class and PEFT's wrapping on the meta device, then without data.

Nothing here has weights: parameters are made on `meta` at once, and replaced inside the fake mode by
tensors that have a size and no content. Tied parameters stay tied.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from tasks.errors import ModelError, RecipeError
from tasks.estimates.trace.case import TraceCase
from tasks.estimates.trace.quantized import give_storages, quantize
from tasks.methods.freezing import freeze

__all__ = ["build", "decoder_layers", "depth_of", "give_fake_storages", "read_config"]


def read_config(case: TraceCase) -> Any:  # noqa: ANN401 - a PretrainedConfig
    """Return transformers' configuration of the case's model.

    Raises:
        ModelError: transformers does not know the model type, or a value in it.
    """
    from transformers import AutoConfig

    values = dict(case.config)
    kind = values.pop("model_type", None)
    try:
        return AutoConfig.for_model(kind, **values)
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"config.json: model_type = {kind!r}: transformers cannot build it: {error}"
        ) from None


def depth_of(config: Any) -> int:  # noqa: ANN401 - a PretrainedConfig
    """Return the number of decoder layers."""
    return config.get_text_config().num_hidden_layers


def build(case: TraceCase, depth: int) -> Any:  # noqa: ANN401 - a model
    """Return the case's model with `depth` layers on the meta device, wrapped and ready to train."""
    from transformers import AutoModelForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    config = _with_depth(read_config(case), depth)
    dtype = getattr(torch, case.dtype)
    attention = "eager" if case.attention == "eager" else "sdpa"
    with torch.device("meta"):
        try:
            model = AutoModelForCausalLM.from_config(
                config, dtype=dtype, attn_implementation=attention
            )
        except ValueError as error:
            hint = " Set model.attn_implementation: eager." if attention == "sdpa" else ""
            raise ModelError(
                f"{config.model_type}: transformers cannot build it with {attention} attention: "
                f"{str(error).splitlines()[0]}{hint}"
            ) from None
        if case.quantization != "none":
            model.requires_grad_(False)
            compute = getattr(torch, case.autocast or case.dtype)
            quantize(model, case.quantization, compute)
        if case.checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        if case.adapter is not None:
            model = _wrapped(model, case)
        base = model if case.adapter is None else model.get_base_model()
        if case.fused_loss:
            add_fused_lm_head(base, outputs=("log_probs", "entropy", "is_top1"))
        if case.checkpointing and case.adapter is not None:
            base.enable_input_require_grads()
    for name, parameter in model.named_parameters():
        if any(part in name for part in case.frozen):
            parameter.requires_grad_(False)
    if case.freeze is not None:
        freeze(model, case.freeze)
    model.config.use_cache = False
    model.train()
    return model


def _wrapped(model: Any, case: TraceCase) -> Any:  # noqa: ANN401 - a model
    from peft import get_peft_model
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    assert case.adapter is not None
    values = dict(case.adapter)
    kind = values.pop("peft_type", "LORA")
    try:
        config = PEFT_TYPE_TO_CONFIG_MAPPING[kind](task_type="CAUSAL_LM", **values)
        model = get_peft_model(model, config)
    except (ValueError, TypeError, KeyError) as error:
        raise RecipeError(f"lora: PEFT cannot build it: {error}") from None
    if case.adapter_dtype is not None:
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(getattr(torch, case.adapter_dtype))
    return model


def _with_depth(config: Any, depth: int) -> Any:  # noqa: ANN401 - a PretrainedConfig
    shallow = copy.deepcopy(config)
    text = shallow.get_text_config()
    for name in ("layer_types", "mlp_layer_types", "attention_layers"):
        kinds = getattr(text, name, None)
        if isinstance(kinds, list | tuple):
            setattr(text, name, type(kinds)(kinds[:depth]))
    text.num_hidden_layers = depth
    return shallow


def decoder_layers(model: nn.Module, depth: int) -> nn.ModuleList:
    """Return the list of decoder layers: the first list of that length."""
    lists = (m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == depth)
    found = next(lists, None)
    if found is None:
        raise ModelError("the model has no list of decoder layers that could be traced")
    return found


def give_fake_storages(model: nn.Module) -> list[torch.Tensor]:
    """Replace meta parameters and buffers; call inside the fake mode. Returns all of them."""
    done: dict[int, torch.Tensor] = {}
    kept: list[object] = []  # an id is only unique while its object lives
    extra: list[torch.Tensor] = []
    for module in model.modules():
        quantized = give_storages(module)
        extra += quantized
        for store in (module._parameters, module._buffers):
            for name, old in list(store.items()):
                if old is None or (quantized and name == "weight"):
                    continue
                if id(old) not in done:
                    new = torch.empty(old.shape, dtype=old.dtype, device="cpu")
                    if isinstance(old, nn.Parameter):
                        new = nn.Parameter(new, requires_grad=old.requires_grad)
                    done[id(old)] = new
                    kept.append(old)
                store[name] = done[id(old)]  # ty: ignore[invalid-assignment]
    return [*model.parameters(), *model.buffers(), *extra]
