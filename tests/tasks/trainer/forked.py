"""Real training children in tests, without their start-up: one import, then a fork per case.

Importing TRL and PEFT takes 5 to 14 seconds. A forked child runs the very entry point of
`python -m tasks.trainer spec.json`, with its own stdout, signals and exit code.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.contracts import Recommendation, Split
from tasks.recipe import Recipe
from tasks.trainer.spec import TrainSpec, beside
from tests.records import make_recommendation, make_splits

__all__ = ["Ended", "begin", "ended", "make_spec", "run", "spec_of", "weights_sha256"]


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code (negative: the signal), its events, its loose output."""

    code: int
    events: list[dict[str, Any]]
    log: str

    def said(self, words: str) -> bool:
        """Return whether any event's text holds these words."""
        return any(words in str(event) for event in self.events)

    @property
    def error(self) -> dict[str, Any]:
        """The one error event."""
        (event,) = [event for event in self.events if event["event"] == "error"]
        return event


def make_spec(
    folder: Path, recipe: Recipe, rows: dict[str, Any], method: str = "lora", **changes: Any
) -> TrainSpec:
    """Return the spec of a run under `folder`; `changes` are hyperparameters."""
    shape = {k: changes.pop(k) for k in ("row_type", "max_length") if k in changes}
    splits = make_splits(folder, recipe, rows, **shape)
    spec = spec_of(folder, recipe, make_recommendation(method, **changes))
    here = {"path": str(folder / splits.train.path)}
    there = {"path": str(folder / splits.validation.path)}
    return spec.model_copy(
        update={
            "row_type": splits.row_type,
            "max_length": splits.max_length,
            "train": splits.train.model_copy(update=here),
            "validation": splits.validation.model_copy(update=there),
        }
        | beside(splits, folder)
    )


def spec_of(
    folder: Path, recipe: Recipe, recommendation: Recommendation, memory: Any = None
) -> TrainSpec:
    """Return a spec that has no rows yet."""
    assert recommendation.hyperparameters is not None
    none = Split(path="", rows=0, sha256="", tokens=0, loss_tokens=0)
    return TrainSpec(
        folder=str(folder / "train"),
        base_name="owner/tiny",
        base_path=recipe.model.model_name_or_path,
        base_revision=None,
        base_sha256="0" * 64,
        method=recommendation.method,  # ty: ignore[invalid-argument-type]
        model=recipe.model,
        freeze=recipe.freeze,
        ewc=recipe.ewc,
        lora=recipe.lora,
        quantization=recipe.quantization,
        dataset=recipe.dataset,
        training=recipe.training,
        hyperparameters=recommendation.hyperparameters,
        memory=memory,
        row_type="messages",
        max_length=64,
        train=none,
        validation=none,
    )


def begin(spec: TrainSpec, sabotage: Callable[[], None] = lambda: None, log: str = "out") -> int:
    """Start a child and return its process id; `sabotage` runs in it first."""
    import bitsandbytes  # noqa: F401
    import torch
    from peft import LoraConfig  # noqa: F401
    from trl import SFTTrainer  # noqa: F401

    from tasks.trainer.__main__ import child_main, train

    torch.set_num_threads(1)
    spec.home.mkdir(parents=True, exist_ok=True)
    path = spec.home / "spec.json"
    path.write_text(spec.model_dump_json(), encoding="utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.dup2(os.open(spec.home / f"{log}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(os.open(spec.home / f"{log}.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        sys.stdout = sys.__stdout__ = os.fdopen(1, "w", buffering=1)  # ty: ignore
        sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1)  # ty: ignore
        sys.argv = ["tasks.trainer", str(path)]
        # After a fork torch makes its thread pool anew at first use, and two loading threads of
        # transformers at once find none ("Invalid thread pool!"); so it is made here, alone.
        torch.set_num_threads(1)
        sabotage()
        child_main(train)
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(
    spec: TrainSpec, sabotage: Callable[[], None] = lambda: None, timeout_seconds: float = 120
) -> Ended:
    """Run a child to its end."""
    pid = begin(spec, sabotage)
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone:
            return ended(spec, os.waitstatus_to_exitcode(status))
        time.sleep(0.02)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    raise AssertionError(f"no end after {timeout_seconds} s: {ended(spec, -9)}")


def weights_sha256(spec: TrainSpec) -> str:
    """Return one hash over every weight of the result, exact to the bit."""
    import hashlib

    from safetensors.numpy import load_file

    kind = "model" if spec.method == "full" else "adapter"
    (path,) = (spec.home / kind).glob("*.safetensors")
    tensors = load_file(path)
    whole = hashlib.sha256()
    for name in sorted(tensors):
        whole.update(name.encode() + tensors[name].tobytes())
    return whole.hexdigest()


def ended(spec: TrainSpec, code: int, log: str = "out") -> Ended:
    """Return how a child ended, from its logs."""
    out = (spec.home / f"{log}.log").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in out if line.startswith('{"event"')]
    loose = "\n".join(line for line in out if not line.startswith('{"event"'))
    err = (spec.home / f"{log}.err").read_text(encoding="utf-8")
    return Ended(code, events, loose + err)
