"""The training stage: what it tells the child, what it refuses, what it remembers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.base_model import resolve
from tasks.contracts import Checkpoint, Splits
from tasks.errors import DataError
from tasks.ledger import entries, ledger_of
from tasks.recipe import Recipe
from tasks.run_folder import RunFolder
from tasks.training import train
from tests.records import chat_rows, make_recipe, make_recommendation, make_splits
from tests.tiny import build_tiny_model

ROWS = {"train": chat_rows(40), "validation": chat_rows(8), "test": chat_rows(4)}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("base"))


class Stage:
    """One run folder with prepared splits, and what was said while training in it."""

    def __init__(self, home: Path, base: Path, **training: Any) -> None:
        self.said: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.recipe: Recipe = make_recipe(
            base, home / "raw.jsonl",
            dataset={"test_path": str(home / "own_test.jsonl")},
            training={"logging_steps": 2} | training,
        )  # fmt: skip
        self.folder = RunFolder(home / "run", {}, say=self.said.append, progress=self.events.append)
        self.splits: Splits = make_splits(self.folder.path, self.recipe, ROWS)

    def train(self, method: str = "lora") -> Checkpoint:
        return train.fn.__wrapped__(
            self.recipe, resolve(self.recipe.model), make_recommendation(method), self.splits,
            self.folder,
        )  # fmt: skip


@pytest.mark.parametrize("name", ["train", "validation", "raw.jsonl"])
@pytest.mark.parametrize("how", ["changed", "is gone"])
def test_data_that_changed_since_validation_is_not_trained_on(
    base: Path, tmp_path: Path, name: str, how: str
) -> None:
    stage = Stage(tmp_path, base)
    prepared = stage.folder.path / "prepare" / f"{name}.jsonl"
    path = prepared if prepared.exists() else tmp_path / name
    path.unlink() if how == "is gone" else path.write_text(path.read_text() + "\n")
    with pytest.raises(DataError, match=f"{path.name}: {how} since it was validated"):
        stage.train()
    assert not (stage.folder.stage("train") / "spec.json").exists()


@pytest.mark.slow
def test_a_real_child_trains_reports_and_is_remembered(base: Path, tmp_path: Path) -> None:
    stage = Stage(tmp_path, base)
    first = stage.train()
    home = stage.folder.stage("train")
    assert (stage.folder.path / first.path / "adapter_model.safetensors").is_file()
    assert (stage.folder.path / first.history_path).is_file()
    assert first.base_sha256 == resolve(stage.recipe.model).sha256
    assert not (home / "checkpoints").exists()
    assert stage.events[-1]["done"] == stage.events[-1]["total"] == 10
    assert any("rows x 2 epochs" in line for line in stage.said)
    manifest = json.loads((home / "manifest.json").read_text())
    assert "adapter/adapter_model.safetensors" in manifest["files"]
    assert "test" not in {
        Path(v).stem for v in _strings(json.loads((home / "spec.json").read_text()))
    }

    stage.said.clear()
    assert stage.train() == first
    assert stage.said == [f"train: nothing changed, answered from {home}"]
    (stage.folder.path / first.path / "adapter_model.safetensors").write_bytes(b"")
    again = stage.train()
    assert any("was altered" in line for line in stage.said)
    assert again.train_loss == first.train_loss

    told = [e for e in entries(ledger_of(stage.folder.path)) if e.run == f"{tmp_path.name}/run"]
    assert [e.kind for e in told] == ["reserved", "settled"] * 2, "an answer costs nothing"
    assert told[1].measured is not None
    assert told[1].measured.memory_bytes == (first.peak_memory_bytes, first.peak_memory_bytes)
    assert told[1].measured.seconds is not None
    assert told[1].measured.seconds[0] >= first.wall_seconds


@pytest.mark.slow
def test_two_processes_train_the_same_run(base: Path, tmp_path: Path) -> None:
    """Two processes with half the batch each, and one with all of it: the same steps and losses."""
    one = Stage(tmp_path / "one", base, load_best_model_at_end=False)
    two = Stage(tmp_path / "two", base, load_best_model_at_end=False, num_processes=2)
    changes = {"gradient_accumulation_steps": 1, "per_device_train_batch_size": 4}
    results = []
    for stage, size in ((one, 8), (two, 4)):
        recommended = make_recommendation(
            "full", **(changes | {"per_device_train_batch_size": size})
        )
        results.append(
            train.fn.__wrapped__(
                stage.recipe, resolve(stage.recipe.model), recommended, stage.splits, stage.folder
            )
        )
    assert any("x 2 process" in line for line in two.said)
    assert len([line for line in two.said if "rows x" in line]) == 1, "each process spoke"
    assert results[0].steps == results[1].steps == 10
    assert results[1].validation_loss == pytest.approx(results[0].validation_loss, rel=1e-3)


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []
