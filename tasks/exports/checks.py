"""Checks of a finished artefact: it is the model that was evaluated, and it is not the base.

Logits of the same rows are compared by relative error |a - b| / |a|, by the mean KL divergence of
the next-token distributions, and by how often both put the same token first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.contracts import Record
from tasks.errors import ReleaseError

if TYPE_CHECKING:
    import torch

__all__ = ["Agreement", "agreement", "logits_of", "require_agreement", "same_answer", "sample_ids"]

#: Measured for LoRA merged on a small Llama: float32 2e-6, float16 2e-3, bfloat16 1.7e-2.
RELATIVE_ERROR = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
KL_NATS = 1e-3
TOP1 = 0.99
#: Logits kept for a comparison, in numbers: 2^25 are 128 MiB in float32.
KEPT_LOGITS = 2**25


class Agreement(Record):
    """How close two models are on the same tokens."""

    relative_error: float
    kl_nats: float
    top1: float
    tokens: int


def sample_ids(rows: Sequence[list[int]], vocabulary: int) -> list[list[int]]:
    """Return as many rows as the kept logits allow, the last one cut; at least two tokens."""
    room, chosen = max(2, KEPT_LOGITS // vocabulary), []
    for row in rows:
        if room < 2:
            break
        chosen.append(row[:room])
        room -= len(row)
    return chosen


def same_answer(logits: torch.Tensor) -> torch.Tensor:
    """Return the logits of a classifier that gives every text the mean answer of these."""
    return logits.mean(0, keepdim=True).expand_as(logits)


def logits_of(model: Any, rows: Sequence[list[int]]) -> torch.Tensor:  # noqa: ANN401
    """Return the logits of all rows, unbatched, as float32 on the CPU.

    (tokens, vocabulary) of a language model, (rows, labels) of a classifier.
    """
    import torch

    place = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        found = [model(input_ids=torch.tensor([row], device=place)).logits for row in rows]
        parts = [logits.reshape(-1, logits.shape[-1]) for logits in found]
    return torch.cat([part.float().cpu() for part in parts])


def agreement(expected: torch.Tensor, seen: torch.Tensor) -> Agreement:
    """Compare two sets of logits of the same tokens; not-a-number anywhere agrees with nothing."""
    import torch

    if expected.shape != seen.shape or not bool(torch.isfinite(seen).all()):
        return Agreement(relative_error=1e9, kl_nats=1e9, top1=0.0, tokens=len(expected))
    p, q = expected.log_softmax(-1), seen.log_softmax(-1)
    kl = (p.exp() * (p - q)).sum(-1).mean()
    return Agreement(
        relative_error=float((expected - seen).norm() / expected.norm()),
        kl_nats=max(0.0, float(kl)),
        top1=float((expected.argmax(-1) == seen.argmax(-1)).float().mean()),
        tokens=len(expected),
    )


def require_agreement(what: str, found: Agreement, dtype: str) -> None:
    """Stop publishing if the artefact is another model than the one that was evaluated.

    Raises:
        ReleaseError: A limit of this dtype is exceeded; the message has all three figures.
    """
    limit = RELATIVE_ERROR[dtype]
    if found.relative_error <= limit and found.kl_nats <= KL_NATS and found.top1 >= TOP1:
        return
    raise ReleaseError(
        f"{what}: is not the model that was evaluated, so nothing was published. Over "
        f"{found.tokens} tokens: relative logit error {found.relative_error:.2g} (at most "
        f"{limit:g} in {dtype}), KL {found.kl_nats:.2g} nats (at most {KL_NATS:g}), same first "
        f"token {found.top1:.1%} (at least {TOP1:.0%}). Publish the adapter instead "
        "(publish.kind: adapter), or report this."
    )
