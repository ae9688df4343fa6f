"""Stand-ins: what a card does otherwise than the CPU that traces for it, or what needs data.

    autocast       CUDA computes some functions in float32; PEFT asks whether *CUDA* autocasts
    fused loss     TRL's Triton kernels: their shapes without them
    masks          transformers looks into the positions for packed rows
    dropout        CUDA keeps its mask as a byte, the CPU as wide as the input
    attention      on cards without FlashAttention keys and values are repeated for all heads
    8-bit product  bitsandbytes takes another path on a CPU

Sources: torch 2.13 (`autocast_mode.h`), TRL 1.16, transformers 5.23, bitsandbytes 0.50, by reading.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn import functional
from torch.utils._pytree import tree_map

__all__ = ["like_on", "without_data"]

#: Functions that CUDA's autocast computes in float32 and the CPU's does not: inputs are cast.
CAST_INPUTS = (
    *((torch, name) for name in ("pow", "rsqrt", "exp", "log", "layer_norm", "norm")),
    *((torch.Tensor, name) for name in ("pow", "__pow__", "rsqrt", "exp", "log", "norm")),
    *((functional, name) for name in ("layer_norm", "group_norm", "softplus")),
    *((functional, name) for name in ("cross_entropy", "nll_loss")),
)
#: ... and those that cast while they compute, so that no float32 copy of the input is made.
CAST_OUTPUT = tuple(
    (owner, name)
    for owner in (torch, torch.Tensor, functional)
    for name in ("softmax", "log_softmax", "cumsum", "sum")
    if hasattr(owner, name)
)


@contextmanager
def _cuda_autocast() -> Generator[None]:
    """Make the CPU's autocast cast what CUDA's casts.

    Not by a `TorchFunctionMode`: that is off while a checkpointed layer is computed again.
    """
    with ExitStack() as stack:
        for owner, name in CAST_INPUTS:
            stack.enter_context(replaced(owner, name, _casting_inputs(getattr(owner, name))))
        for owner, name in CAST_OUTPUT:
            stack.enter_context(replaced(owner, name, _casting_output(getattr(owner, name))))
        yield


def _casting_inputs(func: Callable[..., Any]) -> Callable[..., Any]:
    def cast(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any function's
        if torch.is_autocast_enabled("cpu"):
            args, kwargs = tree_map(_widened, (args, kwargs))
        return func(*args, **kwargs)

    return cast


def _casting_output(func: Callable[..., Any]) -> Callable[..., Any]:
    def cast(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any function's
        if (
            args
            and torch.is_autocast_enabled("cpu")
            and _is_half(args)
            and kwargs.get("dtype") is None
        ):
            kwargs["dtype"] = torch.float32
        return func(*args, **kwargs)

    return cast


def _cuda_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> torch.Tensor:
    return torch.native_dropout(input, p, training)[0] if training and p else input


def _is_half(args: tuple[Any, ...]) -> bool:
    return isinstance(args[0], torch.Tensor) and args[0].dtype in (torch.bfloat16, torch.float16)


def _widened(value: object) -> object:
    half = isinstance(value, torch.Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if half else value


@contextmanager
def replaced(owner: Any, name: str, value: object) -> Generator[None]:  # noqa: ANN401 - a module
    """Put another value in a name's place for a while, also where there was none."""
    missing = object()
    old = getattr(owner, name, missing)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if old is missing:
            delattr(owner, name)
        else:
            setattr(owner, name, old)


@contextmanager
def like_on(device: str, attention: str) -> Generator[None]:
    """Trace on the CPU what happens on `device`."""
    with ExitStack() as stack:
        stack.enter_context(without_data())
        if device == "cuda":
            stack.enter_context(_triton())
            stack.enter_context(_eight_bit())
            stack.enter_context(_cuda_autocast())
            stack.enter_context(replaced(functional, "dropout", _cuda_dropout))
            asked = torch.is_autocast_enabled
            stack.enter_context(
                replaced(torch, "is_autocast_enabled", lambda device="cpu": asked(device))
            )
            if attention == "sdpa-repeated":
                stack.enter_context(_repeated_heads())
        yield


@contextmanager
def without_data() -> Generator[None]:
    """Answer `no packed rows` where transformers would look into the positions."""
    from transformers import masking_utils

    with replaced(masking_utils, "find_packed_sequence_indices", lambda *_, **__: None):
        yield


class _Kernel:
    """A Triton kernel that does nothing; its outputs are allocated by the caller."""

    def __getitem__(self, _grid: object) -> Any:  # noqa: ANN401 - takes what the kernel takes
        return lambda *_, **__: None


@contextmanager
def _triton() -> Generator[None]:
    """TRL's fused loss, with the tiles it allocates on a card; every position is scored.

    On a card it first gathers the labelled positions, at most as many.
    """
    from trl.kernels import chunked_logprob
    from trl.trainer import utils

    cdiv = type("triton", (), {"cdiv": staticmethod(lambda a, b: -(-a // b))})
    with (
        replaced(utils, "_use_triton", lambda _device: False),
        replaced(chunked_logprob, "_use_triton", lambda _device: True),
        replaced(chunked_logprob, "_forward_kernel", _Kernel()),
        replaced(chunked_logprob, "_backward_kernel", _Kernel()),
        replaced(chunked_logprob, "_addmm_fp32", lambda _acc, _a, _b: None),
        replaced(chunked_logprob, "triton", cdiv),
    ):
        yield


@contextmanager
def _eight_bit() -> Generator[None]:
    import bitsandbytes
    from bitsandbytes.autograd._functions import MatMul8bitLt

    def matmul(a, b, out=None, state=None, threshold=0.0, bias=None):  # noqa: ANN001, ANN202 - its own
        return MatMul8bitLt.apply(a, b, out, bias, state)

    with replaced(bitsandbytes, "matmul", matmul):
        yield


@contextmanager
def _repeated_heads() -> Generator[None]:
    from transformers.integrations import sdpa_attention

    with replaced(sdpa_attention, "use_gqa_in_sdpa", lambda *_: False):
        yield
