"""Training methods, one per file: paper, formula, costs, and what PEFT needs to build it.

A method says how the base is kept: `QUANTIZED`, `base_dtype`. A variant of LoRA says what stands
beside it: `peft_config`, `trainable_parameters`, `effective_scale`, and, only where it differs from
LoRA, `adapt` (once, after PEFT built it), `make_optimizer`, `penalty` (added to the loss),
`after_step`, `keep_start` and `save`, `CAN_RESUME`, `RATE_FACTOR`.
"""

from tasks.methods import adalora, dora, full, lora, lora_fa, lora_plus, pissa, qlora, rslora

#: Recipe word -> module. `lora` and `qlora` take their adapter from `lora.variant`.
METHODS = {"full": full, "lora": lora, "qlora": qlora}

#: `lora.variant` -> module.
VARIANTS = {
    "lora": lora,
    "rslora": rslora,
    "dora": dora,
    "lora_plus": lora_plus,
    "lora_fa": lora_fa,
    "adalora": adalora,
    "pissa": pissa,
}
