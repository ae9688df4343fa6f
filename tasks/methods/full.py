"""Full fine-tuning: every weight of the base model is trained, or all but those of `freeze`.

    W <- W - learning_rate * AdamW(dL/dW)        for every W

Costs 16 bytes a parameter before activations: float32 weight 4, gradient 4, two moments 8. Weights
are kept in float32, under bf16 autocast on a GPU: pure bf16 rounds away updates below 2^-9 of a
weight, at a rate of 1e-5 most of them.
"""

from __future__ import annotations

__all__ = ["QUANTIZED", "base_dtype", "trainable_parameters"]

#: Whether the frozen base is kept in 4 bit.
QUANTIZED = False


def trainable_parameters(parameters: int, frozen: int = 0) -> int:
    """Return how many of the model's parameters are trained: all that `freeze` leaves."""
    return parameters - frozen


def base_dtype(_dtype: str) -> str:
    """Return the precision the weights are kept in, whatever the precision of the products."""
    return "float32"
