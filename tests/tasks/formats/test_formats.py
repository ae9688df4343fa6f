"""Formats: rows become canonical ones, defects get their words, readings are never guessed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import DataError, RecipeError
from tasks.formats import (
    FORMATS,
    alpaca,
    classification,
    guanaco,
    messages,
    prompt_completion,
    text,
)
from tasks.profile.shapes import Shape, choose_shape
from tasks.recipe import DatasetSection

SHAREGPT = ("sharegpt", "messages")
PAIR_OF_CHATS = ("prompt_completion", "messages")
OTHER = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "c"}]
CHAT = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}


def shape_of(row: dict[str, Any], *, template: bool = True, **dataset: Any) -> Shape:
    section = DatasetSection(path="data.jsonl", **dataset)
    return choose_shape(section, [row] * 3, has_template=template)


@pytest.mark.parametrize(
    ("row", "name", "row_type"),
    [
        (CHAT, "messages", "messages"),
        ({"instruction": "a", "input": "b", "output": "c"}, "alpaca", "messages"),
        ({"instruction": "a", "response": "c"}, "alpaca", "messages"),
        ({"prompt": "a", "completion": "b", "id": 7}, "prompt_completion", "prompt_completion"),
        ({"question": "a", "answer": "b"}, "prompt_completion", "prompt_completion"),
        ({"input": "a", "output": "b"}, "prompt_completion", "prompt_completion"),
        ({"text": "a", "url": "b"}, "text", "text"),
        ({"instruction": "a", "context": "b", "response": "c"}, "alpaca", "messages"),
        (
            {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
            *SHAREGPT,
        ),
        ({"messages": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, *SHAREGPT),
        ({"conversations": CHAT["messages"]}, "messages", "messages"),
        ({"prompt": CHAT["messages"][:1], "completion": CHAT["messages"][1:]}, *PAIR_OF_CHATS),
        ({"prompt": "a", "completion": CHAT["messages"][1:]}, *PAIR_OF_CHATS),
        ({"text": "a", "label": "good"}, "classification", "messages"),
        ({"text": "### Human: a### Assistant: b"}, "guanaco", "messages"),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "preference", "prompt_completion"),
        ({"chosen": CHAT["messages"], "rejected": OTHER}, "preference", "messages"),
    ],
)
def test_a_format_is_read_off_the_columns(row: dict[str, Any], name: str, row_type: str) -> None:
    shape = shape_of(row)
    assert (shape.format, shape.row_type) == (name, row_type)
    assert shape.format in shape.reason
    canonical, reasons = shape.to_canonical(row)
    assert reasons == []
    assert canonical is not None


def test_alpaca_becomes_a_chat_with_a_template_and_alpaca_s_prompt_without() -> None:
    row = {"instruction": "Add.", "input": "1 1", "output": "2"}
    with_template, without = shape_of(row), shape_of(row, template=False)
    assert with_template.to_canonical(row)[0] == {
        "messages": [
            {"role": "user", "content": "Add.\n\n1 1"},
            {"role": "assistant", "content": "2"},
        ]
    }
    assert "chat template" in with_template.reason
    assert without.row_type == "prompt_completion"
    assert "Alpaca prompt" in without.reason
    prompt = without.to_canonical(row)[0]["prompt"]  # ty: ignore[not-subscriptable]
    assert prompt.endswith("### Instruction:\nAdd.\n\n### Input:\n1 1\n\n### Response:\n")
    assert "### Input" not in without.to_canonical({**row, "input": ""})[0]["prompt"]  # ty: ignore[not-subscriptable]


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "a", "output": "b", "text": "c"},
        {"instruction": "a", "output": "b", "response": "c"},
        {"prompt": "a", "completion": "b", "question": "c", "answer": "d"},
        {**CHAT, "text": "a"},
    ],
)
def test_two_possible_readings_are_an_error_that_lists_them(row: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="ambiguous") as error:
        shape_of(row)
    assert len(re.findall(r"(?m)^ {4}\w+: ", str(error.value))) == 2


def test_the_recipe_settles_an_ambiguity() -> None:
    row = {"instruction": "a", "output": "b", "response": "c", "text": "d"}
    assert shape_of(row, format="text").format == "text"
    chosen = shape_of(row, format="alpaca", columns={"output": "response"})
    assert chosen.to_canonical(row)[0]["messages"][-1]["content"] == "c"  # ty: ignore[not-subscriptable]


def test_columns_map_names_and_dotted_paths() -> None:
    row = {"text": "hi", "label": {"names": ["x", "y"]}}
    shape = shape_of(row, columns={"prompt": "text", "completion": "label.names.1"})
    assert shape.to_canonical(row)[0] == {"prompt": "hi", "completion": "y"}
    assert shape.to_canonical({"text": "hi", "label": {}}) == (None, ["missing_column"])


def test_a_misspelt_column_gets_its_suggestion() -> None:
    with pytest.raises(RecipeError, match=r"columns\.promt.*Did you mean 'prompt'"):
        shape_of({"a": "b"}, columns={"promt": "a"})


def test_unknown_columns_are_named() -> None:
    with pytest.raises(DataError, match=r"columns 'body', 'title', which is no known format"):
        shape_of({"title": "a", "body": "b"})
    with pytest.raises(DataError, match="not the format messages"):
        shape_of({"text": "a"}, format="messages")


def test_a_stray_column_in_a_few_rows_does_not_change_the_format() -> None:
    rows = [{"prompt": "a", "completion": "b"}] * 9 + [{"text": "c"}]
    shape = choose_shape(DatasetSection(path="x"), rows, has_template=False)
    assert shape.format == "prompt_completion"


@pytest.mark.parametrize(
    ("reader", "row", "reasons"),
    [
        (messages, {"messages": None}, ["missing_column"]),
        (messages, {"messages": "hello"}, ["wrong_type"]),
        (messages, {"messages": ["hello"]}, ["wrong_type"]),
        (messages, {"messages": []}, ["wrong_roles"]),
        (messages, {"messages": CHAT["messages"][:1]}, ["wrong_roles"]),
        (
            messages,
            {"messages": [CHAT["messages"][0], {"role": "assistant", "content": " "}]},
            ["empty_answer"],
        ),
        (
            messages,
            {"messages": [CHAT["messages"][0], {"role": "assistant"}]},
            ["missing_column"],
        ),
        (alpaca, {"instruction": "", "output": ""}, ["empty_prompt", "empty_answer"]),
        (alpaca, {"instruction": "a", "input": 3, "output": "b"}, ["wrong_type"]),
        (prompt_completion, {"prompt": "a"}, ["missing_column"]),
        (prompt_completion, {"prompt": "a", "completion": 3}, ["wrong_type"]),
        (prompt_completion, {"prompt": "a", "completion": "\ud800"}, ["undecodable"]),
        (text, {"text": "\n"}, ["empty_answer"]),
    ],
)
def test_a_defect_has_its_word(reader: Any, row: dict[str, Any], reasons: list[str]) -> None:
    assert reader.to_canonical(row) == (None, reasons)


@given(st.lists(st.sampled_from(["system", "user", "assistant", "tool"]), max_size=6))
def test_roles_are_an_optional_system_then_user_and_assistant(roles: list[str]) -> None:
    row = {"messages": [{"role": role, "content": "x"} for role in roles]}
    letters = "".join(role[0] for role in roles)
    assert (messages.to_canonical(row)[1] == []) == bool(re.fullmatch("s?(ua)+", letters))


def test_every_format_stands_in_the_recipe_s_list() -> None:
    allowed = DatasetSection.model_fields["format"].annotation
    assert set(FORMATS) | {"auto"} == set(allowed.__args__)  # ty: ignore[unresolved-attribute]


def test_our_chatml_file_is_chatml_and_learns_its_end() -> None:
    from tasks.encoding import Encoder
    from tests.tiny import CHATML, build_tiny_tokenizer

    tokenizer = build_tiny_tokenizer()
    rows = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]
    reference = tokenizer.apply_chat_template(rows, chat_template=CHATML, tokenize=False)
    root = Path(__file__).parents[3]
    tokenizer.chat_template = (root / "tasks/assets/templates/chatml.jinja").read_text()
    assert tokenizer.apply_chat_template(rows, tokenize=False) == reference
    encoder = Encoder(tokenizer, DatasetSection(path="x"), "messages")
    encoded = encoder.encode({"messages": rows})
    learned = [t for t, bit in zip(encoded.input_ids, encoded.loss_mask, strict=True) if bit]
    assert tokenizer.decode(learned) == "b<|im_end|>"
    prompt = encoder.encode_prompt({"messages": rows})
    assert encoded.input_ids[: len(prompt)] == prompt


def test_alpaca_s_history_and_system_are_turns_before() -> None:
    row = {
        "instruction": "And twice?",
        "output": "4",
        "history": [["Add 1 and 1.", "2"]],
        "system": "Count.",
    }
    assert shape_of(row).to_canonical(row)[0] == {
        "messages": [
            {"role": "system", "content": "Count."},
            {"role": "user", "content": "Add 1 and 1."},
            {"role": "assistant", "content": "2"},
            {"role": "user", "content": "And twice?"},
            {"role": "assistant", "content": "4"},
        ]
    }
    pair, _ = shape_of(row, template=False).to_canonical(row)
    assert pair is not None
    assert pair["completion"] == "4"
    assert pair["prompt"].startswith("Count.\n\nBelow is")
    assert "Add 1 and 1.\n\n### Response:\n2\n\nBelow is" in pair["prompt"]
    for history, word in (
        (["a"], "wrong_type"),
        ([["a", ""]], "empty_answer"),
        ("a", "wrong_type"),
    ):
        assert alpaca.to_canonical({**row, "history": history})[1] == [word]


def test_a_label_is_learned_as_an_answer() -> None:
    row = {"text": "so good", "label": "positive"}
    shape = shape_of(row)
    assert "task_type: SEQ_CLS learns it by a head" in shape.reason
    assert shape.to_canonical(row)[0]["messages"][1]["content"] == "positive"  # ty: ignore[not-subscriptable]
    assert shape_of(row, template=False).to_canonical(row)[0] == {
        "prompt": "so good\n\nLabel:",
        "completion": " positive",
    }


@pytest.mark.parametrize("value", [1, "1"])
def test_numeric_labels_need_names(value: object) -> None:
    row = {"text": "so good", "label": value}
    with pytest.raises(DataError, match=r"labels are numbers \(1, ...\).*dataset.label_names"):
        shape_of(row)
    for names in (["negative", "positive"], {0: "negative", 1: "positive"}):
        shape = shape_of(row, label_names=names)
        assert shape.to_canonical(row)[0]["messages"][1]["content"] == "positive"  # ty: ignore[not-subscriptable]
        assert shape.to_canonical({"text": "x", "label": 7}) == (None, ["unknown_label"])
    assert classification.to_canonical({"text": "", "label": None})[1] == [
        "empty_prompt",
        "missing_column",
    ]


def test_a_text_with_a_category_is_ambiguous_and_a_text_with_a_free_note_is_not() -> None:
    rows = [{"text": f"t{n}", "category": "ab"[n % 2], "label": f"note {n}"} for n in range(9)]
    with pytest.raises(DataError, match="classification: text, category\n    text: text"):
        choose_shape(DatasetSection(path="x"), rows, has_template=True)
    notes = [{"text": row["text"], "label": row["label"]} for row in rows]
    assert choose_shape(DatasetSection(path="x"), notes, has_template=True).format == "text"


def test_guanaco_s_turns() -> None:
    row = {"text": "### Human: hi\nyou### Assistant: hello\n### Human: bye\n### Assistant: so long"}
    turns = ("hi\nyou", "hello", "bye", "so long")
    canonical, reasons = guanaco.to_canonical(row)
    assert reasons == []
    assert canonical is not None
    assert tuple(turn["content"] for turn in canonical["messages"]) == turns
    pair = guanaco.to_prompt_completion(row)[0]
    assert pair is not None
    assert pair["completion"] == " so long"
    assert pair["prompt"] + pair["completion"] == row["text"]
    assert guanaco.to_canonical({"text": "### Human: hi"})[1] == ["wrong_roles"]
    assert guanaco.to_canonical({"text": "by hand ### Human: a ### Assistant: b"})[1] == [
        "wrong_roles"
    ]
    assert guanaco.to_canonical({"text": "### Human: a ### Assistant:"})[1] == ["empty_answer"]


def test_prompts_of_chats_can_be_learned_too() -> None:
    turns = [*CHAT["messages"], *CHAT["messages"]]
    row = {"prompt": turns[:3], "completion": turns[3:]}
    for only, weight in ((True, 0), (False, 1)):
        canonical, _ = shape_of(row, completion_only_loss=only).to_canonical(row)
        assert canonical is not None
        assert canonical["messages"][1].get("weight", 1) == weight


def test_chat_rows_among_texts_and_texts_among_chats() -> None:
    pair = {"prompt": "a", "completion": "b"}
    chat = {"prompt": CHAT["messages"][:1], "completion": CHAT["messages"][1:]}
    assert shape_of(pair).to_canonical(chat) == (None, ["wrong_type"])
    assert shape_of(chat).to_canonical(pair) == (CHAT, [])
