"""Widths: bytes of a quantized weight, and of the moments that each optimizer keeps."""

from __future__ import annotations

__all__ = ["FOREACH", "OPTIMIZERS", "PACKED"]

#: Bytes of a quantized weight. 4 bits: packed, its scale per block of 64, doubly quantized in blocks
#: of 256; int8 has a scale per row, too few to count.
PACKED = {"nf4-double": 0.5 + 1 / 64 + 4 / (64 * 256), "nf4": 0.5 + 4 / 64, "int8": 1.0}

#: Moments kept per parameter and bytes of each; None: as wide as the parameter.
OPTIMIZERS: dict[str, tuple[int, float | None]] = {
    "adamw_bnb_8bit": (2, 1 + 4 / 256),
    "adamw_8bit": (2, 1 + 4 / 256),
    "paged_adamw_8bit": (2, 1 + 4 / 256),
    "lion_8bit": (1, 1 + 4 / 256),
    "paged_lion_8bit": (1, 1 + 4 / 256),
    "sgd": (0, None),
    "adafactor": (0, None),
}

#: Optimizers whose step goes over all tensors at once, with a copy of the gradients.
FOREACH = ("adamw_torch",)
