"""Failures: each ends in one message that says what, where and what to try; nothing half counts."""

from __future__ import annotations

import ctypes
import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import OutOfMemoryError
from tasks.trainer.bad_batch import rows_in
from tasks.trainer.failures import explain
from tasks.trainer.loop import diverged
from tasks.trainer.spec import TrainSpec
from tests.records import chat_rows, make_recipe
from tests.tasks.trainer.forked import Ended, make_spec, run

ROWS = {"train": chat_rows(40), "validation": chat_rows(5)}


def a_spec(
    folder: Path, base: Path, method: str = "lora", training: Any = None, **changes: Any
) -> TrainSpec:
    recipe = make_recipe(
        base,
        folder / "raw.jsonl",
        training={"logging_steps": 1, "save_steps": 2} | (training or {}),
    )
    return make_spec(folder, recipe, ROWS, method, **changes)


def ended_plainly(spec: TrainSpec, ended: Ended, kind: str, code: int) -> str:
    """Check that nothing counts as a result and return the message."""
    assert ended.code == code, ended.log
    assert ended.error["kind"] == kind
    assert "Traceback" not in ended.log
    for name in ("result.json", "adapter", "model"):
        assert not (spec.home / name).exists()
    return str(ended.error["message"])


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1e30, 3e38])
def test_a_loss_that_is_no_number_names_step_and_rate(
    base: Path, tmp_path: Path, rate: float
) -> None:
    spec = a_spec(tmp_path, base, "full", learning_rate=rate)
    message = ended_plainly(spec, run(spec), "DivergedError", 2)
    assert message.startswith(f"training.learning_rate = {rate:g}: the ")
    assert " at step " in message
    assert "Try a third of it" in message


@pytest.mark.slow
def test_a_loss_that_explodes_stops_the_run(base: Path, tmp_path: Path) -> None:
    spec = a_spec(tmp_path, base, "full", learning_rate=30.0, num_train_epochs=6.0)
    message = ended_plainly(spec, run(spec), "DivergedError", 2)
    assert "the loss rose from 5.9" in message


def test_a_strong_pull_is_named_beside_the_rate() -> None:
    assert "or of ewc.weight = 100 or a longer" in str(diverged(1e-3, 7, "it rose", 100.0))
    assert "ewc" not in str(diverged(1e-3, 7, "it rose"))


@pytest.mark.slow
def test_memory_that_runs_out_says_what_to_try(base: Path, tmp_path: Path) -> None:
    """A real limit on this process's memory, set when training begins."""

    def little_memory() -> None:
        from tasks.trainer.progress import Watch

        begin = Watch.on_train_begin

        def on_train_begin(self: Watch, *args: Any, **event: Any) -> None:
            begin(self, *args, **event)
            now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + 2**23, now + 2**23))

        Watch.on_train_begin = on_train_begin  # ty: ignore[invalid-assignment]

    rows = {"train": chat_rows(2000), "validation": chat_rows(5)}
    recipe = make_recipe(base, tmp_path / "raw.jsonl")
    spec = make_spec(tmp_path, recipe, rows, "full", per_device_train_batch_size=1000)
    message = ended_plainly(spec, run(spec, little_memory), "OutOfMemoryError", 3)
    assert "memory ran out" in message
    assert "training.per_device_train_batch_size: 500" in message
    assert "training.gradient_checkpointing: true" in message
    assert "method: qlora" in message


def test_a_gpu_that_runs_out_is_told_alike(base: Path, tmp_path: Path) -> None:
    import torch

    spec = a_spec(tmp_path, base, "qlora", per_device_train_batch_size=1)
    told = explain(torch.cuda.OutOfMemoryError("CUDA out of memory."), spec)
    assert isinstance(told, OutOfMemoryError)
    assert "per_device_train_batch_size" not in str(told)
    assert "method: qlora" not in str(told)


def small_disk(spec: TrainSpec, left_bytes: int) -> Any:
    """Return a sabotage: the checkpoints lie on a small file system that is nearly full."""

    def sabotage() -> None:
        from tasks.trainer.progress import Watch

        spec.checkpoints.mkdir()
        libc = ctypes.CDLL(None, use_errno=True)
        new_mounts, new_user, private = 0x20000, 0x10000000, 1 << 18 | 1 << 14
        flags = new_mounts if os.geteuid() == 0 else new_mounts | new_user
        mounted = (
            libc.unshare(flags) == 0
            and libc.mount(None, b"/", None, private, None) == 0
            and libc.mount(b"none", str(spec.checkpoints).encode(), b"tmpfs", 0, b"size=8m") == 0
        )
        if not mounted:
            os._exit(99)
        begin = Watch.on_train_begin

        def on_train_begin(self: Watch, *args: Any, **event: Any) -> None:
            free = os.statvfs(spec.checkpoints)
            filler = free.f_bavail * free.f_bsize - left_bytes
            (spec.checkpoints / "filler").write_bytes(bytes(filler))
            begin(self, *args, **event)

        Watch.on_train_begin = on_train_begin  # ty: ignore[invalid-assignment]

    return sabotage


@pytest.mark.slow
@pytest.mark.parametrize("left_kilobytes", [0, 60, 100, 200, 240])
def test_a_full_disk_is_named(base: Path, tmp_path: Path, left_kilobytes: int) -> None:
    """Different files fail: configuration, weights, tokenizer, optimizer state."""
    spec = a_spec(tmp_path, base)
    ended = run(spec, small_disk(spec, left_kilobytes * 1024))
    if ended.code == 99:
        pytest.skip("this user may not mount a small file system")
    message = ended_plainly(spec, ended, "FolderError", 2)
    assert "the disk is full" in message
    assert "goes on from the last whole checkpoint" in message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"optim": "adamm"}, "adamm"),
        ({"optim": "galore_adamw"}, "galore"),
        ({"report_to": "wandb"}, "wandb"),
    ],
)
def test_what_is_not_installed_is_an_error_of_the_recipe(
    base: Path, tmp_path: Path, training: Any, words: str
) -> None:
    spec = a_spec(tmp_path, base, training=training)
    message = ended_plainly(spec, run(spec), "RecipeError", 2)
    assert message.startswith("training")
    assert words in message


def test_what_is_not_understood_is_not_explained_away(base: Path, tmp_path: Path) -> None:
    spec = a_spec(tmp_path, base)
    assert explain(RuntimeError("mat1 and mat2 shapes cannot be multiplied"), spec) is None


@pytest.mark.slow
@pytest.mark.parametrize("packing", [False, True])
def test_the_rows_that_made_the_loss_no_number_are_saved(
    base: Path, tmp_path: Path, packing: bool
) -> None:
    """A base whose embedding of one token is nan; one row of forty has that token."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spoilt = tmp_path / "spoilt"
    model = AutoModelForCausalLM.from_pretrained(base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer("~")["input_ids"][0]] = float("nan")
    model.save_pretrained(spoilt)
    tokenizer.save_pretrained(spoilt)
    rows = chat_rows(40)
    rows[16]["messages"][0]["content"] += " ~"
    recipe = make_recipe(spoilt, tmp_path / "raw.jsonl", dataset={"packing": packing})
    spec = make_spec(tmp_path, recipe, {"train": rows}, gradient_accumulation_steps=2,
                     per_device_train_batch_size=2 if packing else 4)  # fmt: skip
    message = ended_plainly(spec, run(spec), "DivergedError", 2)
    path = spec.home / "bad_batch.jsonl"
    assert str(path) in message
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(found) <= 8 or packing
    (bad,) = [row for row in found if row["row"] == 17]
    assert bad["split"] == "train"
    assert bad["content"] == rows[16]
    assert bad["micro_batch"] == max(row["micro_batch"] for row in found), "it was the last one"
    assert all(row["content"] == rows[row["row"] - 1] for row in found)


@pytest.mark.slow
def test_a_gradient_that_is_no_number_is_caught_before_it_spoils_the_weights(
    base: Path, tmp_path: Path
) -> None:
    """Logged every tenth step only, and yet found in its own."""

    def nan_at_the_third_step() -> None:
        import torch

        from tasks.trainer.progress import Watch

        begin = Watch.on_step_begin

        def on_step_begin(self: Watch, args: Any, state: Any, *rest: Any, **event: Any) -> None:
            begin(self, args, state, *rest, **event)
            if state.global_step == 2:
                weight = next(p for p in event["model"].parameters() if p.requires_grad)
                weight.register_hook(lambda gradient: gradient * torch.nan)

        Watch.on_step_begin = on_step_begin  # ty: ignore[invalid-assignment]

    spec = a_spec(tmp_path, base, training={"logging_steps": 10})
    message = ended_plainly(spec, run(spec, nan_at_the_third_step), "DivergedError", 2)
    assert "the gradient became nan at step 3" in message
    assert len((spec.home / "bad_batch.jsonl").read_text().splitlines()) == 8


@pytest.mark.parametrize(
    ("sequence", "found"),
    [
        ([1, 2, 3, 1, 2, 0, 0], [2, 1]),
        ([1, 2], [1]),
        ([0, 0, 9, 9], []),
        ([1, 2, 3, 1], [2]),
        ([5, 5, 5], [3, 4, 3, 4, 3, 4]),
    ],
)
def test_rows_are_found_in_padded_and_packed_sequences(
    sequence: list[int], found: list[int]
) -> None:
    known = {
        (1, 2): [{"row": 1}],
        (1, 2, 3): [{"row": 2}],
        (5,): [{"row": 3}, {"row": 4}],
    }
    assert [row["row"] for row in rows_in(sequence, known)] == found
