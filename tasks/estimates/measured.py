"""Measured: the closed form of a plan's memory replaced by the exact trace of its training step.

The trace gives live bytes at the peak; slack and context stay those of the closed form, scaled with
the difference. A disagreement above 5 % is said. What is traced once is remembered on this machine.
"""

from __future__ import annotations

from tasks.contracts import MemoryEstimate
from tasks.estimates.facts import Facts
from tasks.estimates.memory import REST_SLACK, ewc_bytes
from tasks.estimates.plan import Plan, setup_of
from tasks.estimates.traced import case_for, trace_cases

__all__ = ["SHOWN_FROM", "allocated_bytes", "measured_memory"]

#: A disagreement of closed form and trace is said from here on.
SHOWN_FROM = 0.05


def allocated_bytes(memory: MemoryEstimate) -> int:
    """Return live tensors at the peak: every part but slack and context."""
    parts = (memory.weights_bytes, memory.adapter_bytes, memory.gradients_bytes)
    rest = (memory.optimizer_bytes, memory.activations_bytes, memory.logits_bytes)
    return sum(parts) + sum(rest)


def measured_memory(facts: Facts, plan: Plan) -> tuple[MemoryEstimate, str]:
    """Return the memory as traced, and a sentence that compares it with the closed form.

    Raises:
        ModelError: transformers cannot build the model, or its step depends on data.
        StageError: The child died.
    """
    memory = plan.memory
    if facts.hardware.count > 1:
        told = (
            "The trace is that of one device; what is sharded over several keeps the closed form."
        )
        return memory, told
    if facts.architecture.labels:
        told = "The trace is that of a language model; a classifier keeps the closed form."
        return memory, told
    setup = setup_of(facts, plan)
    (traced,) = trace_cases([case_for(setup)])
    peak = traced.peak_bytes + ewc_bytes(setup)  # the trace knows nothing of EWC
    closed = allocated_bytes(memory)
    more = peak - closed
    low, high = memory.low_bytes + more, memory.high_bytes + round(REST_SLACK * more)
    available = memory.available_bytes
    told = f"Traced: {peak / 2**30:.2f} GiB of live tensors, "
    share = -more / peak
    told += f"the closed form said {closed / 2**30:.2f} ({100 * share:+.1f} %)"
    if abs(share) > SHOWN_FROM:
        told += "; they disagree by more than 5 %, and the trace counts"
    measured = memory.model_copy(
        update={
            "activations_bytes": memory.activations_bytes + more,
            "overhead_bytes": high - peak,
            "low_bytes": low,
            "high_bytes": high,
            "fits": available is None or high <= available,
        }
    )
    return measured, told + "."
