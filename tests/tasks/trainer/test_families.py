"""Every shape of tokenizer trains: the answer is learned, its end too, one BOS, and never the pad."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.chat_template import find_template
from tasks.encoding import Encoder
from tasks.loading import load_tokenizer
from tasks.trainer.rows import encode_split
from tasks.trainer.spec import TrainSpec
from tests.families import FAMILIES, family_tokenizer
from tests.records import chat_rows, make_recipe
from tests.tasks.trainer.forked import make_spec, run
from tests.tasks.trainer.test_loss import losses

pytestmark = pytest.mark.slow

TEXTS = [{"text": row["messages"][1]["content"] + " is a colour"} for row in chat_rows(40)]


def build_model(folder: Path, family: str, template: str | None) -> Path:
    """Write a random model of a family's architecture with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

    tokenizer = family_tokenizer(family)
    tokenizer.chat_template = template or tokenizer.chat_template
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    sizes: dict[str, Any] = {"vocab_size": len(tokenizer), **ends}
    if family == "gpt2":
        config = GPT2Config(n_embd=64, n_layer=2, n_head=4, n_positions=256, **sizes)
    else:
        config = LlamaConfig(
            hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=256, **sizes,
        )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def trained_rows(spec: TrainSpec) -> tuple[Any, list[tuple[list[int], list[int]]]]:
    """Return the tokenizer and what reaches the trainer: ids and labels of each row."""
    tokenizer = load_tokenizer(spec.base_path, spec.dataset.chat_template)
    rows = encode_split(spec, Encoder(tokenizer, spec.dataset, spec.row_type), spec.train)
    return tokenizer, list(zip(rows["input_ids"], rows["labels"], strict=True))


@pytest.mark.parametrize(
    ("family", "method", "row_type"),
    [
        *((family, "lora", "messages") for family in FAMILIES),
        ("gpt2", "full", "text"),
    ],
)
def test_a_family_learns_answers_and_their_end(
    tmp_path: Path, family: str, method: str, row_type: str
) -> None:
    chats = row_type == "messages"
    plain = find_template("plain")
    assert plain is not None
    template = plain.read_text() if chats and family == "gpt2" else None
    base = build_model(tmp_path / "base", family, template)
    training = {"logging_steps": 1, "eval_strategy": "no"}
    recipe = make_recipe(base, tmp_path / "raw.jsonl", training=training)
    rows = chat_rows(40) if chats else TEXTS
    spec = make_spec(
        tmp_path, recipe, {"train": rows, "validation": rows[:4]}, method,
        row_type=row_type, max_length=128,
    )  # fmt: skip
    tokenizer, encoded = trained_rows(spec)
    for ids, labels in encoded:
        learned = [label for label in labels if label != -100]
        assert tokenizer.eos_token_id in learned[-2:], "the end is learned"  # qwen: then a newline
        assert tokenizer.pad_token_id == tokenizer.eos_token_id or (
            tokenizer.pad_token_id not in learned
        )
        assert (len(learned) == len(ids)) is (not chats), "of a chat the answer, of a text all"
        if family.startswith("llama"):
            assert ids.count(tokenizer.bos_token_id) == 1 == (ids[0] == tokenizer.bos_token_id)
    ended = run(spec)
    assert ended.code == 0, ended.log
    steps = losses(spec, "loss")
    assert steps[-1] < 0.95 * steps[0]
