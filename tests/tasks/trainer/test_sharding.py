"""FSDP2 in two real processes over gloo: really sharded, the same result, whole files at the end.

Memory is not measured here: two processes of one machine share it. What a card holds is in the
guard's count of parameters, and in the estimate.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tasks.trainer import checkpoints
from tasks.trainer.spec import TrainSpec
from tests.records import chat_rows, make_recipe
from tests.tasks.trainer.forked import Ended, make_spec, run
from tests.tasks.trainer.ranks import run_ranks

pytestmark = pytest.mark.slow

ROWS = {"train": chat_rows(32), "validation": chat_rows(8)}
CASES: dict[str, dict[str, Any]] = {
    "full": {"gradient_checkpointing": True, "gradient_accumulation_steps": 2},
    "lora": {},
    "qlora": {},
}


@pytest.fixture(scope="module")
def tied(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with its embedding as its head, as most small models have it."""
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("tied") / "model"
    shutil.copytree(base, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def a_spec(folder: Path, base: Path, case: str, processes: int, **training: Any) -> TrainSpec:
    """Return a run with steps of 8 rows, in one process or shared out."""
    changes = CASES[case]
    parts = processes * changes.get("gradient_accumulation_steps", 1)
    changes = changes | {"per_device_train_batch_size": 8 // parts}
    told = {"logging_steps": 1, "num_processes": processes, "save_steps": 3} | training
    folder.mkdir(parents=True, exist_ok=True)
    plain = {"lora_dropout": 0.0}  # each process draws its own masks
    recipe = make_recipe(base, folder / "raw.jsonl", training=told, lora=plain)
    profile = "fsdp2" if processes > 1 else "multi_gpu"
    return make_spec(folder, recipe, ROWS, case, **changes, accelerate_config=profile)


def weights(spec: TrainSpec) -> dict[str, Any]:
    from safetensors.torch import load_file

    (path,) = (spec.home / ("model" if spec.method == "full" else "adapter")).glob("*.safetensors")
    return load_file(path)


def losses(spec: TrainSpec) -> list[float]:
    lines = (spec.home / "metrics.jsonl").read_text().splitlines()
    return [entry["loss"] for entry in map(json.loads, lines) if "loss" in entry]


def difference(one: TrainSpec, two: TrainSpec) -> float:
    """Return the largest difference of any weight; both have the same ones."""
    ours, theirs = weights(one), weights(two)
    assert set(ours) == set(theirs)
    return max(float((ours[name].float() - theirs[name].float()).abs().max()) for name in ours)


def well(ranks: list[Ended]) -> None:
    assert [rank.code for rank in ranks] == [0] * len(ranks), "\n".join(r.log for r in ranks)


@pytest.mark.parametrize("case", ["full", pytest.param("qlora", marks=pytest.mark.stress)])
def test_two_sharded_processes_train_what_one_trains(
    tied: Path, base: Path, tmp_path: Path, case: str
) -> None:
    model = tied if case == "full" else base
    one = a_spec(tmp_path / "one", model, case, 1, load_best_model_at_end=False)
    two = a_spec(tmp_path / "two", model, case, 2, load_best_model_at_end=False)
    alone = run(one)
    assert alone.code == 0, alone.log
    ranks = run_ranks(two)
    well(ranks)
    assert ranks[0].said("fsdp2: each of 2 processes holds 50% of the parameters")
    assert not ranks[1].events, "the second process spoke"
    assert losses(two) == pytest.approx(losses(one), abs=1e-4)
    assert len(losses(two)) == 8
    assert difference(one, two) < 5e-4


@pytest.mark.stress
def test_a_killed_sharded_run_goes_on_to_what_one_process_trains(
    base: Path, tmp_path: Path
) -> None:
    one = a_spec(tmp_path / "one", base, "lora", 1)
    cut = a_spec(tmp_path / "cut", base, "lora", 2)
    alone = run(one)
    assert alone.code == 0, alone.log
    killed = run_ranks(cut, lambda: _die_at(6))
    assert -signal.SIGKILL in {rank.code for rank in killed}
    at = checkpoints.newest_complete(cut.checkpoints, lambda _: None)
    assert at is not None
    assert at.name == "checkpoint-6"
    ranks = run_ranks(cut)
    well(ranks)
    assert ranks[0].said("goes on from step 6, its newest whole checkpoint")
    assert losses(cut) == pytest.approx(losses(one), abs=1e-4)
    assert len(losses(cut)) == 8
    assert difference(one, cut) < 5e-4


def test_what_is_plain_ddp_does_not_train(base: Path, tmp_path: Path) -> None:
    """Left alone, accelerate drops the plugin on CPUs, and nobody says so."""
    spec = a_spec(tmp_path, base, "full", 2)
    ranks = run_ranks(spec, _as_accelerate_would)
    assert {rank.code for rank in ranks} != {0}
    words = "this process holds 131,392 of the 131,392 parameters: the model is not sharded"
    assert any(rank.said(words) for rank in ranks)
    assert not (spec.home / "result.json").exists()


def _die_at(step: int) -> None:
    from tasks.trainer.progress import Watch

    begin = Watch.on_step_begin

    def dies(self: Watch, args: Any, state: Any, control: Any, **event: Any) -> None:
        if state.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        begin(self, args, state, control, **event)

    Watch.on_step_begin = dies  # ty: ignore[invalid-assignment]


def _as_accelerate_would() -> None:
    from tasks.trainer import sharding

    sharding.shard_on_cpu = lambda _trainer: None
