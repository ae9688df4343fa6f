"""Live bytes: the storages that exist, counted operation by operation.

A dispatch mode sees every operator's outputs; a storage counts from its first sight until nothing
refers to it. Sizes are rounded up to 512 bytes, the block of CUDA's caching allocator. What a
kernel takes and gives back inside one operator is not seen; the ones that matter are in `INSIDE`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.weak import WeakIdKeyDictionary

__all__ = ["LiveBytes"]

#: The smallest block of CUDA's caching allocator, in bytes.
BLOCK = 512


def _gemm_4bit(args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    """Bitsandbytes 0.50 dequantizes a 4-bit weight before the product, and its scales before that.

    For few rows (below some hundred, by card) it has a kernel without; that is not modelled.
    """
    x, _, (out_features, in_features), _, block = args[:5]
    scale = 0 if kwargs.get("absmax_8bit") is None else 4 / block
    return out_features * in_features * (x.element_size() + scale)


def _int8_scaled_mm(args: tuple[Any, ...], _: dict[str, Any]) -> float:
    """The int32 product, before it is scaled back."""
    a, b = args[:2]
    return 4 * (a.numel() // a.shape[-1]) * b.shape[0]


#: What an operator takes and gives back inside, in bytes, from its arguments.
INSIDE: dict[str, Callable[[tuple[Any, ...], dict[str, Any]], float]] = {
    "bitsandbytes::gemm_4bit": _gemm_4bit,
    "bitsandbytes::int8_scaled_mm": _int8_scaled_mm,
}


class LiveBytes(TorchDispatchMode):
    """Counts live storage bytes; keeps one peak per phase."""

    def __init__(self, block: int = BLOCK) -> None:
        super().__init__()
        self.block = block
        self.live = 0
        self.phase = "load"
        self.peaks: dict[str, int] = {}
        self.seen = WeakIdKeyDictionary()

    def enter(self, phase: str) -> None:
        """Begin a phase, or go on with it."""
        self.phase = phase
        self._note(0)

    def add(self, tensor: torch.Tensor) -> None:
        """Count a tensor's storage, once."""
        storage = tensor.untyped_storage()
        if storage in self.seen:
            return
        size = -(-storage.nbytes() // self.block) * self.block
        self.seen[storage] = weakref.ref(storage, lambda _: self._free(size))
        self.live += size
        self._note(0)

    def _free(self, size: int) -> None:
        self.live -= size

    def _note(self, more: float) -> None:
        self.peaks[self.phase] = max(self.peaks.get(self.phase, 0), self.live + int(more))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204 - torch's
        """Run the operator and count what it returns."""
        out = func(*args, **(kwargs or {}))
        for leaf in tree_iter(out):
            if isinstance(leaf, torch.Tensor):
                self.add(leaf)
        inside = INSIDE.get(func._schema.name)
        if inside is not None:
            self._note(inside(args, kwargs or {}))
        return out
