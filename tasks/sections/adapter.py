"""`lora` and `quantization`: what stands beside the frozen base, and how the base is kept."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from tasks.sections.handing_on import HandingOn

__all__ = ["LoraSection", "QuantizationSection"]

#: Keys of the lora section that only one variant reads: refused under any other, not ignored.
VARIANT_KEYS = {
    "lora_plus": ("loraplus_lr_ratio",),
    "adalora": (
        *("init_r", "target_r", "tinit", "tfinal", "deltaT"),
        *("beta1", "beta2", "orth_reg_weight"),
    ),
}


class LoraSection(HandingOn):
    """The adapter, for `method: lora` and `method: qlora`. Names as in PEFT's LoraConfig.

    Its other settings are handed on to it.
    """

    SECTION: ClassVar[str] = "lora"

    variant: (
        Literal["lora", "rslora", "dora", "lora_plus", "lora_fa", "adalora", "pissa"] | None
    ) = Field(
        None, description="None: chosen by recommend (rsLoRA from r = 64 on, arXiv 2312.03732)."
    )
    r: int | None = Field(None, ge=1, le=1024, description="Rank. None: chosen by recommend.")
    lora_alpha: int | None = Field(
        None, ge=1, description="None: 2r; under rsLoRA 2 * sqrt(r), so that the scale stays 2."
    )
    lora_dropout: float = Field(0.05, ge=0, lt=1, description="0.05 as in TRL and axolotl.")
    target_modules: str | tuple[str, ...] = Field(
        "all-linear", description="all-linear as in LoRA Without Regret (2025-09)."
    )
    modules_to_save: tuple[str, ...] | None = None
    loraplus_lr_ratio: float = Field(
        16.0, ge=1, description="lora_plus: the rate of B over that of A (arXiv 2402.12354)."
    )
    init_r: int | None = Field(None, ge=1, description="adalora: rank at the start. None: 1.5 r.")
    target_r: int | None = Field(None, ge=1, description="adalora: mean rank at the end. None: r.")
    tinit: int | None = Field(None, ge=0, description="adalora: steps before ranks fall.")
    tfinal: int | None = Field(None, ge=0, description="adalora: steps after they have fallen.")
    deltaT: int | None = Field(None, ge=1, description="adalora: steps between two allocations.")
    beta1: float = Field(0.85, gt=0, lt=1, description="adalora: smoothing of the importance.")
    beta2: float = Field(0.85, gt=0, lt=1, description="adalora: smoothing of its uncertainty.")
    orth_reg_weight: float = Field(0.5, ge=0, description="adalora: keeps P and Q orthogonal.")

    @model_validator(mode="after")
    def _keys_belong_to_their_variant(self) -> LoraSection:
        for variant, keys in VARIANT_KEYS.items():
            fields = type(self).model_fields
            stray = [key for key in keys if getattr(self, key) != fields[key].default]
            if stray and self.variant != variant:
                raise ValueError(f"{', '.join(stray)}: belongs to variant: {variant}")
        return self


class QuantizationSection(HandingOn):
    """How the frozen base is quantized for `method: qlora`. Names as in BitsAndBytesConfig.

    Its other settings are handed on to it.
    """

    SECTION: ClassVar[str] = "quantization"

    load_in_4bit: bool | None = Field(None, description="Implied by method: qlora.")
    bnb_4bit_quant_type: Literal["nf4", "fp4"] = "nf4"
    bnb_4bit_use_double_quant: bool = True
    bnb_4bit_compute_dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
