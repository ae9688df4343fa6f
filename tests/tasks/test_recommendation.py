"""The recommend stage: facts from the recipe, the splits and the config; remembered by its inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.base_model import BaseModelFiles
from tasks.contracts import DataReport, Recommendation, Split, Splits
from tasks.errors import ModelError, RecipeError
from tasks.recipe import Recipe
from tasks.recommendation import recommend
from tasks.run_folder import RunFolder

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 300,
}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def folder(tmp_path: Path, said: list[str]) -> RunFolder:
    return RunFolder(tmp_path / "run", {"device": "cpu"}, said.append)


@pytest.fixture
def base(tmp_path: Path) -> BaseModelFiles:
    place = tmp_path / "base"
    place.mkdir()
    (place / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    return BaseModelFiles(name="tiny", path=str(place), revision=None, sha256="0" * 64)


def splits(rows: int = 1500) -> Splits:
    split = Split(
        path="prepare/x.jsonl", rows=rows, sha256="1", tokens=100 * rows, loss_tokens=30 * rows
    )
    return Splits(
        format="messages",
        format_reason="columns",
        row_type="messages",
        sources=(),
        rows_in=rows,
        train=split,
        validation=split,
        test=split,
        rejected={},
        rejected_path="prepare/rejected.jsonl",
        profile_path="prepare/profile.parquet",
        max_length=128,
        max_length_reason="longest row",
        longest_answer_tokens=30,
        token_percentiles={"50": 100},
        checkable=True,
        template="x",
        template_sha256="2",
    )


REPORT = DataReport(
    verdict="pass",
    rows_in=1500,
    rows_out=1500,
    rejected={},
    splits={"train": 1500},
    checks=(),
    token_percentiles={"50": 100},
    loss_token_fraction=0.3,
    report_path="validate/report.html",
)


def recipe(**sections: object) -> Recipe:
    data = {"name": "x", "model": {"model_name_or_path": "base"}, "dataset": {"path": "rows.jsonl"}}
    return Recipe.model_validate({**data, "budget": {"gpu": "cpu"}, **sections})


def run(
    wanted: Recipe, base: BaseModelFiles, folder: RunFolder, rows: int = 1500
) -> Recommendation:
    found = recommend.fn(wanted, base, splits(rows), REPORT, folder)
    assert isinstance(found, Recommendation), found
    return found


def test_a_tiny_model_on_a_cpu_gets_lora_and_the_page_is_written(
    base: BaseModelFiles, folder: RunFolder
) -> None:
    found = run(recipe(), base, folder)
    assert (found.method, found.device, found.asked_for) == ("lora", "cpu", "auto")
    assert found.hyperparameters is not None
    assert found.hyperparameters.steps == 282
    assert found.cost is not None
    assert found.cost.train_tokens == 450_000
    page = (folder.path / "recommend" / "recommendation.md").read_text(encoding="utf-8")
    assert "# Recommendation: LoRA, r 16" in page


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_each_method_fits_a_tiny_model_on_a_cpu(
    method: str, base: BaseModelFiles, folder: RunFolder
) -> None:
    found = run(recipe(method=method), base, folder)
    assert found.method == method
    assert found.memory is not None
    assert found.memory.fits
    assert found.hyperparameters is not None
    assert found.hyperparameters.dtype == "float32"


def test_a_repeat_is_answered_and_a_changed_input_is_not(
    base: BaseModelFiles, folder: RunFolder, said: list[str]
) -> None:
    first = run(recipe(), base, folder)
    assert run(recipe(), base, folder) == first
    assert "answered from" in said[-1]
    assert run(recipe(publish={"registry": "elsewhere"}), base, folder) == first
    assert "answered from" in said[-1]
    other = run(recipe(lora={"r": 4}), base, folder)
    assert "runs again" in said[-1]
    assert other.hyperparameters is not None
    assert other.hyperparameters.r == 4


def test_few_rows_are_for_prompting_unless_the_recipe_insists(
    base: BaseModelFiles, folder: RunFolder
) -> None:
    assert run(recipe(), base, folder, rows=100).method == "prompting"
    for validation in ({"allow_few_rows": True}, {"min_train_rows": 100}):
        assert run(recipe(validation=validation), base, folder, rows=100).method == "lora"


def test_nothing_fits_is_a_record_and_is_said(
    base: BaseModelFiles, folder: RunFolder, said: list[str]
) -> None:
    found = run(recipe(budget={"gpu": "mini", "vram_gb": 0.5}), base, folder)
    assert found.method == "nothing_fits"
    assert found.hyperparameters is None
    assert "nothing fits" in said[-1]


@pytest.mark.parametrize(
    ("sections", "error"),
    [
        ({"budget": {"gpu": "rtx-409"}}, RecipeError),
        ({"training": {"global_batch_size": 10, "per_device_train_batch_size": 4}}, RecipeError),
        ({"lora": {"target_modules": ["query"]}}, RecipeError),
    ],
)
def test_a_wrong_recipe_is_told(
    sections: dict, error: type[Exception], base: BaseModelFiles, folder: RunFolder
) -> None:
    failed: Any = recommend.fn(recipe(**sections), base, splits(), REPORT, folder)
    assert isinstance(failed.data, error)


def test_an_unknown_architecture_is_told(base: BaseModelFiles, folder: RunFolder) -> None:
    changed = CONFIG | {"model_type": "mamba"}
    (Path(base.path) / "config.json").write_text(json.dumps(changed), encoding="utf-8")
    failed: Any = recommend.fn(recipe(), base, splits(), REPORT, folder)
    assert isinstance(failed.data, ModelError)
