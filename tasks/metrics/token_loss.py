"""Loss in nats per learned token, and the share of learned tokens the model puts first.

For each row: the sum of -log p(token | tokens before it) over the tokens the loss looks at, their
number, and how many of them are the model's first choice. Sums, not means, so that any set of rows
is weighted by tokens (TRL's `eval_loss` is a mean of batch means). Perplexity is exp(loss).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.encoding import Encoded

if TYPE_CHECKING:
    import torch

__all__ = ["TokenScore", "score_rows"]

#: Logits of one batch, in numbers: 2^26 are 256 MiB in float32.
LOGITS_OF_A_BATCH = 2**26


@dataclass(frozen=True)
class TokenScore:
    """One row's sums over its learned tokens."""

    nats: float
    tokens: int
    right: int


def score_rows(
    model: torch.nn.Module,
    rows: Sequence[Encoded],
    vocabulary: int,
    on_rows: Callable[[int], None] = lambda _count: None,
) -> list[TokenScore]:
    """Return one score for each row, in order.

    Args:
        model: In evaluation mode; its forward gives `.logits` (batch, tokens, vocabulary).
        rows: Ids and loss masks; a row's first token is never predicted.
        vocabulary: Logits per token, to size batches by.
        on_rows: Told the size of each finished batch.
    """
    scores: dict[int, TokenScore] = {}
    by_length = sorted(range(len(rows)), key=lambda index: len(rows[index].input_ids))
    while by_length:
        longest = len(rows[by_length[-1]].input_ids)
        size = max(1, LOGITS_OF_A_BATCH // max(1, longest * vocabulary))
        batch, by_length = by_length[-size:], by_length[:-size]
        found = _score_batch(model, [rows[index] for index in batch])
        scores.update(zip(batch, found, strict=True))
        on_rows(len(batch))
    return [scores[index] for index in range(len(rows))]


def _score_batch(model: torch.nn.Module, rows: Sequence[Encoded]) -> list[TokenScore]:
    """Score rows padded on the right; what the padding predicts is never looked at."""
    import torch

    place = next(model.parameters()).device
    width = max(len(row.input_ids) for row in rows)
    if width < 2:
        return [TokenScore(0.0, 0, 0) for _row in rows]
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), width), -100)
    attention = torch.zeros(len(rows), width, dtype=torch.long)
    for index, row in enumerate(rows):
        length = len(row.input_ids)
        ids[index, :length] = torch.tensor(row.input_ids)
        labels[index, :length] = torch.tensor(row.labels)
        attention[index, :length] = 1
    with torch.inference_mode():
        logits = model(input_ids=ids.to(place), attention_mask=attention.to(place)).logits
        targets = labels[:, 1:].to(place)
        logits = logits[:, :-1].float()
        nats = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), targets, ignore_index=-100, reduction="none"
        )
        learned = targets != -100
        right = (logits.argmax(-1) == targets) & learned
    return [
        TokenScore(float(n), int(t), int(r))
        for n, t, r in zip(
            nats.double().sum(1).tolist(),
            learned.sum(1).tolist(),
            right.sum(1).tolist(),
            strict=True,
        )
    ]
