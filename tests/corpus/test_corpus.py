"""The corpus: every planted defect is caught with its line, and clean data raise no alarm."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from tasks.base_model import BaseModelFiles
from tasks.contracts import DataReport
from tasks.preparation import prepare
from tasks.profile.suites import suites_of
from tasks.recipe import ValidationSection
from tasks.run_folder import RunFolder
from tasks.validation import validate
from tests.corpus.clean import CLEAN
from tests.corpus.defects import messy
from tests.corpus.sentences import sentence
from tests.preparing import chats, pairs, read_jsonl, recipe_of, validated, write_jsonl
from tests.tiny import CHATML, build_tiny_tokenizer

#: No finding is below its threshold: each one fails its check.
STRICT: dict[str, Any] = {
    name: 0.0 for name in ValidationSection.model_fields if name.endswith("_fraction")
}
#: Checks that no data set can fail, because `prepare` refuses it first (tests/test_preparation.py)
#: or rejects the row; tests/expectations/ shows that they would.
REFUSED_BEFORE = {"validation-size", "test-size", "loss-tokens"}
#: Shown to fail in tests/tasks/test_validation.py and tests/tasks/profile/test_own_suite.py.
SHOWN_ELSEWHERE = {"method-rows", "length-drift", "label-drift", "new-labels"}
#: Checks shown to fail below, beside those of `messy`.
SHOWN_BELOW = {
    *("near-duplicates", "near-leakage", "overlap"),
    *("json-answers", "label-variants", "label-imbalance", "single-labels", "unlearned-labels"),
    *("system-messages", "final-token", "leakage", "leakage-found", "train-rows", "one-start"),
}


def failed(report: DataReport) -> dict[str, list[int]]:
    return {check.id: list(check.rows) for check in report.checks if not check.passed}


@pytest.mark.parametrize("seed", [1, 2])
def test_every_planted_defect_is_caught_with_its_line(tmp_path: Path, seed: int) -> None:
    rows, lines = messy(seed)
    path = write_jsonl(tmp_path / "d.jsonl", rows)
    report = validated(path, tmp_path / "run", STRICT, max_length=256)
    assert failed(report) == lines
    assert report.verdict == "fail"
    assert report.rows_in == len(rows) == report.rows_out + sum(report.rejected.values())


@pytest.mark.parametrize("kind", CLEAN)
def test_clean_data_raise_no_alarm(tmp_path: Path, kind: str) -> None:
    rows = CLEAN[kind](Random(3))
    report = validated(write_jsonl(tmp_path / "d.jsonl", rows), tmp_path / "run", {})
    assert {check.id: check.rows for check in report.checks if check.rows} == {}
    assert failed(report) == {}
    assert report.verdict == "pass"


def test_every_check_is_shown_to_fail_in_this_corpus() -> None:
    limits = ValidationSection(reference="x")
    every = {e.meta["id"] for s in suites_of(limits, (), ()) for e in s.expectations}
    assert set(messy(1)[1]) | SHOWN_BELOW | REFUSED_BEFORE == every - SHOWN_ELSEWHERE


def test_broken_json_is_told_where_most_answers_are_json(tmp_path: Path) -> None:
    rows = CLEAN["json_answers"](Random(3))
    rows[4]["completion"] = rows[4]["completion"][:-1]
    rows[9]["completion"] = sentence(Random(4))
    report = validated(write_jsonl(tmp_path / "d.jsonl", rows), tmp_path / "run", {})
    assert failed(report) == {"json-answers": [5, 10]}


def test_wrong_labels_are_told(tmp_path: Path) -> None:
    rows = CLEAN["labels"](Random(3))
    random = Random(5)
    rows += [{"prompt": sentence(random), "completion": "billing"} for _ in range(600)]
    rows[0]["completion"] = "Account_Access "
    rows[1]["completion"] = "biling"
    rare = [{"prompt": sentence(random), "completion": "refund"} for _ in range(3)]
    judged = write_jsonl(
        tmp_path / "test.jsonl",
        [
            {"prompt": sentence(random), "completion": name}
            for name in ("billing", "fraud", "fraud")
        ],
    )
    path = write_jsonl(tmp_path / "d.jsonl", [*rows, *rare])
    report = validated(path, tmp_path / "run", {}, test_path=str(judged), validation_size=0.02)
    found = failed(report)
    assert found["label-variants"] == [1]
    assert found["single-labels"] == [2]
    assert 2 in found["unlearned-labels"]
    assert set(found["label-imbalance"]) >= {len(rows) + 1, len(rows) + 2, len(rows) + 3}
    assert set(found) == {
        *("label-variants", "single-labels", "unlearned-labels", "label-imbalance")
    }


def test_a_missing_system_message_is_told(tmp_path: Path) -> None:
    rows = CLEAN["chat"](Random(3))
    del rows[6]["messages"][0]
    path = write_jsonl(tmp_path / "d.jsonl", rows)
    report = validated(path, tmp_path / "run", {"max_other_system_fraction": 0})
    assert failed(report) == {"system-messages": [7]}
    assert report.verdict == "pass"  # for information


def test_a_turn_that_never_ends_is_told(tmp_path: Path) -> None:
    """Pad or end token outside the loss: the model does not stop (trl#1623, unsloth#416)."""
    template = tmp_path / "t.jinja"
    template.write_text(
        "{% for m in messages %}{{ m['role'] }}: {% generation %}{{ m['content'] }}"
        "{% endgeneration %}{{ eos_token }}{% endfor %}"
    )
    path = write_jsonl(tmp_path / "d.jsonl", chats(60))
    report = validated(path, tmp_path / "run", {}, chat_template=str(template))
    assert failed(report)["final-token"] == list(range(1, 61))


def test_two_starts_are_told(tmp_path: Path) -> None:
    """Template and tokenizer each add a BOS (huggingface/alignment-handbook#127)."""
    tokenizer = build_tiny_tokenizer()
    tokenizer.add_special_tokens({"bos_token": "<s>"})
    tokenizer.chat_template = "{{ bos_token }}{{ bos_token }}" + CHATML
    tokenizer.save_pretrained(tmp_path / "base")
    (tmp_path / "base" / "config.json").write_text('{"max_position_embeddings": 256}')
    base = BaseModelFiles(name="b", path=str(tmp_path / "base"), revision=None, sha256="b")
    recipe = recipe_of(write_jsonl(tmp_path / "d.jsonl", chats(60)), {}, {})
    run = RunFolder(tmp_path / "run", {"device": "cpu"})
    splits = prepare.fn.__wrapped__(recipe, base, run)
    report = validate.fn.__wrapped__(recipe, splits, run)
    assert failed(report) == {"one-start": list(range(1, 61))}


def test_a_prompt_that_fills_the_row_is_told(tmp_path: Path) -> None:
    """Truncated to nothing that is learned: loss 0, gradient NaN (trl#6025)."""
    rows = [*pairs(60), {"prompt": "why " * 60, "completion": "because"}]
    path = write_jsonl(tmp_path / "d.jsonl", rows)
    report = validated(path, tmp_path / "run", {}, max_length=48, on_overlength="truncate")
    assert report.rejected == {"no_loss_tokens": 1}
    (row,) = read_jsonl(tmp_path / "run/prepare/rejected.jsonl")
    assert (row["line"], row["reasons"]) == (61, ["no_loss_tokens"])


def test_training_rows_in_the_test_set_are_told(tmp_path: Path) -> None:
    """The validation text stood in train (openai/parameter-golf#2127, OpenRLHF#1089)."""
    judged = write_jsonl(tmp_path / "test.jsonl", pairs(50, start=500))
    path = write_jsonl(tmp_path / "d.jsonl", [*pairs(100), *pairs(3, start=510)])
    report = validated(path, tmp_path / "run", {}, test_path=str(judged))
    found = failed(report)
    assert found["leakage"] == found["leakage-found"] == [101, 102, 103]
    assert report.verdict == "fail"


def test_reworded_rows_and_passages_are_told(tmp_path: Path) -> None:
    """Near-copies within train and into test, and a test row that holds a training text."""
    random = Random(6)
    rows = [{"text": sentence(random, 30)} for _ in range(60)]
    judged = [{"text": sentence(random, 30)} for _ in range(20)]
    reworded = rows[7]["text"].split()
    reworded[4] = "walnut"
    near_test = judged[5]["text"].split()
    near_test[9] = "walnut"
    passage = " ".join(judged[8]["text"].split()[:20])
    rows += [{"text": " ".join(words)} for words in (reworded, near_test)] + [{"text": passage}]
    path = write_jsonl(tmp_path / "d.jsonl", rows)
    report = validated(
        path,
        tmp_path / "run",
        {"max_near_duplicate_fraction": 0},
        test_path=str(write_jsonl(tmp_path / "test.jsonl", judged)),
        validation_size=0.05,
        max_length=256,
    )
    found = failed(report)
    assert len(found["near-duplicates"]) == 1
    assert set(found["near-duplicates"]) < {8, 61}
    assert found["near-leakage"] == [62]
    assert found["overlap"] == [63]


def test_too_few_rows_are_told(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", CLEAN["alpaca"](Random(3)))
    report = validated(path, tmp_path / "run", {"min_train_rows": None})
    assert set(failed(report)) == {"train-rows", "method-rows"}
