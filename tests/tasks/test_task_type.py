"""The task type: which words it has, what a classification head rules out, how rows become its."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.base_model import BaseModelFiles
from tasks.contracts import DataReport, Splits
from tasks.encoding import Encoder, Pooled
from tasks.errors import DataError, FinetuneError
from tasks.loading import load_tokenizer
from tasks.preparation import prepare
from tasks.recipe import Recipe
from tasks.recipe_file import load_recipe
from tasks.run_folder import RunFolder
from tasks.sections.task_type import SFT_ONLY
from tasks.validation import validate
from tests.preparing import read_jsonl, tiny_base, write_jsonl

WHOLE = "name: t\nmodel: {model_name_or_path: tiny}\ndataset: {path: x.jsonl}\ntask_type: SEQ_CLS\n"


def recipe(path: Path, task_type: str = "SEQ_CLS", **dataset: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "trial",
            "model": {"model_name_or_path": "tiny"},
            "task_type": task_type,
            "dataset": {"path": str(path), **dataset},
            "validation": {"min_train_rows": 1},
        }
    )


def prepared(asked: Recipe, folder: Path, base: BaseModelFiles | None = None) -> Splits:
    run = RunFolder(folder, {"device": "cpu"})
    return prepare.fn.__wrapped__(asked, base or tiny_base(), run)


def rows(count: int, labels: tuple[str, ...] = ("red", "blue", "green")) -> list[dict[str, Any]]:
    return [
        {
            "text": f"the colour of thing {number} and {number * 7}",
            "label": labels[number % len(labels)],
        }
        for number in range(count)
    ]


@pytest.mark.parametrize(
    "word", ["SEQ_CLS", "seq_cls", "sequence-classification", "text_classification"]
)
def test_the_task_is_written_in_the_words_of_peft_or_of_a_pipeline(
    word: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(WHOLE.replace("SEQ_CLS", word))
    assert load_recipe(path).recipe.task_type == "SEQ_CLS"
    path.write_text(WHOLE.replace("task_type: SEQ_CLS", f"task: {word}"))
    loaded = load_recipe(path)
    assert loaded.recipe.task_type == "SEQ_CLS"
    assert "task is read as task_type" in loaded.notes
    assert load_recipe(path, ["task=causal-lm"]).recipe.task_type == "CAUSAL_LM"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["dataset.packing=true"], "dataset.packing with task_type: SEQ_CLS: a head reads one text"),
        (["dataset.format=messages"], "dataset.format: messages with task_type: SEQ_CLS: its rows"),
        (["dataset.path=[{path: a, format: text}]"], "dataset.format: text with task_type"),
        (["dataset.assistant_only_loss=false"], "dataset.assistant_only_loss: false"),
        (["dataset.completion_only_loss=false"], "never of a token"),
        (["dataset.chat_template=chatml"], "dataset.chat_template with task_type: SEQ_CLS"),
        (["lora.variant=pissa"], "PEFT 0.21 leaves the head out when it converts"),
        (["evaluation.max_new_tokens=9"], "no text is written"),
        (["requirements.metric=exact_match"], "Write accuracy or macro_f1"),
        (["method=full", "freeze={layers: 1}"], "freeze with task_type: SEQ_CLS"),
        (["method=full", "ewc={}"], "ewc with task_type: SEQ_CLS"),
        (["replay={}"], "replay with task_type: SEQ_CLS: its rows have no label"),
        (["training.pad_to_multiple_of=8"], "training.pad_to_multiple_of with task_type"),
        (["task_type=CAUSAL_LM", "requirements.metric=macro_f1"], "Write task_type: SEQ_CLS"),
        (["lora.task_type=SEQ_CLS"], "is `task_type`, at the top of the recipe"),
        (["task_type=regression"], "REGRESSION'  is not one of the words"),
    ],
)  # fmt: skip
def test_what_cannot_go_with_the_task_is_refused_with_the_reason(
    changes: list[str], told: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(WHOLE)
    with pytest.raises(FinetuneError) as refused:
        load_recipe(path, changes)
    assert told in str(refused.value)


@pytest.mark.slow
def test_what_sfttrainer_alone_reads_is_what_the_installed_classes_say() -> None:
    from dataclasses import fields

    from transformers import TrainingArguments
    from trl import SFTConfig

    from tasks.library_settings import handed_on

    ours = {f.name for f in fields(SFTConfig)} - {f.name for f in fields(TrainingArguments)}
    assert set(SFT_ONLY) == ours & set(handed_on("training"))


def test_a_row_is_the_text_s_own_tokens_and_one_label(tmp_path: Path) -> None:
    splits = prepared(recipe(write_jsonl(tmp_path / "x.jsonl", rows(60))), tmp_path / "run")
    assert splits.row_type == "labelled"
    tokenizer = load_tokenizer(tiny_base().path)
    for split in (splits.train, splits.validation, splits.test):
        texts = [row["prompt"] for row in read_jsonl(tmp_path / "run" / split.path)]
        assert split.tokens == sum(len(tokenizer(text)["input_ids"]) for text in texts)
        assert split.loss_tokens == split.rows == len(texts)
    counted = read_jsonl(tmp_path / "run" / splits.train.path)
    assert [label.name for label in splits.labels] == ["blue", "green", "red"]
    for label in splits.labels:
        assert label.rows == sum(row["completion"] == label.name for row in counted)


def test_the_data_gate_has_nothing_against_such_rows(tmp_path: Path) -> None:
    asked = recipe(write_jsonl(tmp_path / "x.jsonl", rows(90)))
    run = RunFolder(tmp_path / "run", {"device": "cpu"})
    splits = prepared(asked, tmp_path / "run")
    report: DataReport = validate.fn.__wrapped__(asked, splits, run)
    failed = {check.id for check in report.checks if not check.passed}
    assert not failed & {"loss-tokens", "final-token", "one-start", "label-variants"}, failed
    known = {check.id for check in report.checks}
    assert known >= {"unlearned-labels", "single-labels", "label-imbalance"}
    assert report.verdict != "fail"


def test_numbers_take_the_order_and_the_names_that_the_recipe_gives(tmp_path: Path) -> None:
    numbered = [{"text": f"thing {i}", "label": i % 3} for i in range(60)]
    path = write_jsonl(tmp_path / "x.jsonl", numbered)
    named = recipe(path, label_names=["sour", "bitter", "hot"])
    labels = prepared(named, tmp_path / "a").labels
    assert [label.name for label in labels] == ["sour", "bitter", "hot"]
    mapped = recipe(path, label_names={2: "two", 10: "ten", 0: "none", 1: "one"})
    labels = prepared(mapped, tmp_path / "b").labels
    assert [label.name for label in labels] == ["none", "one", "two"]
    with pytest.raises(DataError, match="dataset.label_names"):
        prepared(recipe(path), tmp_path / "c")


def test_any_columns_can_be_text_and_label(tmp_path: Path) -> None:
    nested = [{"ticket": {"body": row["text"]}, "kind": row["label"]} for row in rows(60)]
    path = write_jsonl(tmp_path / "x.jsonl", nested)
    asked = recipe(path, columns={"text": "ticket.body", "label": "kind"})
    assert len(prepared(asked, tmp_path / "a").labels) == 3
    with pytest.raises(DataError, match="needs a text and a label that comes again"):
        prepared(recipe(path), tmp_path / "b")


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({}, "have the label 'red': there is nothing to tell apart"),
        ({"test_path": "t.jsonl"}, "1 labels stand in no training row: 'blue' (2 rows)"),
    ],
)
def test_labels_that_no_head_can_learn_are_refused(
    extra: dict[str, str], told: str, tmp_path: Path
) -> None:
    known = ("red", "green") if extra else ("red",)
    path = write_jsonl(tmp_path / "x.jsonl", rows(40, known))
    other = write_jsonl(
        tmp_path / "t.jsonl",
        [{"text": f"a {w}", "label": w} for w in ("red", "blue")]
        + [{"text": "b", "label": "blue"}],
    )
    extra = {key: str(other) for key in extra}
    with pytest.raises(DataError) as refused:
        prepared(recipe(path, **extra), tmp_path / "run")
    assert told in str(refused.value)


def test_a_cut_text_keeps_its_beginning_and_is_read_at_what_is_then_its_last_token(
    tmp_path: Path,
) -> None:
    assert Pooled.of([5, 6, 7]) == Pooled([5, 6, 7], [0, 0, 1])
    assert Pooled.of([5, 6, 7]).cut(2) == Pooled([5, 6], [0, 1])
    assert Pooled.of([5, 6]).cut(2) == Pooled([5, 6], [0, 1])
    assert Pooled.of([]) == Pooled([], [])
    long = [
        {"text": " ".join(str((i + 3) ** k) for k in range(9)), "label": ("a", "b")[i % 2]}
        for i in range(40)
    ]
    asked = recipe(write_jsonl(tmp_path / "x.jsonl", long), max_length=16, on_overlength="truncate")
    splits = prepared(asked, tmp_path / "run")
    assert splits.train.tokens == 16 * splits.train.rows
    assert splits.train.loss_tokens == splits.train.rows
    assert splits.rejected == {}


def test_without_the_task_type_labels_are_still_learned_as_answers(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "x.jsonl", rows(60))
    splits = prepared(recipe(path, "CAUSAL_LM"), tmp_path / "run")
    assert (splits.row_type, splits.labels) == ("messages", ())
    assert "task_type: SEQ_CLS" in splits.format_reason


@pytest.mark.parametrize("family", ["gpt2", "llama2", "llama3", "qwen"])
def test_ids_are_those_a_pipeline_gives_in_every_family(family: str) -> None:
    from tasks.recipe import DatasetSection
    from tests.families import family_tokenizer

    tokenizer = family_tokenizer(family)
    encoder = Encoder(tokenizer, DatasetSection(path="x"), "labelled")
    text = "the sky is blue"
    encoded = encoder.encode({"prompt": text, "completion": "sky"})
    assert (
        encoded.input_ids == tokenizer(text)["input_ids"] == encoder.encode_prompt({"prompt": text})
    )
    assert encoded.loss_mask[-1] == 1 == sum(encoded.loss_mask)


def test_the_shipped_recipe_s_data_are_made_by_its_command() -> None:
    from bench.queue_data import generate

    here = Path(__file__).parents[2] / "tasks" / "assets"
    for name, text in generate(here / "quickstart").items():
        assert (here / "queues" / name).read_text(encoding="utf-8") == text
    labels = {json.loads(line)["queue"] for line in text.splitlines()}
    assert labels == {"account", "billing", "returns", "shipping", "technical"}
