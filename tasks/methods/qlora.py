"""QLoRA: an adapter on a base that is frozen in 4 bit.

Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs", arXiv:2305.14314.

    h = dequantize(W4) x + scale * B A x        W4 in NF4, blocks of 64 with one absmax each

With double quantization a weight takes 0.5 + 1/64 + 4/(64 * 256) = 0.516 bytes; embeddings, head
and norms keep their precision. Costs time: each product dequantizes its weight. The adapter belongs
to the quantized base: on the original one its logits are far off. A and B are trained in float32
(TRL makes them bfloat16; the trainer undoes it, else a resumed run is another run). The adapter
itself is that of `lora.variant`; PiSSA is refused (`tasks/recipe.py`).
"""

from __future__ import annotations

from tasks.methods.lora import base_dtype

__all__ = ["QUANTIZED", "base_dtype"]

#: Whether the frozen base is kept in 4 bit.
QUANTIZED = True
