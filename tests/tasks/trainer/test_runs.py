"""Runs: each method learns, and a killed run ends bitwise where an unbroken one does."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tasks.contracts import Checkpoint
from tasks.trainer.metrics import MEASURED
from tasks.trainer.spec import TrainSpec
from tests.records import chat_rows, make_recipe
from tests.tasks.trainer.forked import Ended, make_spec, run, weights_sha256

pytestmark = pytest.mark.slow

METHODS = ("full", "lora", "qlora")
#: The order of rows has to survive a kill in both ways.
ORDER = {"full": "random", "lora": "group_by_length", "qlora": "random"}
ROWS = {"train": chat_rows(40), "validation": chat_rows(12)}


def a_spec(
    folder: Path, base: Path, method: str, changes: Any = None, **training: Any
) -> TrainSpec:
    folder.mkdir(parents=True, exist_ok=True)
    training = {"logging_steps": 1, "save_steps": 3, "seed": 3} | training
    training.setdefault("train_sampling_strategy", ORDER[method])
    recipe = make_recipe(base, folder / "raw.jsonl", training=training)
    return make_spec(folder, recipe, ROWS, method, **(changes or {}))


def metrics(spec: TrainSpec) -> list[dict[str, float]]:
    return [json.loads(line) for line in (spec.home / "metrics.jsonl").read_text().splitlines()]


def history(spec: TrainSpec) -> list[dict[str, float]]:
    """Return what is the same in every equal run."""
    return [{k: v for k, v in e.items() if k not in MEASURED} for e in metrics(spec)]


def result(spec: TrainSpec) -> Checkpoint:
    return Checkpoint.model_validate_json((spec.home / "result.json").read_text())


def dies_after(step: int, sign: signal.Signals = signal.SIGKILL) -> Any:
    """Return a sabotage: the child gets a signal at the end of a step."""

    def sabotage() -> None:
        from tasks.trainer.progress import Watch

        whole = Watch.on_step_end

        def on_step_end(self: Watch, args: Any, state: Any, control: Any, **event: Any) -> None:
            if state.global_step == step:
                os.kill(os.getpid(), sign)
            whole(self, args, state, control, **event)

        Watch.on_step_end = on_step_end  # ty: ignore[invalid-assignment]

    return sabotage


@pytest.fixture(scope="module", params=METHODS)
def unbroken(
    request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainSpec, Ended]:
    spec = a_spec(tmp_path_factory.mktemp(request.param), base, request.param)
    return spec, run(spec)


def again(unbroken: tuple[TrainSpec, Ended], folder: Path) -> TrainSpec:
    """Return the same run in another folder."""
    spec, _ = unbroken
    return spec.model_copy(update={"folder": str(folder / "train")})


def test_each_method_learns_and_leaves_a_whole_result(unbroken: tuple[TrainSpec, Ended]) -> None:
    spec, ended = unbroken
    assert ended.code == 0, ended.log
    record = result(spec)
    losses = [entry["loss"] for entry in history(spec) if "loss" in entry]
    assert len(losses) == record.steps == 10
    assert losses[-1] < losses[0] - 0.4
    assert record.train_loss == pytest.approx(sum(losses) / len(losses))
    assert record.validation_loss == min(e["eval_loss"] for e in history(spec) if "eval_loss" in e)
    assert record.best_step in {5, 10}
    assert record.tokens_per_second > 0
    assert record.wall_seconds > 0
    assert record.peak_memory_bytes > 2**27
    assert record.resumed_from_step is None
    assert (spec.home / record.path.split("/")[1]).is_dir()


def test_the_arithmetic_is_told_before_and_the_measures_after(
    unbroken: tuple[TrainSpec, Ended],
) -> None:
    _, ended = unbroken
    assert ended.said("40 rows x 2 epochs, 8 a step -> 10 steps")
    assert ended.said("parameters are trained")
    assert ended.said("memory: measured")
    assert ended.said("tokens per second")
    progress = [event for event in ended.events if event["event"] == "progress"]
    assert progress[-1]["done"] == progress[-1]["total"] == 10
    for word in ("loss", "lr", "tok/s", "0 s left", "peak"):
        assert word in progress[-1]["text"]
    assert "it/s" not in ended.log, "a tqdm bar"


def test_the_adapter_names_its_base_portably(unbroken: tuple[TrainSpec, Ended]) -> None:
    spec, _ = unbroken
    if spec.method == "full":
        assert (spec.home / "model" / "config.json").is_file()
        return
    config = json.loads((spec.home / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "owner/tiny"
    assert str(spec.base_path) not in json.dumps(config)


def test_what_is_measured_is_a_file_and_pictures(unbroken: tuple[TrainSpec, Ended]) -> None:
    spec, _ = unbroken
    assert len(metrics(spec)) == 12, "ten steps and two evaluations"
    for entry in metrics(spec):
        assert entry["memory_bytes"] > 2**27
        assert entry["wall_seconds"] > 0
        assert entry["tokens_per_second"] >= 0
    for name in ("loss", "learning_rate", "memory"):
        picture = ElementTree.parse(spec.home / f"{name}.svg").getroot()
        assert picture.tag.endswith("svg")
        assert len(list(picture.iter("{http://www.w3.org/2000/svg}circle"))) >= 10
    assert result(spec).history_path == "train/metrics.jsonl"


def test_tensorboard_gets_the_curves_and_they_outlive_the_checkpoints(
    base: Path, tmp_path: Path
) -> None:
    pytest.importorskip(
        "tensorboard", reason="report_to is passed through; tensorboard is optional"
    )
    spec = a_spec(tmp_path, base, "lora", report_to="tensorboard")
    ended = run(spec)
    assert ended.code == 0, ended.log
    (events,) = (spec.home / "tensorboard").rglob("events.out.tfevents.*")
    assert b"train/loss" in events.read_bytes()
    assert b"eval/loss" in events.read_bytes()


@pytest.mark.parametrize("step", [4, 6, 10])
def test_a_killed_run_ends_bitwise_like_an_unbroken_one(
    unbroken: tuple[TrainSpec, Ended], tmp_path: Path, step: int
) -> None:
    spec = again(unbroken, tmp_path)
    assert run(spec, dies_after(step)).code == -signal.SIGKILL
    assert len(metrics(spec)) >= step - 1, "written as it happens"
    assert not (spec.home / "result.json").exists()
    ended = run(spec)
    assert ended.code == 0, ended.log
    assert weights_sha256(spec) == weights_sha256(unbroken[0])
    assert history(spec) == history(unbroken[0])
    saved = [done for done in (3, 5, 6, 9, 10) if done < step]
    assert result(spec).resumed_from_step == saved[-1]
    assert ended.said(f"goes on from step {saved[-1]}")


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_terminated_run_finishes_its_step_saves_and_goes_on(
    unbroken: tuple[TrainSpec, Ended], tmp_path: Path, sign: signal.Signals
) -> None:
    spec = again(unbroken, tmp_path)
    ended = run(spec, dies_after(7, sign))
    assert ended.code == 70
    assert ended.error["kind"] == "StageError"
    assert "after step 7 of 10" in ended.error["message"]
    assert "Traceback" not in ended.log
    assert run(spec).code == 0
    assert result(spec).resumed_from_step == 7
    assert weights_sha256(spec) == weights_sha256(unbroken[0])


def test_a_killed_run_adds_up_its_time_and_tokens(
    unbroken: tuple[TrainSpec, Ended], tmp_path: Path
) -> None:
    spec = again(unbroken, tmp_path)
    run(spec, dies_after(8))
    sealed = json.loads((spec.checkpoints / "checkpoint-6" / "complete.json").read_text())
    facts = json.loads(sealed["body"])["facts"]
    assert facts["tokens"] > 0
    assert run(spec).code == 0
    assert result(spec).wall_seconds > facts["wall_seconds"]


def test_never_resume_starts_from_the_first_step(base: Path, tmp_path: Path) -> None:
    spec = a_spec(tmp_path, base, "lora", resume_from_checkpoint="never")
    run(spec, dies_after(6))
    assert run(spec).code == 0
    assert result(spec).resumed_from_step is None


@pytest.mark.parametrize(
    "missing", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "complete.json", "half"]
)
def test_a_torn_checkpoint_is_named_and_an_older_one_taken(
    base: Path, tmp_path: Path, missing: str
) -> None:
    """Transformers resumes silently, with other weights, when a state file is missing."""
    spec = a_spec(tmp_path, base, "lora")
    run(spec, dies_after(8))
    torn = spec.checkpoints / "checkpoint-6"
    if missing == "half":
        weights = torn / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    else:
        (torn / missing).unlink()
    ended = run(spec)
    assert ended.code == 0, ended.log
    assert ended.said("checkpoint-6 cannot be resumed from")
    assert result(spec).resumed_from_step == 5


def test_two_checkpoints_are_kept_and_the_best_copy_stays(base: Path, tmp_path: Path) -> None:
    spec = a_spec(tmp_path, base, "lora", eval_strategy="steps", eval_steps=2, save_steps=1)
    run(spec, dies_after(10))
    kept = sorted(path.name for path in spec.checkpoints.iterdir())
    assert [name for name in kept if name.startswith("checkpoint")] == [
        "checkpoint-8",
        "checkpoint-9",
    ]
    assert [name for name in kept if name.startswith("best")] == ["best-8"]


def test_the_best_weights_are_kept_not_the_last(base: Path, tmp_path: Path) -> None:
    """A rate that first helps and then ruins: the validation loss has its least in between."""
    changes = {"learning_rate": 0.3, "num_train_epochs": 4.0}
    spec = a_spec(tmp_path, base, "lora", changes, eval_strategy="steps", eval_steps=1)
    ended = run(spec)
    assert ended.code == 0, ended.log
    losses = {e["step"]: e["eval_loss"] for e in history(spec) if "eval_loss" in e}
    record = result(spec)
    assert record.best_step == min(losses, key=losses.__getitem__) < max(losses)
    assert record.validation_loss == min(losses.values())

    last = a_spec(tmp_path / "last", base, "lora", changes, eval_strategy="steps", eval_steps=1,
                  load_best_model_at_end=False)  # fmt: skip
    assert run(last).code == 0
    assert result(last).best_step is None
    assert result(last).validation_loss == losses[max(losses)]
    assert weights_sha256(last) != weights_sha256(spec)


def test_early_stopping_counts_evaluations_without_a_gain(base: Path, tmp_path: Path) -> None:
    changes = {"learning_rate": 0.3, "num_train_epochs": 8.0}
    spec = a_spec(tmp_path, base, "lora", changes, eval_strategy="steps", eval_steps=1,
                  early_stopping_patience=3)  # fmt: skip
    ended = run(spec)
    assert ended.code == 0, ended.log
    record = result(spec)
    assert record.steps < 40
    assert record.steps == (record.best_step or 0) + 3
    assert ended.said("stopped early")


def test_a_run_killed_after_its_last_save_only_writes_the_result(
    base: Path, tmp_path: Path
) -> None:
    def dies_before_the_result() -> None:
        import tasks.trainer.__main__ as child

        child.write_outcome = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # ty: ignore

    spec = a_spec(tmp_path, base, "lora")
    assert run(spec, dies_before_the_result).code == -signal.SIGKILL
    ended = run(spec)
    assert ended.code == 0, ended.log
    assert result(spec).resumed_from_step == 10
    whole = a_spec(tmp_path / "whole", base, "lora")
    run(whole)
    assert weights_sha256(whole) == weights_sha256(spec)
    assert result(whole).train_loss == result(spec).train_loss
    shutil.rmtree(tmp_path / "whole")
