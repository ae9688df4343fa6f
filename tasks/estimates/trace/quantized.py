"""Quantized layers: bitsandbytes' own modules, with storages of the right size and no data.

    nf4          packed uint8, one float32 scale per block of 64
    nf4-double   the scales in uint8, with a float32 scale per block of 256 of them
    int8         int8, one float32 scale per row

The layers' own code runs, forward and backward; only their storages are made here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

__all__ = ["give_storages", "quantize"]


def quantize(model: Any, quantization: str, dtype: torch.dtype) -> None:  # noqa: ANN401 - a model
    """Replace the linear layers of a meta model as `from_pretrained` does; the head stays."""
    from transformers import BitsAndBytesConfig
    from transformers.integrations.bitsandbytes import replace_with_bnb_linear

    if quantization == "int8":
        # The columns of outliers, a handful, are data: a threshold of 0 leaves them out.
        config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=0.0)
        model.is_loaded_in_8bit = True
    else:
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=quantization == "nf4-double",
            bnb_4bit_compute_dtype=dtype,
        )
        model.is_loaded_in_4bit = True
    replace_with_bnb_linear(model, ["lm_head", "embed_out", "output"], config)


def give_storages(module: nn.Module) -> list[torch.Tensor]:
    """Give a quantized layer fake weight and scales; return the tensors that a dict misses.

    Anything else is left alone, and nothing returned.
    """
    from bitsandbytes.functional import QuantState
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    if isinstance(module, Linear8bitLt):
        weight = nn.Parameter(
            torch.empty(module.out_features, module.in_features, dtype=torch.int8), False
        )
        scales = torch.empty(module.out_features, dtype=torch.float32)
        weight.CB, weight.SCB = None, scales  # ty: ignore[missing-attribute]
        module.weight = weight
        module.state.CB, module.state.SCB = weight.data, scales
        return [scales]
    if not isinstance(module, Linear4bit):
        return []
    old: Any = module.weight
    numbers = module.in_features * module.out_features
    weight = nn.Parameter(torch.empty((numbers + 1) // 2, 1, dtype=torch.uint8), False)
    blocks = -(-numbers // 64)
    double = bool(old.compress_statistics)
    scales = torch.empty(blocks, dtype=torch.uint8 if double else torch.float32)
    code = torch.empty(16)
    extra = [scales, code]
    second = None
    if double:
        of_scales = [torch.empty(-(-blocks // 256)), torch.empty(256)]
        second = QuantState(
            absmax=of_scales[0], code=of_scales[1], blocksize=256, dtype=torch.float32
        )
        extra += [*of_scales, torch.empty(())]
    state = QuantState(
        absmax=scales,
        shape=torch.Size((module.out_features, module.in_features)),
        code=code,
        blocksize=64,
        quant_type="nf4",
        dtype=module.compute_dtype,
        offset=extra[-1] if double else None,
        state2=second,
    )
    for name in ("blocksize", "compress_statistics", "quant_type", "quant_storage"):
        setattr(weight, name, getattr(old, name))
    weight.quant_state = state  # ty: ignore[missing-attribute]
    module.weight = weight
    module.quant_state = state
    return extra
