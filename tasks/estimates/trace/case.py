"""Trace case: everything that decides the memory of a training step, and what the trace found.

A case needs no weights and no card: the model's config.json, the adapter in PEFT's own words, and
how the step is run. `peaks` are live bytes by phase, as `torch.cuda.max_memory_allocated` counts.
"""

from __future__ import annotations

from typing import Any, Literal

from tasks.contracts import Record
from tasks.recipe import FreezeSection

__all__ = ["Quantization", "TraceCase", "TraceResult"]

Quantization = Literal["none", "nf4", "nf4-double", "int8"]


class TraceCase(Record):
    """One training step, in the words of the libraries that run it.

    Attributes:
        config: The content of the model's config.json.
        adapter: The keyword arguments of PEFT's configuration and its `peft_type`; None trains
            every weight.
        quantization: How the frozen linear layers are kept.
        dtype: Precision of the weights as loaded.
        autocast: Precision of the products; None computes as loaded.
        adapter_dtype: Precision of the trained adapter; None: as PEFT makes it, float32.
        attention: `flash` and `sdpa` keep the same tensors; `sdpa-repeated` is SDPA on a card
            without FlashAttention (T4), which repeats keys and values for every query head.
        accumulates: Gradients of earlier micro-batches are there during the step.
        keeps_outputs: The loop holds the model's outputs (logits) until the next step, as simple
            loops do; TRL's trainer does not.
        freeze: The recipe's section; the model is then traced whole, for its layers differ.
        frozen: Parameters whose name has one of these are not trained (LoRA-FA: `lora_A`).
    """

    config: dict[str, Any]
    adapter: dict[str, Any] | None = None
    quantization: Quantization = "none"
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    autocast: Literal["bfloat16", "float16"] | None = "bfloat16"
    adapter_dtype: Literal["float32", "bfloat16"] | None = None
    batch: int = 1
    length: int
    checkpointing: bool = True
    accumulates: bool = False
    fused_loss: bool = True
    optim: str = "adamw_torch_fused"
    attention: Literal["sdpa", "sdpa-repeated", "eager", "flash"] = "sdpa"
    device: Literal["cuda", "cpu"] = "cuda"
    keeps_outputs: bool = False
    frozen: tuple[str, ...] = ()
    freeze: FreezeSection | None = None


class TraceResult(Record):
    """Bytes of the whole model's step: the peak, each phase's, and what is there all the time.

    `whole` says that every layer was traced, not two small depths.
    """

    peak_bytes: int
    peaks: dict[str, int]
    weights_bytes: int
    adapter_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    parameters: int
    trainable_parameters: int
    whole: bool = False
