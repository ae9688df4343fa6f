"""Score exact match: the greedy answer of a model to a chat, compared character by character.

Used while pretraining (general tasks, known and held-out entities) and by `measure.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.base_model.corpus import Messages, document

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from transformers.modeling_utils import PreTrainedModel

GENERAL_TASKS = ("extract", "to_json", "to_lines", "convert", "repeat", "look_up", "conversation")
EVALUATION_SEED = 991_177


def answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    chats: list[Messages],
    *,
    max_new_tokens: int = 96,
    batch_size: int = 64,
) -> list[str]:
    """Return the greedy answer to every chat; the chats end with a user message."""
    import torch

    training = model.training
    model.eval()
    side, tokenizer.padding_side = tokenizer.padding_side, "left"
    prompts = [
        tokenizer.apply_chat_template(c, tokenize=False, add_generation_prompt=True) for c in chats
    ]
    ranks = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    texts = [""] * len(prompts)
    for start in range(0, len(ranks), batch_size):
        part = ranks[start : start + batch_size]
        inputs = tokenizer(
            [prompts[i] for i in part], return_tensors="pt", padding=True, add_special_tokens=False
        )
        inputs = {key: inputs[key].to(model.device) for key in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            out = model.generate(
                **inputs,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                use_cache=True,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        new = tokenizer.batch_decode(
            out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        for i, text in zip(part, new, strict=True):
            texts[i] = text
    tokenizer.padding_side = side
    model.train(training)
    return texts


def general_exact_match(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, held_out: bool, rows: int
) -> float:
    """Return the exact match on general tasks, for known or for held-out entities."""
    tasks = [GENERAL_TASKS[i % len(GENERAL_TASKS)] for i in range(rows)]
    chats = [document(EVALUATION_SEED, i, held_out=held_out, task=t) for i, t in enumerate(tasks)]
    found = answers(model, tokenizer, [chat[:-1] for chat in chats])
    return sum(text == chat[-1]["content"] for text, chat in zip(found, chats, strict=True)) / rows
