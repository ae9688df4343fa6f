"""Greedy answers to prompts, in batches, the same for every batch size.

Left padding (right padding is silently wrong), one new token at a time with the cache, no sampling
and no penalties, whatever the model's own generation settings say. An answer ends at the model's
end token or at the end-of-turn token the training rows end with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.encoding import Encoder, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["GenerationPlan", "answer_prompts", "stop_ids"]


@dataclass(frozen=True)
class GenerationPlan:
    """How answers are generated: limits in tokens; `positions` None where a model has no limit."""

    max_new_tokens: int
    positions: int | None
    batch_size: int
    stop_ids: tuple[int, ...]

    def room(self, prompt: Sequence[int]) -> int:
        """Return how many tokens may follow a prompt within the model's positions."""
        if self.positions is None:
            return self.max_new_tokens
        return max(0, min(self.max_new_tokens, self.positions - len(prompt)))


def stop_ids(
    tokenizer: PreTrainedTokenizerBase, eos: int | list[int] | None, encoder: Encoder, row: Row
) -> tuple[int, ...]:
    """Return the ids an answer ends at.

    Args:
        tokenizer: Its end token is one of them.
        eos: `eos_token_id` of the model's generation settings.
        encoder: The one the model was trained with.
        row: Any training-shaped row: the last special token after its prompt ends a turn.
    """
    found = set(eos if isinstance(eos, list) else [] if eos is None else [eos])
    if tokenizer.eos_token_id is not None:
        found.add(int(tokenizer.eos_token_id))
    if encoder.row_type == "messages":
        tail = encoder.encode(row).input_ids[len(encoder.encode_prompt(row)) :]
        special = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
        found.update([token for token in tail if token in special][-1:])
    return tuple(sorted(found))


def answer_prompts(
    model: Any,  # noqa: ANN401 - a PreTrainedModel or a PeftModel
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    plan: GenerationPlan,
    on_rows: Callable[[int], None] = lambda _count: None,
) -> list[str]:
    """Return the greedy answer to each prompt, in order; empty where no position is left."""
    answers: dict[int, str] = {}
    for batch in _batches(prompts, plan):
        texts = _answer_batch(model, tokenizer, [prompts[index] for index in batch], plan)
        answers.update(zip(batch, texts, strict=True))
        on_rows(len(batch))
    return [answers[index] for index in range(len(prompts))]


def _batches(prompts: Sequence[list[int]], plan: GenerationPlan) -> list[list[int]]:
    """Group prompts of like length; those near the last position go alone, with their own room."""
    whole, alone = [], []
    for index in sorted(range(len(prompts)), key=lambda index: -len(prompts[index])):
        full = plan.room(prompts[index]) == plan.max_new_tokens
        (whole if full else alone).append(index)
    size = plan.batch_size
    return [[index] for index in alone] + [
        whole[start : start + size] for start in range(0, len(whole), size)
    ]


def _answer_batch(
    model: Any,  # noqa: ANN401
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[list[int]],
    plan: GenerationPlan,
) -> list[str]:
    import torch
    from transformers import GenerationConfig

    room = min(plan.room(prompt) for prompt in prompts)
    if room == 0:
        return [""] * len(prompts)
    place = next(model.parameters()).device
    width = max(len(prompt) for prompt in prompts)
    pad = plan.stop_ids[0] if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts])
    attention = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    settings = GenerationConfig(
        max_new_tokens=room, do_sample=False, eos_token_id=list(plan.stop_ids), pad_token_id=pad
    )
    # `generate` fills what is unset from the model's own settings, penalties included.
    model.generation_config = settings
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids.to(place), attention_mask=attention.to(place), generation_config=settings
        )
    return [_text(tokenizer, row, plan.stop_ids) for row in out[:, width:].tolist()]


def _text(tokenizer: PreTrainedTokenizerBase, ids: list[int], stops: tuple[int, ...]) -> str:
    end = next((index for index, token in enumerate(ids) if token in stops), len(ids))
    return str(tokenizer.decode(ids[:end], skip_special_tokens=True))
