"""Memory that really runs out in a real child: the run goes on, smaller, to the same result.

The children are started as always; what fails in them comes from a `sitecustomize` on PYTHONPATH.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import Checkpoint
from tasks.trainer.attempts import train_in_children
from tasks.trainer.spec import TrainSpec
from tests.control_groups import VERSION_1, control_group
from tests.records import chat_rows, make_recipe
from tests.tasks.trainer.forked import make_spec, run, weights_sha256

pytestmark = pytest.mark.slow

ROWS = {"train": chat_rows(40), "validation": chat_rows(8)}

#: A card with room for four sequences: the backward pass of more raises, from step 4 on.
SMALL_CARD = """
import torch
steps = [0]
forward = torch.nn.Embedding.forward
def small(self, ids):
    out = forward(self, ids)
    if out.requires_grad:
        steps[0] += 1
        if steps[0] > 3 and len(ids) > 4:
            def full(_gradient):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
            out.register_hook(full)
    return out
torch.nn.Embedding.forward = small
"""

#: From the first batch on, this process may take only so much more; the kernel sees to it.
SMALL_GROUP = """
import os, pathlib, torch
forward = torch.nn.Embedding.forward
def inside(self, ids):
    if not hasattr(torch, "inside"):
        torch.inside = True
        pathlib.Path({group!r}, "cgroup.procs").write_text(str(os.getpid()))
    return forward(self, ids)
torch.nn.Embedding.forward = inside
"""


def sabotaged(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home = folder / "site"
    home.mkdir()
    (home / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(home))


def a_spec(
    folder: Path, base: Path, rows: Any = None, training: Any = None, **changes: Any
) -> TrainSpec:
    folder.mkdir(parents=True, exist_ok=True)
    training = {"logging_steps": 1, "save_steps": 2, "seed": 3} | (training or {})
    recipe = make_recipe(base, folder / "raw.jsonl", training=training)
    spec = make_spec(folder, recipe, rows or ROWS, "full", **changes)
    spec.home.mkdir(parents=True, exist_ok=True)
    return spec


def losses(spec: TrainSpec) -> list[float]:
    lines = (spec.home / "metrics.jsonl").read_text().splitlines()
    return [entry["loss"] for entry in map(json.loads, lines) if "loss" in entry]


def test_memory_that_runs_out_in_backward_halves_the_micro_batch_and_goes_on(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = a_spec(tmp_path / "unbroken", base)
    assert run(unbroken).code == 0
    spec = a_spec(tmp_path / "small", base)
    sabotaged(tmp_path, SMALL_CARD, monkeypatch)
    said: list[str] = []
    checkpoint = train_in_children(
        spec, may_quantize=False, on_event=lambda e: said.append(str(e.get("text")))
    )
    (recovery,) = checkpoint.recoveries
    assert recovery.settings["training.per_device_train_batch_size"] == 4
    assert recovery.settings["training.gradient_accumulation_steps"] == 2
    assert checkpoint.resumed_from_step == 2
    assert any("memory ran out. Goes on with smaller micro-batch" in line for line in said)
    assert losses(spec) == pytest.approx(losses(unbroken), rel=1e-5)
    text = (unbroken.home / "result.json").read_text()
    assert checkpoint.validation_loss == pytest.approx(
        Checkpoint.model_validate_json(text).validation_loss, rel=1e-5
    )


def test_a_cancelled_flow_leaves_a_checkpoint_and_the_next_one_ends_bitwise_the_same(
    base: Path, tmp_path: Path
) -> None:
    """What cancelling does to the flow's thread: an exception, in the middle of an event."""
    never = {"eval_strategy": "no", "save_steps": 1000}
    unbroken = a_spec(tmp_path / "unbroken", base, training=never, num_train_epochs=20.0)
    assert run(unbroken).code == 0
    spec = a_spec(tmp_path / "cancelled", base, training=never, num_train_epochs=20.0)
    pids: set[int] = set()
    others = set(children())  # of tests before this one, in the same process

    def cancel(event: dict[str, Any]) -> None:
        if event["event"] == "progress" and event["done"] > 2:
            pids.update(set(children()) - others)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_in_children(spec, may_quantize=False, on_event=cancel)
    assert pids
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()], "an orphan is left"
    checkpoint = train_in_children(spec, may_quantize=False, on_event=lambda _: None)
    assert checkpoint.resumed_from_step is not None, "the one checkpoint is that of the cancel"
    assert weights_sha256(spec) == weights_sha256(unbroken)


def children() -> list[int]:
    found = Path("/proc/self/task").glob("*/children")
    return [int(pid) for path in found for pid in path.read_text().split()]


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group whose members may take 160 MiB more than they had when they entered."""
    with control_group(160 << 20, VERSION_1) as group:
        yield group


@pytest.mark.stress
def test_a_child_that_the_kernel_kills_for_memory_is_started_again_smaller(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: Path
) -> None:
    rows = {"train": chat_rows(1024), "validation": chat_rows(4)}
    spec = a_spec(tmp_path, base, rows, per_device_train_batch_size=512, num_train_epochs=1.0)
    sabotaged(tmp_path, SMALL_GROUP.format(group=str(group)), monkeypatch)
    checkpoint = train_in_children(spec, may_quantize=False, on_event=lambda _: None)
    assert checkpoint.recoveries
    assert checkpoint.steps == 2
    for recovery in checkpoint.recoveries:
        assert recovery.sentence.startswith("smaller micro-batch")
    assert (group / "memory.oom_control").read_text().count("oom_kill 0") == 0
