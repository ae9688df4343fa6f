"""Encoding in four families of tokenizers: the mask, EOS learned, pad never, BOS once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.chat_template import choose_template, find_template
from tasks.encoding import Encoded, Encoder
from tasks.errors import DataError
from tasks.recipe import DatasetSection
from tests.families import FAMILIES, LLAMA2, family_tokenizer
from tests.tiny import build_tiny_tokenizer

ASK = {"role": "user", "content": "what is the colour of the sky"}
SAY = {"role": "assistant", "content": "the sky is blue"}
AGAIN = {"role": "user", "content": "and of grass"}
GREEN = {"role": "assistant", "content": "green"}
SYSTEM = {"role": "system", "content": "be brief"}
CALL = {"type": "function", "function": {"name": "look_up", "arguments": {"thing": "sky"}}}

ROWS: dict[str, dict[str, Any]] = {
    "messages": {"messages": [ASK, SAY]},
    "prompt_completion": {"prompt": "the sky is", "completion": " blue"},
    "text": {"text": "the sky is blue"},
}
LEARNED = {"messages": "the sky is blue", "prompt_completion": "blue", "text": "the sky is blue"}


def encoder_of(family: str, row_type: Any, **dataset: Any) -> Encoder:
    """Return an encoder; GPT-2 has no template of its own and gets the plain one by name."""
    tokenizer = family_tokenizer(family)
    if family == "gpt2" and row_type == "messages":
        dataset.setdefault("chat_template", "plain")
    section = DatasetSection(path="x", **dataset)
    if section.chat_template != "auto":
        path = find_template(section.chat_template)
        assert path is not None
        tokenizer.chat_template = path.read_text()
    return Encoder(tokenizer, section, row_type)


def learned_text(encoder: Encoder, encoded: Encoded) -> str:
    pairs = zip(encoded.input_ids, encoded.loss_mask, strict=True)
    return str(encoder.tokenizer.decode([token for token, bit in pairs if bit]))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("row_type", ROWS)
def test_the_answer_and_its_end_are_learned_and_nothing_else(family: str, row_type: Any) -> None:
    encoder = encoder_of(family, row_type)
    encoded = encoder.encode(ROWS[row_type])
    tokenizer = encoder.tokenizer
    said = learned_text(encoder, encoded).replace("<think>\n\n</think>", "")
    bos = tokenizer.bos_token if row_type == "text" and family.startswith("llama") else ""
    end = "\n" if (family, row_type) == ("qwen", "messages") else ""
    wanted = f"{bos}{LEARNED[row_type]}{tokenizer.eos_token}{end}"
    assert said.strip(" \n").replace(" ", "") == wanted.strip().replace(" ", "")
    last = [t for t, bit in zip(encoded.input_ids, encoded.loss_mask, strict=True) if bit]
    assert tokenizer.eos_token_id in last[-2:]
    if row_type != "text":
        prompt = encoder.encode_prompt(ROWS[row_type])
        assert encoded.input_ids[: len(prompt)] == prompt
        assert not any(encoded.loss_mask[: len(prompt)])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("row_type", ROWS)
def test_bos_stands_once_where_the_family_has_one(family: str, row_type: Any) -> None:
    encoder = encoder_of(family, row_type)
    tokenizer = encoder.tokenizer
    row = ROWS[row_type]
    ids = encoder.encode(row).input_ids
    bos = tokenizer.bos_token_id
    wanted = {"gpt2": 0, "llama2": 1, "llama3": 1, "qwen": 0}[family]
    assert (0 if bos in (None, tokenizer.eos_token_id) else ids.count(bos)) == wanted
    if wanted and row_type != "messages":
        key = "prompt" if "prompt" in row else "text"
        written = {**row, key: f"{tokenizer.bos_token}{row[key]}"}
        assert encoder.encode(written).input_ids.count(bos) == 1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("row_type", ROWS)
def test_a_pad_is_never_learned_and_never_hides_an_end(family: str, row_type: Any) -> None:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    encoder = encoder_of(family, row_type)
    tokenizer = encoder.tokenizer
    eos = tokenizer.eos_token_id
    pads = {eos, tokenizer.pad_token_id} - {None}
    short = encoder.encode(ROWS[row_type])
    long = encoder.encode(
        {"messages": [ASK, SAY, AGAIN, GREEN]}
        if row_type == "messages"
        else {key: value * 3 for key, value in ROWS[row_type].items()}
    )
    examples = [{"input_ids": each.input_ids, "labels": each.labels} for each in (short, long)]
    for pad in pads:
        batch = DataCollatorForLanguageModeling(pad_token_id=pad)(examples)
        for row, encoded in zip(batch["labels"].tolist(), (short, long), strict=True):
            assert row[: len(encoded.labels)] == encoded.labels
            assert eos in row
            assert set(row[len(encoded.labels) :]) <= {-100}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_answer_of_a_chat_is_learned_but_those_of_weight_0(family: str) -> None:
    encoder = encoder_of(family, "messages")
    both = learned_text(encoder, encoder.encode({"messages": [ASK, SAY, AGAIN, GREEN]}))
    assert "sky is blue" in both
    assert "green" in both
    second = encoder.encode({"messages": [ASK, {**SAY, "weight": 0}, AGAIN, GREEN]})
    said = learned_text(encoder, second)
    assert "sky" not in said
    assert said.count(str(encoder.tokenizer.eos_token)) == 1
    nothing = encoder.encode({"messages": [ASK, {**SAY, "weight": 0}]})
    assert not any(nothing.loss_mask)


@pytest.mark.parametrize("family", ["gpt2", "llama2", "llama3"])
def test_a_template_that_would_leave_tools_out_refuses_them(family: str) -> None:
    encoder = encoder_of(family, "messages")
    calling = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    with pytest.raises(ValueError, match="writes no tool calls"):
        encoder.encode({"messages": [ASK, calling]})
    with pytest.raises(ValueError, match="does not write which tools"):
        encoder.encode({"messages": [ASK, SAY], "tools": [{"type": "function"}]})


def test_qwen_learns_the_call_and_not_what_the_tool_said() -> None:
    encoder = encoder_of("qwen", "messages")
    calling = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    told = {"role": "tool", "content": "it is blue today"}
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {}}}
    row = {"messages": [ASK, calling, told, SAY], "tools": [tool]}
    encoded = encoder.encode(row)
    said = learned_text(encoder, encoded)
    assert '{"name": "look_up", "arguments": {"thing": "sky"}}' in said
    assert "today" not in said
    assert "sky is blue" in said
    assert "# Tools" in str(encoder.tokenizer.decode(encoded.input_ids))
    prompt = encoder.encode_prompt(row)
    assert encoded.input_ids[: len(prompt)] == prompt


def test_the_order_of_templates() -> None:
    origins = {
        family: choose_template(family_tokenizer(family), from_recipe=False)[1]
        for family in ("llama2", "llama3", "qwen")
    }
    assert origins == {
        "llama2": "the tokenizer's, assistant turns found by their prefixes",
        "llama3": "the tokenizer's, with TRL's generation marks of that family",
        "qwen": "the tokenizer's, with TRL's generation marks of that family",
    }
    with pytest.raises(DataError, match=r"a shipped one that it can write \(llama2, plain\)"):
        choose_template(family_tokenizer("gpt2"), from_recipe=False)
    assert encoder_of("qwen", "messages", chat_template="chatml").template_origin == "the recipe's"


@pytest.mark.parametrize("name", ["llama3", "gemma3", "deepseek_r1_distill", "chatml"])
def test_a_template_with_unknown_special_tokens_is_refused(name: str) -> None:
    """LLaMA-Factory#6736: the llama3 template on Qwen2.5 answered without an end."""
    family = "qwen" if name != "chatml" else "llama3"
    with pytest.raises(DataError, match=r"which this tokenizer does not know.*\(.*plain\)"):
        encoder_of(family, "messages", chat_template=name)


@pytest.mark.parametrize("turns", [[ASK, SAY], [SYSTEM, ASK, SAY, AGAIN, GREEN]])
@pytest.mark.parametrize("family", ["llama2", "llama3"])
def test_our_templates_write_what_the_families_publish(family: str, turns: list[Any]) -> None:
    tokenizer = family_tokenizer(family)
    path = find_template(family)
    assert path is not None
    assert path.parent.name == "templates"
    for prompt in (False, True):
        reference = tokenizer.apply_chat_template(
            turns[:-1] if prompt else turns, tokenize=False, add_generation_prompt=prompt
        )
        ours = tokenizer.apply_chat_template(
            turns[:-1] if prompt else turns,
            tokenize=False,
            add_generation_prompt=prompt,
            chat_template=path.read_text(),
        )
        assert ours == reference


def test_templates_are_found_by_name_or_path(tmp_path: Path) -> None:
    (tmp_path / "own.jinja").write_text("x")
    assert find_template(str(tmp_path / "own.jinja")) == tmp_path / "own.jinja"
    assert find_template("qwen3").name == "qwen3_training.jinja"  # ty: ignore[unresolved-attribute]
    assert find_template("nothing") is None
    assert LLAMA2 in str(family_tokenizer("llama2").chat_template)
    assert build_tiny_tokenizer().chat_template
