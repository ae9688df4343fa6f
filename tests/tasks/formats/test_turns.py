"""Chats of every origin become one spelling: tool calls, parts, weights, system texts, tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasks.formats import messages, preference, prompt_completion, sharegpt
from tasks.formats.turns import read_call, read_tools, read_turns

ASK = {"role": "user", "content": "weather in Oslo?"}
SAY = {"role": "assistant", "content": "rain"}
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo"}}}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL]}
TOLD = {"role": "tool", "content": "4 C, rain", "name": "weather"}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    "call",
    [
        CALL,
        CALL["function"],
        {"name": "weather", "arguments": '{"city": "Oslo"}'},
        {"type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}},
    ],
)
def test_a_tool_call_has_one_spelling(call: dict[str, Any]) -> None:
    assert read_call(call) == CALL
    chat = [ASK, {"role": "assistant", "content": None, "tool_calls": [call]}, TOLD, SAY]
    assert read_turns(chat) == ([ASK, CALLING, TOLD, SAY], [])


@pytest.mark.parametrize(
    "call",
    [
        None,
        "weather",
        {},
        {"name": ""},
        {"name": "a", "arguments": "{"},
        {"name": "a", "arguments": "[1]"},
        {"name": "a\ud800", "arguments": {}},
    ],
)
def test_what_is_no_call_is_a_reason(call: object) -> None:
    assert read_call(call) is None
    chat = [ASK, {"role": "assistant", "tool_calls": [call]}]
    assert read_turns(chat) == ([], ["bad_tool_call"])


@pytest.mark.parametrize(
    ("turns", "reasons"),
    [
        ([ASK, CALLING], []),
        ([ASK, CALLING, TOLD, TOLD, SAY], []),
        ([ASK, CALLING, TOLD, CALLING, TOLD, SAY, ASK, SAY], []),
        ([ASK, {**CALLING, "content": "let me see"}, TOLD, SAY], []),
        ([{"role": "developer", "content": "be brief"}, ASK, SAY], []),
        ([ASK, CALLING, {"role": "tool", "content": ""}, SAY], []),
        ([ASK, TOLD, SAY], ["wrong_roles"]),
        ([ASK, CALLING, SAY], ["wrong_roles"]),
        ([ASK, CALLING, ASK, SAY], ["wrong_roles"]),
        ([ASK, CALLING, TOLD], ["wrong_roles"]),
        ([SAY], ["wrong_roles"]),
        ([ASK, SAY, {"role": "system", "content": "x"}, ASK, SAY], ["wrong_roles"]),
        ([ASK, {"role": "assistant", "content": "", "tool_calls": []}], ["empty_answer"]),
        ([{"role": "user", "content": ""}, SAY], ["empty_prompt"]),
        ([{"role": "robot", "content": ""}, SAY], ["wrong_roles", "empty_prompt"]),
        ([{"role": "user", "content": [{"type": "image_url"}]}, SAY], ["wrong_type"]),
    ],
)
def test_turns_follow_an_order(turns: list[dict[str, Any]], reasons: list[str]) -> None:
    assert read_turns(turns)[1] == reasons


def test_content_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "weather "}, {"type": "text", "text": "in Oslo?"}]
    assert read_turns([{"role": "user", "content": parts}, SAY])[0] == [ASK, SAY]


@pytest.mark.parametrize("mark", [{"weight": 0}, {"train": False}, {"training": False}])
def test_an_answer_can_be_kept_from_being_learned(mark: dict[str, Any]) -> None:
    assert read_turns([ASK, {**SAY, **mark}, ASK, SAY])[0][1] == {**SAY, "weight": 0}
    assert read_turns([ASK, {**SAY, "weight": 1, "train": True}])[0] == [ASK, SAY]


def test_sharegpt_with_calls_is_the_same_chat() -> None:
    row = {
        "conversations": [
            {"from": "human", "value": ASK["content"]},
            {"from": "function_call", "value": json.dumps(CALL["function"])},
            {"from": "observation", "value": TOLD["content"]},
            {"from": "gpt", "value": SAY["content"]},
        ],
        "system": "be brief",
        "tools": json.dumps([TOOL["function"]]),
    }
    told = {key: TOLD[key] for key in ("role", "content")}
    system = {"role": "system", "content": "be brief"}
    wanted = {"messages": [system, ASK, CALLING, told, SAY], "tools": [TOOL]}
    assert sharegpt.to_canonical(row) == (wanted, [])


@pytest.mark.parametrize(
    ("turns", "reasons"),
    [
        (None, ["missing_column"]),
        ("hello", ["wrong_type"]),
        ([{"from": "human", "value": "a"}, {"value": "b"}], ["wrong_roles", "empty_prompt"][:1]),
        ([{"from": "gpt", "value": "b"}], ["wrong_roles"]),
        ([{"from": "human", "value": "a"}, {"from": "gpt", "value": ""}], ["empty_answer"]),
        ([{"from": "human", "value": "a"}, {"from": "gpt"}], ["missing_column"]),
        (
            [{"from": "human", "value": "a"}, {"from": "function_call", "value": "{"}],
            ["bad_tool_call"],
        ),
    ],
)
def test_a_broken_sharegpt_row_has_its_word(turns: Any, reasons: list[str]) -> None:
    assert sharegpt.to_canonical({"conversations": turns}) == (None, reasons)


def test_two_system_texts_are_not_one() -> None:
    row = {"messages": [{"role": "system", "content": "a"}, ASK, SAY], "system": "b"}
    assert messages.to_canonical(row) == (None, ["wrong_roles"])
    assert messages.to_canonical({**row, "system": ""})[1] == []


@pytest.mark.parametrize("tools", [None, "", "[]", [], "null"])
def test_no_tools_are_no_key(tools: object) -> None:
    assert messages.to_canonical({"messages": [ASK, SAY], "tools": tools}) == (
        {"messages": [ASK, SAY]},
        [],
    )


@pytest.mark.parametrize("tools", ["{", "3", [3], [{"name": 3}], {"name": "weather"}])
def test_what_are_no_tools_is_a_reason(tools: object) -> None:
    assert read_tools(tools) == ([], ["bad_tools"])
    assert messages.to_canonical({"messages": [ASK, SAY], "tools": tools})[1] == ["bad_tools"]


def test_only_the_completion_of_a_pair_of_chats_is_learned() -> None:
    row = {"prompt": [ASK, SAY, ASK], "completion": [CALLING, TOLD, SAY]}
    canonical, reasons = prompt_completion.to_chat(row)
    assert reasons == []
    assert canonical is not None
    weights = [turn.get("weight", 1) for turn in canonical["messages"]]
    assert weights == [1, 0, 1, 1, 1, 1]
    assert prompt_completion.to_chat({"prompt": [ASK], "completion": [ASK]})[1] == ["wrong_roles"]
    assert prompt_completion.to_chat({"prompt": [], "completion": [ASK, SAY]})[1] == ["wrong_roles"]
    assert prompt_completion.to_chat({"prompt": [ASK]})[1] == ["missing_column"]
    assert prompt_completion.to_chat({"prompt": 3, "completion": "a"})[1] == ["wrong_type"]


WORSE = {"role": "assistant", "content": "sun"}


@pytest.mark.parametrize(
    "row",
    [
        {"chosen": [ASK, SAY], "rejected": [ASK, WORSE]},
        {"prompt": [ASK], "chosen": [SAY], "rejected": [WORSE]},
        {"prompt": ASK["content"], "chosen": [ASK, SAY], "rejected": [ASK, WORSE]},
        {"prompt": ASK["content"], "chosen": [SAY], "rejected": [WORSE]},
    ],
)
def test_preference_chats_of_every_form_are_one(row: dict[str, Any]) -> None:
    assert preference.to_chat(row) == (
        {"messages": [ASK, SAY], "rejected": [ASK, WORSE]},
        [],
    )


@pytest.mark.parametrize(
    ("row", "reasons"),
    [
        ({"chosen": [ASK, SAY], "rejected": [ASK, SAY]}, ["same_answers"]),
        ({"prompt": [ASK], "chosen": [SAY], "rejected": [SAY]}, ["same_answers"]),
        ({"prompt": [ASK], "chosen": [SAY], "rejected": []}, ["wrong_roles"]),
        ({"chosen": [ASK, SAY]}, ["missing_column"]),
        ({"chosen": [ASK, SAY], "rejected": [ASK, {**SAY, "content": ""}]}, ["empty_answer"]),
    ],
)
def test_a_broken_preference_chat_has_its_word(row: dict[str, Any], reasons: list[str]) -> None:
    assert preference.to_chat(row) == (None, reasons)


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, ("a", "b", "c")),
        ({"chosen": "Q: a A: b", "rejected": "Q: a A: c"}, ("Q: a A:", " b", " c")),
        ({"prompt": "a", "chosen": "b", "rejected": " b"}, ["same_answers"]),
        ({"prompt": "", "chosen": "b", "rejected": "c"}, ["empty_prompt"]),
        ({"chosen": "b", "rejected": "c"}, ["empty_prompt"]),
        ({"chosen": "Q: a A: b", "rejected": "Q: a A: "}, ["empty_answer"]),
        ({"prompt": "a", "chosen": "", "rejected": None}, ["empty_answer", "missing_column"]),
        ({"prompt": 3, "chosen": "b", "rejected": "c"}, ["wrong_type"]),
    ],
)
def test_preference_texts(row: dict[str, Any], wanted: Any) -> None:
    canonical, reasons = preference.to_canonical(row)
    if isinstance(wanted, list):
        assert (canonical, reasons) == (None, wanted)
    else:
        assert canonical is not None
        assert tuple(canonical.values()) == wanted
