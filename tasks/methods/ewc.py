"""EWC: full fine-tuning that holds back the weights which earlier knowledge rests on.

Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks", arXiv:1612.00796.

    loss = training loss + lambda / 2 * sum_i F_i (theta_i - theta*_i)^2

theta* are the weights at the start, F the diagonal of the empirical Fisher information on a
reference set, at the start and without dropout:

    F_i = 1 / tokens * sum over rows (d/dtheta_i sum over learned tokens -log p)^2

So the penalty is lambda times what the reference's loss per token rises by, as the Fisher predicts
it. Costs two copies of the trained weights in float32, and one pass over the reference.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["COPIES", "Anchor", "fisher_of", "penalty"]

#: Copies of the trained weights in float32: F and theta*.
COPIES = 2


@dataclass(frozen=True)
class Anchor:
    """What the penalty needs, by the names of the trained parameters."""

    weight: float
    fisher: dict[str, torch.Tensor]
    start: dict[str, torch.Tensor]


def fisher_of(
    model: Any,  # noqa: ANN401 - a PreTrainedModel
    rows: Iterable[tuple[list[int], list[int]]],
) -> dict[str, torch.Tensor]:
    """Return the diagonal of the empirical Fisher information of every trained parameter.

    Args:
        model: At the weights in question.
        rows: Token ids and labels of each row of the reference; -100 is not learned.
    """
    import torch

    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    fisher = {name: torch.zeros_like(p, dtype=torch.float32) for name, p in trained.items()}
    was_training, tokens = model.training, 0
    model.eval()
    for ids, labels in rows:
        batch = torch.tensor([ids], device=model.device)
        targets = torch.tensor(labels[1:], device=model.device)
        logits = model(input_ids=batch, use_cache=False).logits[0, :-1].float()
        loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
        gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
        for name, gradient in zip(trained, gradients, strict=True):
            if gradient is not None:
                fisher[name].addcmul_(gradient.float(), gradient.float())
        tokens += sum(label != -100 for label in labels[1:])
    model.train(was_training)
    return {name: square.div_(tokens) for name, square in fisher.items()}


def penalty(model: Any, anchor: Anchor) -> torch.Tensor:  # noqa: ANN401 - a PreTrainedModel
    """Return lambda / 2 * sum F (theta - theta*)^2, a scalar."""
    pull = _pull()
    parts = [
        pull.apply(parameter, anchor.start[name], anchor.fisher[name])
        for name, parameter in model.named_parameters()
        if name in anchor.fisher
    ]
    return anchor.weight / 2 * sum(parts)


@cache
def _pull() -> Any:  # noqa: ANN401 - a class of torch
    """Return sum F (theta - theta*)^2 of one parameter as a function that keeps nothing new.

    Left to autograd it would keep two more copies of every weight until the backward pass.
    """
    import torch

    class Pull(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any,  # noqa: ANN401 - torch's
            theta: torch.Tensor,
            start: torch.Tensor,
            fisher: torch.Tensor,
        ) -> torch.Tensor:
            ctx.save_for_backward(theta, start, fisher)
            return (theta - start).square_().mul_(fisher).sum()

        @staticmethod
        def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[Any, ...]:  # noqa: ANN401
            theta, start, fisher = ctx.saved_tensors
            return (theta - start).mul_(fisher).mul_(2 * upstream[0]), None, None

    return Pull
