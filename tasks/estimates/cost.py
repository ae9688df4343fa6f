"""Cost: FLOPs of the run over what the hardware really delivers, as a range; money from that.

    per token   full 6 N, LoRA 4 N + 6 adapter, checkpointing + 2 N, N parameters in products
    attention   12 L q S / 2 (causal), + 4 L q S / 2 recomputed
    freeze      - 2 for a frozen product, - 4 (- 2 recomputed) in layers that no gradient reaches

Example: Llama-2-7B, full, 15.36M tokens: 6 * 6.6e9 * 15.36e6 = 6.1e17 FLOP.
The efficiencies come from published throughput (methods.md 5.2); they are wide because padding,
kernels and input pipelines differ. Multiply by measured steps as soon as there are any.
"""

from __future__ import annotations

from tasks.contracts import CostEstimate, Method
from tasks.estimates.architecture import Architecture
from tasks.estimates.facts import Facts
from tasks.estimates.frozen import NOTHING, Frozen

__all__ = ["estimate_cost", "flops_per_token"]

#: Shares of the dense peak, with recomputation counted (methods.md 5.2).
PACKED_LARGE, PADDED_OR_SMALL = (0.25, 0.55), (0.12, 0.35)
LARGE = 3e9
#: Heuristic for a CPU, calibrated with stack.md: 2M parameters train at 10,000 tokens a second on
#: two cores in batches of 24 x 256 (0.65), and take 0.22 to 0.26 s a step of 16 short rows.
ON_CPU = (0.10, 0.70)
#: Heuristic: seconds of a step that do not depend on the model's size.
STEP_OVERHEAD = (0.005, 0.06)
#: QLoRA's speed as a share of LoRA's: published 0.67 to 0.98 on cards (peers.md 4.3); CPU: heuristic.
DEQUANTIZING, DEQUANTIZING_CPU = (0.67, 0.98), (0.25, 0.98)


def flops_per_token(
    architecture: Architecture,
    method: Method,
    adapter_parameters: int,
    length: int,
    *,
    checkpointing: bool,
    frozen: Frozen = NOTHING,
) -> float:
    """Return the floating-point operations of one token, forward and backward."""
    products = 6 if method == "full" else 4
    attention = 12
    if checkpointing:
        products, attention = products + 2, attention + 4
    causal = architecture.layers * architecture.q_width * length / 2
    adapter = 0 if method == "full" else 6 * adapter_parameters
    # A frozen product has no gradient of its weight; one that no gradient reaches, forward only.
    unreached = frozen.unreached / architecture.layers
    saved = 2 * frozen.products + (products - 4) * unreached * architecture.linear_parameters
    causal *= 1 - unreached * (attention - 4) / attention
    return products * architecture.product_parameters - saved + adapter + attention * causal


def estimate_cost(
    facts: Facts, method: Method, flops: float, steps: int, tokens: int
) -> CostEstimate:
    """Return time and money of a run.

    Args:
        facts: The hardware and the model.
        method: How it is trained.
        flops: Per token, from `flops_per_token`.
        steps: Optimizer steps.
        tokens: Tokens over all steps.
    """
    hardware = facts.hardware
    on_cpu = hardware.kind == "cpu"
    if on_cpu:
        worst, best = ON_CPU
    elif facts.packing and facts.architecture.parameters >= LARGE:
        worst, best = PACKED_LARGE
    else:
        worst, best = PADDED_OR_SMALL
    if method == "qlora":
        slow, fast = DEQUANTIZING_CPU if on_cpu else DEQUANTIZING
        worst, best = worst * slow, best * fast
    slowest, fastest = (peak * hardware.count * 1e12 for peak in hardware.tflops)
    work = flops * (tokens + (facts.reference_tokens if method == "full" else 0))
    low = work / (fastest * best) + steps * STEP_OVERHEAD[0]
    high = work / (slowest * worst) + steps * STEP_OVERHEAD[1]
    usd = hardware.usd_per_hour
    return CostEstimate(
        train_tokens=tokens,
        steps=steps,
        low_seconds=low,
        high_seconds=high,
        low_usd=None if usd is None else low / 3600 * hardware.count * usd[0],
        high_usd=None if usd is None else high / 3600 * hardware.count * usd[1],
        price_source=hardware.price_source,
    )
