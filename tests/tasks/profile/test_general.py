"""General rows: drawn by seed, as many as asked for, never a prompt that judges, counted everywhere."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from bench.base_model import general as generator
from flows.runs import open_run
from tasks.contracts import Splits
from tasks.encoding import Encoder
from tasks.errors import DataError
from tasks.estimates.architecture import from_config
from tasks.estimates.facts import facts_for
from tasks.estimates.plan import make_plan
from tasks.loading import load_tokenizer
from tasks.preparation import prepare
from tasks.profile.keys import prompt_key
from tasks.recipe import Recipe, ReplaySection
from tasks.run_folder import RunFolder
from tasks.trainer.spec import recorded
from tests.preparing import chats, pairs, read_jsonl, tiny_base, write_jsonl

SHIPPED = Path(__file__).parents[3] / "tasks" / "assets" / "general"


def recipe(data: Path, **sections: Any) -> Recipe:
    whole = {"name": "r", "model": {"model_name_or_path": "tiny"}, "method": "full"}
    return Recipe.model_validate(whole | {"dataset": {"path": str(data)}} | sections)


def prepared(asked: Recipe, folder: Path, *, template: bool = True) -> Splits:
    run = RunFolder(folder, {"device": "cpu"})
    return prepare.fn.__wrapped__(asked, tiny_base(template=template), run)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "data.jsonl", chats(100))


def test_the_wanted_share_is_drawn_by_seed_whatever_the_order(tmp_path: Path, data: Path) -> None:
    rows = chats(60, start=500)
    for name, listed in (("there", rows), ("back", rows[::-1])):
        write_jsonl(tmp_path / f"{name}.jsonl", listed)
    drawn = {}
    for name, seed in (("there", 1), ("back", 1), ("there", 2)):
        section = {"path": str(tmp_path / f"{name}.jsonl"), "fraction": 0.2}
        asked = recipe(data, replay=section, training={"seed": seed})
        folder = tmp_path / f"{name}{seed}"
        splits = prepared(asked, folder)
        assert splits.replay is not None
        split = splits.replay.split
        assert split.rows == round(splits.train.rows / 4)
        found = read_jsonl(folder / split.path)
        assert len(found) == split.rows
        drawn[name, seed] = [row["messages"] for row in found]
        encoder = Encoder(load_tokenizer(tiny_base().path), asked.dataset, "messages")
        encoded = [encoder.encode(row) for row in found]
        assert split.tokens == sum(len(each.input_ids) for each in encoded)
        assert split.loss_tokens == sum(sum(each.loss_mask) for each in encoded)
    assert drawn["there", 1] == drawn["back", 1]
    assert drawn["there", 1] != drawn["there", 2]


def test_no_prompt_that_judges_is_replayed(tmp_path: Path, data: Path) -> None:
    """The general set is the data set itself: only its training rows can be drawn."""
    asked = recipe(data, replay={"path": str(data), "fraction": 0.4})
    splits = prepared(asked, tmp_path / "run")
    assert splits.replay is not None
    judged = [
        row
        for split in (splits.validation, splits.test)
        for row in read_jsonl(tmp_path / "run" / split.path)
    ]
    assert splits.replay.left_out == {"in a judging split": len(judged)}
    replayed = {prompt_key(row) for row in read_jsonl(tmp_path / "run" / splits.replay.split.path)}
    assert len(replayed) == round(splits.train.rows * 0.4 / 0.6)
    assert not replayed & {prompt_key(row) for row in judged}
    plain = prepared(recipe(data), tmp_path / "plain")
    assert plain == splits.model_copy(update={"replay": None})


def test_what_is_no_example_is_left_out_and_too_few_is_told(tmp_path: Path, data: Path) -> None:
    bad: list[Any] = ["{", {"messages": []}, chats(1, start=900)[0], chats(1, start=900)[0]]
    path = write_jsonl(tmp_path / "few.jsonl", [*chats(5, start=700), *bad])
    asked = recipe(data, ewc={"reference": str(path), "samples": 6})
    found = prepared(asked, tmp_path / "run").reference
    assert found is not None
    assert found.available_rows == 6
    assert found.left_out == {"duplicate": 1, "no example": 2}
    assert found.sources[0].rows == 9
    with pytest.raises(DataError) as told:
        prepared(recipe(data, ewc={"reference": str(path), "samples": 7}), tmp_path / "more")
    assert "ewc.reference: 7 rows are wanted" in str(told.value)
    assert "has 6 that can be used (left out: 1 duplicate, 2 no example)" in str(told.value)
    assert "Lower ewc.samples" in str(told.value)


def test_rows_of_another_shape_can_be_replayed(tmp_path: Path, data: Path) -> None:
    path = write_jsonl(tmp_path / "pairs.jsonl", pairs(30, start=300))
    splits = prepared(recipe(data, replay={"path": str(path)}), tmp_path / "run")
    assert splits.replay is not None
    assert (splits.row_type, splits.replay.row_type) == ("messages", "prompt_completion")


def test_a_set_that_cannot_be_read_names_its_key(tmp_path: Path, data: Path) -> None:
    with pytest.raises(DataError, match=r"replay.path: nowhere.jsonl: no such file"):
        prepared(recipe(data, replay={"path": "nowhere.jsonl"}), tmp_path / "run")
    text = write_jsonl(tmp_path / "text.jsonl", [{"text": f"thing {i} is red"} for i in range(90)])
    with pytest.raises(DataError, match=r"replay.path: .*chat template"):
        prepared(recipe(text, replay={}), tmp_path / "none", template=False)


def test_changed_general_rows_are_another_run(tmp_path: Path, data: Path) -> None:
    path = write_jsonl(tmp_path / "general.jsonl", chats(60, start=500))
    asked = recipe(data, replay={"path": str(path)})
    splits = prepared(asked, tmp_path / "run")
    assert {tmp_path / "run" / "prepare" / "replay.jsonl", path} <= recorded(
        splits, tmp_path / "run"
    ).keys()
    text = f"name: r\nmodel: {{model_name_or_path: tasks/assets/base}}\ndataset: {{path: {data}}}\n"
    (tmp_path / "r.yaml").write_text(f"{text}replay: {{path: {path}}}\n")
    first = open_run(tmp_path / "r.yaml").folder.path
    assert open_run(tmp_path / "r.yaml").folder.path == first
    write_jsonl(path, chats(60, start=501))
    assert open_run(tmp_path / "r.yaml").folder.path != first


def test_replayed_rows_count_in_steps_and_tokens_and_not_in_the_rules(
    tmp_path: Path, data: Path
) -> None:
    base = json.loads((SHIPPED.parent / "base" / "config.json").read_text())
    model = from_config(base, "base")
    more = write_jsonl(tmp_path / "general.jsonl", chats(100, start=500))
    asked = recipe(data, replay={"path": str(more), "fraction": 0.5}, budget={"gpu": "cpu"})
    splits = prepared(asked, tmp_path / "run")
    assert splits.replay is not None
    facts = facts_for(asked, model, splits)
    assert facts.usable_rows == splits.train.rows
    plan = make_plan(facts, "full", 1)
    rows = 2 * splits.train.rows
    batch = plan.hyperparameters.per_device_train_batch_size
    batch *= plan.hyperparameters.gradient_accumulation_steps
    assert plan.hyperparameters.steps == 3 * -(-rows // batch)
    assert plan.cost.train_tokens == 3 * (splits.train.tokens + splits.replay.split.tokens)
    referenced = facts.model_copy(update={"reference_tokens": 10**6, "ewc": True})
    assert make_plan(referenced, "full", 1).cost.low_seconds > plan.cost.low_seconds
    assert make_plan(referenced, "lora", 8).cost == make_plan(facts, "lora", 8).cost


@pytest.mark.parametrize(("fraction", "rows", "beside"), [(0.1, 90, 10), (0.5, 7, 7), (0.01, 5, 1)])
def test_the_fraction_is_of_all_trained_rows(fraction: float, rows: int, beside: int) -> None:
    assert ReplaySection(fraction=fraction).rows_beside(rows) == beside


def test_the_shipped_set_is_what_its_command_writes() -> None:
    written = generator.generate()
    for line in (SHIPPED / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        text = (SHIPPED / name).read_text(encoding="utf-8")
        assert text == written[name]
        assert hashlib.sha256(text.encode()).hexdigest() == digest
    rows, held = (
        {prompt_key(row) for row in read_jsonl(SHIPPED / name)}
        for name in ("rows.jsonl", "held_out.jsonl")
    )
    assert (len(rows), len(held)) == (500, 200)
    assert not rows & held
    quickstart = SHIPPED.parent / "quickstart" / "test.jsonl"
    assert not rows & {prompt_key(row) for row in read_jsonl(quickstart)}
