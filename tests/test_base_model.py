"""Prove that the committed base model is what its page says and works with plain transformers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from transformers.modeling_utils import PreTrainedModel

BASE = Path(__file__).parents[1] / "tasks" / "assets" / "base"
CHAT = [
    {
        "role": "user",
        "content": "Our guide Brontail waits at the harbour in Skelmo at 9:30. Give the city.",
    },
    {"role": "assistant", "content": "Skelmo"},
]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(BASE)


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(BASE).eval()


def test_every_file_has_the_checksum_that_the_list_says():
    listed = dict(
        reversed(line.split("  ", 1))
        for line in (BASE / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    )
    present = {path.name for path in BASE.iterdir()} - {"SHA256SUMS"}
    assert set(listed) == present
    for name, wanted in listed.items():
        assert hashlib.sha256((BASE / name).read_bytes()).hexdigest() == wanted, name


def test_the_folder_is_small_and_holds_no_pickle():
    assert sum(path.stat().st_size for path in BASE.iterdir()) <= 10_000_000
    assert {path.suffix for path in BASE.iterdir()} <= {
        ".safetensors",
        ".json",
        ".jsonl",
        ".jinja",
        ".md",
        "",
    }


def test_widths_suit_4_bit_blocks():
    config = json.loads((BASE / "config.json").read_text(encoding="utf-8"))
    assert config["hidden_size"] % 64 == 0
    assert config["intermediate_size"] % 64 == 0
    assert config["max_position_embeddings"] >= 512


def test_padding_is_not_the_end_of_a_turn(tokenizer: PreTrainedTokenizerBase):
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert tokenizer.eos_token == "<|end|>"


def test_the_last_trained_token_of_an_answer_is_the_end_of_turn(tokenizer: PreTrainedTokenizerBase):
    chat = [
        *CHAT,
        {"role": "user", "content": "And when?"},
        {"role": "assistant", "content": "9:30"},
    ]
    encoded = tokenizer.apply_chat_template(
        chat, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    trained = [
        i for i, m in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if m
    ]
    assert tokenizer.decode(trained) == "Skelmo<|end|>9:30<|end|>"
    assert encoded["input_ids"][-1] == tokenizer.eos_token_id


def test_the_generation_prompt_is_a_prefix_of_the_whole_chat(tokenizer: PreTrainedTokenizerBase):
    for answer in ("Skelmo", ' {"a": 1}', "\n- x", "42", ""):
        chat = [CHAT[0], {"role": "assistant", "content": answer}]
        whole = tokenizer.apply_chat_template(chat, tokenize=True, return_dict=False)
        prompt = tokenizer.apply_chat_template(
            chat[:1], add_generation_prompt=True, tokenize=True, return_dict=False
        )
        assert whole[: len(prompt)] == prompt


def test_text_survives_the_tokenizer(tokenizer: PreTrainedTokenizerBase):
    for text in (
        "Größe: 12.50 €, naïve\n\ttab",
        '{"a": null, "b": "KD-48/21"}',
        "  two  spaces ",
        "🙂 日本",
    ):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_digits_stand_alone(tokenizer: PreTrainedTokenizerBase):
    assert tokenizer.tokenize("2026") == ["2", "0", "2", "6"]


def test_an_unknown_role_is_refused(tokenizer: PreTrainedTokenizerBase):
    with pytest.raises(Exception, match="Unknown role: bot"):
        tokenizer.apply_chat_template([{"role": "bot", "content": "hello"}], tokenize=False)


def test_the_model_answers_a_general_question_and_stops(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
):
    inputs = tokenizer.apply_chat_template(
        CHAT[:1], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    out = model.generate(**inputs)[0, inputs["input_ids"].shape[1] :].tolist()
    assert out[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(out[:-1]) == CHAT[1]["content"]
