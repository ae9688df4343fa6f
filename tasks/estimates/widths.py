"""Widths: bytes of a quantized weight, and of what each optimizer keeps, and takes for its step."""

from __future__ import annotations

from tasks.estimates.setups import Setup

__all__ = ["FOREACH", "OPTIMIZERS", "PACKED", "step_temporaries"]

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


def step_temporaries(setup: Setup, gradients: float) -> float:
    """Return what the optimizer takes for its step and gives back.

    `foreach` takes a copy of all gradients; Adafactor two float32 copies of the largest tensor, and of
    a 16-bit one its weight and gradient in float32, too.
    """
    if setup.optim in FOREACH:
        return gradients
    model = setup.architecture
    if setup.optim == "adamw_torch_loop" and setup.method == "full":
        return 2.0 * model.vocabulary * model.hidden * (2 if setup.pure_half else 4)
    if setup.optim == "adafactor":
        largest = model.vocabulary * model.hidden
        if setup.method != "full":
            largest = max(x.in_features for x in model.linears) * (setup.r or 0)
        return largest * (16.0 if setup.pure_half else 8.0)
    return 0.0
