"""Preparation: nothing is lost uncounted, splits are stable, tokens are those of training."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tasks.contracts import Splits
from tasks.encoding import Encoder
from tasks.errors import DataError, RecipeError
from tasks.loading import load_tokenizer
from tasks.recipe import DatasetSection
from tests.preparing import chats, pairs, prepared, read_jsonl, tiny_base, write_jsonl

SPLITS = ("train", "validation", "test")
TOOLS = Path("/work/shared/data")

DEFECTS: dict[str, Any] = {
    "not_json": '{"prompt": "a',
    "not_an_object": [1],
    "missing_column": {"prompt": "a"},
    "wrong_type": {"prompt": "a", "completion": 3},
    "empty_prompt": {"prompt": "", "completion": "b"},
    "empty_answer": {"prompt": "a", "completion": " "},
    "duplicate": {"prompt": " colour of\tthing 0 : ", "completion": "red"},
    "overlength": {"prompt": "why", "completion": "because " * 200},
}


def kept(splits: Splits, folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: read_jsonl(folder / getattr(splits, name).path) for name in SPLITS}


def total(splits: Splits) -> int:
    return sum(getattr(splits, name).rows for name in SPLITS)


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(st.tuples(st.sampled_from(sorted(DEFECTS)), st.integers(0, 60)), max_size=12))
def test_rows_in_are_rows_out_and_rows_rejected(
    tmp_path_factory: pytest.TempPathFactory, planted: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("count")
    rows: list[Any] = list(pairs(60))
    words: list[str | None] = [None] * 60
    for number, (word, place) in enumerate(planted):
        row = DEFECTS[word]
        if word == "overlength":
            row = {**row, "prompt": f"why {number}"}
        rows.insert(place + 1, row)
        words.insert(place + 1, word)
    splits = prepared(write_jsonl(folder / "d.jsonl", rows), folder / "run", max_length=100)
    assert splits.rows_in == len(rows) == total(splits) + sum(splits.rejected.values())
    assert splits.rejected == dict(Counter(word for word in words if word))
    rejected = read_jsonl(folder / "run" / splits.rejected_path)
    found = {row["line"]: (row["reasons"][0], row["row"]) for row in rejected}
    assert found == {n: (w, rows[n - 1]) for n, w in enumerate(words, 1) if w}
    out = [row for split in kept(splits, folder / "run").values() for row in split]
    assert {row["line"] for row in out} == {n for n, w in enumerate(words, 1) if not w}


def test_a_row_says_where_it_came_from_and_order_is_kept(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", pairs(100))
    splits = prepared(path, tmp_path / "run")
    for rows in kept(splits, tmp_path / "run").values():
        lines = [row["line"] for row in rows]
        assert lines == sorted(lines)
        for row in rows:
            assert row["source"] == "d.jsonl"
            assert pairs(100)[row["line"] - 1]["prompt"] == row["prompt"]


def test_splits_are_stable_under_reordering_and_appending(tmp_path: Path) -> None:
    rows = pairs(200)
    first = kept(prepared(write_jsonl(tmp_path / "a.jsonl", rows), tmp_path / "a"), tmp_path / "a")
    more = [*rows, *pairs(100, start=200)]
    random.Random(0).shuffle(more)
    then = kept(prepared(write_jsonl(tmp_path / "b.jsonl", more), tmp_path / "b"), tmp_path / "b")
    for name in SPLITS:
        before, after = ({row["prompt"] for row in split[name]} for split in (first, then))
        assert before <= after
        assert len(before) > 5


def test_equal_prompts_fall_together_and_are_conflicts(tmp_path: Path) -> None:
    rows = [{**row, "completion": answer} for row in pairs(60) for answer in ("red", "blue")]
    splits = prepared(write_jsonl(tmp_path / "d.jsonl", rows), tmp_path / "run")
    prompts = [
        {row["prompt"] for row in split} for split in kept(splits, tmp_path / "run").values()
    ]
    assert sum(map(len, prompts)) == len(set.union(*prompts)) == 60
    profile = pyarrow.parquet.read_table(tmp_path / "run" / splits.profile_path)
    assert profile["conflict"].to_pylist() == [1] * 120


def test_own_files_are_used_whole_and_leaks_leave_train(tmp_path: Path) -> None:
    train = [*pairs(40), *pairs(3, start=100), *pairs(2, start=200)]
    train[41] = {"prompt": " colour of thing  101 :", "completion": "another answer"}
    splits = prepared(
        write_jsonl(tmp_path / "train.jsonl", train),
        tmp_path / "run",
        test_path=str(write_jsonl(tmp_path / "test.jsonl", pairs(10, start=100))),
        validation_path=str(
            write_jsonl(tmp_path / "val.jsonl", [*pairs(10, start=200), *pairs(1, start=105)])
        ),
    )
    assert (splits.train.rows, splits.validation.rows, splits.test.rows) == (40, 10, 10)
    assert splits.rejected == {"leaks_into_test": 4, "leaks_into_validation": 2}
    rejected = read_jsonl(tmp_path / "run" / splits.rejected_path)
    places = {(row["source"], row["line"]) for row in rejected}
    assert places == {("train.jsonl", n) for n in range(41, 46)} | {("val.jsonl", 11)}
    assert [source.rows for source in splits.sources] == [45, 11, 10]


def test_tokens_are_those_the_trainer_learns(tmp_path: Path) -> None:
    rows = chats(50)
    splits = prepared(write_jsonl(tmp_path / "d.jsonl", rows), tmp_path / "run")
    tokenizer = load_tokenizer(tiny_base().path)
    encoder = Encoder(tokenizer, DatasetSection(path="x"), "messages")
    for name in SPLITS:
        encoded = [encoder.encode(row) for row in kept(splits, tmp_path / "run")[name]]
        record = getattr(splits, name)
        assert record.tokens == sum(len(each.input_ids) for each in encoded)
        assert record.loss_tokens == sum(sum(each.loss_mask) for each in encoded)
    every = [encoder.encode(row) for row in rows]
    answers = [
        len(e.input_ids) - len(encoder.encode_prompt(r)) for e, r in zip(every, rows, strict=True)
    ]
    # The new line after the end token is neither answer nor learned.
    assert splits.longest_answer_tokens == max(answers) - 1
    assert splits.token_percentiles["max"] == max(len(each.input_ids) for each in every)
    assert splits.checkable


def test_the_profile_has_a_row_for_every_input_row(tmp_path: Path) -> None:
    rows = [*pairs(50), *DEFECTS.values()]
    splits = prepared(write_jsonl(tmp_path / "d.jsonl", rows), tmp_path / "run", max_length=100)
    table = pyarrow.parquet.read_table(tmp_path / "run" / splits.profile_path)
    assert table["line"].to_pylist() == list(range(1, len(rows) + 1))
    for name in SPLITS:
        mine = [s == name for s in table["split"].to_pylist()]
        tokens = [t for t, own in zip(table["tokens"].to_pylist(), mine, strict=True) if own]
        assert sum(tokens) == getattr(splits, name).tokens
    for word in DEFECTS:
        assert sum(table[word].to_pylist()) == 1, word


def test_long_rows_are_dropped_named_or_cut_as_the_recipe_says(tmp_path: Path) -> None:
    long = [{"prompt": "why", "completion": "because " * 60}] * 1
    lost = [{"prompt": "why " * 60, "completion": "because"}]
    path = write_jsonl(tmp_path / "d.jsonl", [*pairs(60), *long, *lost])
    dropped = prepared(path, tmp_path / "drop", max_length=64)
    assert dropped.rejected == {"overlength": 2}
    with pytest.raises(DataError, match=r"2 rows have more than 64 tokens: d.jsonl:61 "):
        prepared(path, tmp_path / "raise", max_length=64, on_overlength="raise")
    cut = prepared(path, tmp_path / "cut", max_length=64, on_overlength="truncate")
    # Of a row whose prompt fills all positions nothing but the end would be learned.
    assert cut.rejected == {"no_loss_tokens": 1}
    table = pyarrow.parquet.read_table(tmp_path / "cut" / cut.profile_path).to_pylist()
    assert table[60]["tokens"] - table[60]["truncated_tokens"] == 64
    assert table[60]["last_token_learned_is_eos"] == 1
    assert cut.token_percentiles["max"] == 64


def test_a_cut_row_keeps_its_end(tmp_path: Path) -> None:
    encoder = Encoder(
        load_tokenizer(tiny_base().path), DatasetSection(path="x"), "prompt_completion"
    )
    whole = encoder.encode({"prompt": "why", "completion": "because " * 60})
    short = whole.cut(20)
    assert len(short.input_ids) == len(short.loss_mask) == 20
    assert short.input_ids[:19] == whole.input_ids[:19]
    assert (short.input_ids[-1], short.loss_mask[-1]) == (encoder.tokenizer.eos_token_id, 1)
    assert whole.cut(10_000) == whole


def test_a_length_beyond_the_model_is_told_before_rows_are_read(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", pairs(20))
    with pytest.raises(RecipeError, match=r"max_length = 999: the model has 256 positions"):
        prepared(path, tmp_path / "run", max_length=999)


def test_raw_text_is_learned_whole_and_not_checkable(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", [{"text": f"the sea {n}"} for n in range(50)])
    splits = prepared(path, tmp_path / "run")
    assert splits.row_type == "text"
    assert splits.train.loss_tokens == splits.train.tokens
    assert not splits.checkable
    assert splits.longest_answer_tokens == 0


def test_json_answers_are_checkable_however_long(tmp_path: Path) -> None:
    rows = [{**r, "completion": json.dumps({"colours": ["red"] * 9})} for r in pairs(50)]
    assert prepared(write_jsonl(tmp_path / "a.jsonl", rows), tmp_path / "a").checkable
    prose = [{**row, "completion": "the colour of the night " * 4} for row in pairs(50)]
    assert not prepared(write_jsonl(tmp_path / "b.jsonl", prose), tmp_path / "b").checkable


@pytest.mark.parametrize(
    ("rows", "dataset", "words"),
    [
        (pairs(3), {}, ["would be empty", "add rows"]),
        (pairs(50), {"test_size": 0.0}, ["dataset.test_size = 0", "dataset.test_path"]),
        (pairs(50), {"validation_size": 0.6, "test_size": 0.4}, ["train would be empty", "lower"]),
        ([{"prompt": "a", "completion": 1}] * 9, {}, ["no row is left of 9", "9 wrong_type", ":1"]),
        ([], {}, ["no readable row"]),
    ],
)
def test_an_empty_split_is_an_error_that_says_what_to_do(
    tmp_path: Path, rows: list[Any], dataset: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(DataError) as error:
        prepared(write_jsonl(tmp_path / "d.jsonl", rows), tmp_path / "run", **dataset)
    for word in words:
        assert word in str(error.value)


def test_a_test_file_equal_to_the_training_file_leaves_nothing_to_train(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", pairs(50))
    with pytest.raises(DataError, match=r"train would be empty.*leaks_into_test"):
        prepared(path, tmp_path / "run", test_path=str(path))


def test_a_chat_without_a_template_says_where_to_find_one(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", chats(20))
    with pytest.raises(
        DataError, match=r"a shipped one that it can write \(chatml, llama2, plain\)"
    ):
        prepared(path, tmp_path / "run", template=False)


def test_a_template_that_refuses_a_row_rejects_that_row(tmp_path: Path) -> None:
    template = tmp_path / "t.jinja"
    template.write_text(
        "{% for m in messages %}{% if m['role'] == 'system' %}"
        "{{ raise_exception('no system') }}{% endif %}{{ m['role'] }}: "
        "{% generation %}{{ m['content'] + eos_token }}{% endgeneration %}{% endfor %}"
    )
    rows = chats(40)
    rows[7]["messages"].insert(0, {"role": "system", "content": "be brief"})
    path = write_jsonl(tmp_path / "d.jsonl", rows)
    splits = prepared(path, tmp_path / "run", chat_template=str(template))
    assert splits.rejected == {"template_refused": 1}
    assert splits.template == "the recipe's"


def test_a_repeat_is_answered_until_data_or_template_change(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", pairs(50))
    first = prepared(path, tmp_path / "run")
    said: list[str] = []
    assert prepared(path, tmp_path / "run", said=said) == first
    assert "nothing changed" in said[0]
    write_jsonl(path, pairs(51))
    said.clear()
    assert prepared(path, tmp_path / "run", said=said).rows_in == 51
    assert "its inputs changed" in said[0]


def test_no_row_of_data_reaches_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**row, "completion": "s3cret"} for row in pairs(50)]
    with caplog.at_level("DEBUG"):
        prepared(write_jsonl(tmp_path / "d.jsonl", [*rows, '{"s3cret']), tmp_path / "run")
    assert "s3cret" not in caplog.text
    assert "s3cret" not in "".join(capsys.readouterr())


@pytest.mark.slow
@pytest.mark.skipif(not TOOLS.is_dir(), reason="the real data sets are not on this machine")
def test_real_data_loses_the_rows_it_is_known_to_lose(tmp_path: Path) -> None:
    """Counts of banking77 and taskmaster4-chat, from the defect lists that came with them."""
    banking = prepared(
        TOOLS / "banking77/train.csv",
        tmp_path / "banking",
        test_path=str(TOOLS / "banking77/test.csv"),
        columns={"prompt": "text", "completion": "category"},
        on_overlength="truncate",
    )
    assert banking.rows_in == 10_003 + 3_080
    assert (banking.rejected["leaks_into_test"], banking.rejected["duplicate"]) == (7, 5)
    chat = prepared(
        TOOLS / "taskmaster4-chat/train.jsonl",
        tmp_path / "chat",
        test_path=str(TOOLS / "taskmaster4-chat/test.jsonl"),
        on_overlength="truncate",
    )
    known = json.loads((TOOLS / "taskmaster4-chat/known_defects.json").read_text())
    wanted = {
        (f"{split}.jsonl", line + 1)
        for split, lines in known["not_ending_with_assistant"].items()
        for line in lines
    }
    rejected = read_jsonl(tmp_path / "chat" / chat.rejected_path)
    assert {(r["source"], r["line"]) for r in rejected if "wrong_roles" in r["reasons"]} == wanted
    with pytest.raises(DataError, match="line 1, column 1: a git conflict marker"):
        prepared(TOOLS / "bitext-conflicted/conflicted.csv", tmp_path / "conflicted")
