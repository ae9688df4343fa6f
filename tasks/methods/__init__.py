"""Training methods, one per file: paper, formula, costs, and what PEFT needs to build it."""

from tasks.methods import full, lora, qlora, rslora

#: Recipe word -> module. `lora` and `qlora` take their adapter from `lora.variant`.
METHODS = {"full": full, "lora": lora, "rslora": rslora, "qlora": qlora}
