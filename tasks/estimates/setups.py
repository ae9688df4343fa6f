"""Setup: one exact configuration of a training step, for the closed form and for the trace."""

from __future__ import annotations

from typing import Literal

from tasks.contracts import Method, Record, Variant
from tasks.estimates.architecture import Architecture
from tasks.recipe import FreezeSection
from tasks.sections.sharding import Profile

__all__ = ["Attention", "Quantization", "Setup"]

Quantization = Literal["nf4-double", "nf4", "int8"]
Attention = Literal["sdpa", "sdpa-repeated", "eager", "flash"]


class Setup(Record):
    """One exact configuration of a training step, on `devices` under `profile`.

    `base_bytes` is the width of a frozen weight and of the computation: 4 on a CPU, 2 on a GPU.
    Full fine-tuning keeps float32 states either way (methods.md 3.4) unless `pure_half`.
    `quantization` is how QLoRA keeps the linear layers. `sdpa-repeated` is SDPA on a card without
    FlashAttention. `freeze` and `ewc` are for full only.
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
    profile: Profile = "fsdp2"
    on_cpu: bool = False
    freeze: FreezeSection | None = None
    ewc: bool = False

    @property
    def whole(self) -> bool:
        """Whether each device holds all weights."""
        return self.devices == 1 or self.profile in ("multi_gpu", "zero2")

    @property
    def shares(self) -> tuple[float, float]:
        """Which part of the weights a device holds, and of gradients and moments.

        DeepSpeed computes on 16-bit copies of trained weights, beside float32 ones that it shards.
        """
        part = 1 / self.devices
        doubled = 0.5 if self.method == "full" and self.base_bytes == 2 else 0.0
        match self.profile:
            case _ if self.devices == 1:
                return 1.0, 1.0
            case "multi_gpu":
                return 1.0, 1.0
            case "zero2":
                return (doubled + part if doubled else 1.0), part
            case "zero3":
                return (1 + doubled) * part, part
        return part, part
