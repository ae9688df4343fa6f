"""Optimizers: the real ones where they run without data, storages of the same size elsewhere.

bitsandbytes' 8-bit optimizers keep a byte a moment and a float32 scale per block of 256; tensors
below 4,096 numbers stay in float32 (its `min_8bit_size`). Paged states may move to the computer's
memory when the card is full; they are counted as if they stayed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

__all__ = ["optimizer_for"]

#: Moments kept per parameter.
EIGHT_BIT = {
    "adamw_bnb_8bit": 2,
    "adamw_8bit": 2,
    "paged_adamw_8bit": 2,
    "lion_8bit": 1,
    "paged_lion_8bit": 1,
}
MIN_8BIT_SIZE, BLOCK_SIZE = 4096, 256


class EightBit:
    """Storages of an 8-bit optimizer; its step works in place."""

    def __init__(self, parameters: Iterable[torch.Tensor], moments: int) -> None:
        self.parameters = list(parameters)
        self.moments = moments
        self.state: list[torch.Tensor] = []

    def step(self) -> None:
        """Make the states on the first call."""
        if self.state:
            return
        for parameter in self.parameters:
            numbers = parameter.numel()
            for _ in range(self.moments):
                if numbers < MIN_8BIT_SIZE:
                    self.state.append(torch.zeros(numbers))
                    continue
                self.state.append(torch.zeros(numbers, dtype=torch.uint8))
                self.state.append(torch.zeros(-(-numbers // BLOCK_SIZE)))


def optimizer_for(name: str, parameters: list[torch.nn.Parameter]) -> Any:  # noqa: ANN401 - one
    """Return what `TrainingArguments.optim` names; anything unknown counts as AdamW."""
    from transformers.optimization import Adafactor

    if name in EIGHT_BIT:
        return EightBit(parameters, EIGHT_BIT[name])
    if name == "sgd":
        return torch.optim.SGD(parameters)
    if name == "adafactor":
        return Adafactor(parameters, lr=1e-3, scale_parameter=False, relative_step=False)
    if name == "adamw_torch":
        return torch.optim.AdamW(parameters, foreach=True)
    if name == "adamw_torch_loop":
        return torch.optim.AdamW(parameters, foreach=False)
    return torch.optim.AdamW(parameters, fused=True)
