"""Attempts: a training child, and another one with smaller settings when memory runs out.

Which settings, says the ladder (`tasks/trainer/ladder.py`). What was climbed is kept beside the
checkpoints, so that a run that is killed then goes on as it was, not from the first rung.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

from tasks.contracts import Checkpoint, Recovery
from tasks.errors import OutOfMemoryError
from tasks.processes import run_child
from tasks.run_folder import write_atomically
from tasks.trainer.join import lines_to_join
from tasks.trainer.ladder import applied, next_rung
from tasks.trainer.launcher import launcher
from tasks.trainer.spec import TrainSpec
from tasks.watchdog import Watchdog

__all__ = ["train_in_children"]


def train_in_children(
    spec: TrainSpec, *, may_quantize: bool, on_event: Callable[[dict[str, Any]], None]
) -> Checkpoint:
    """Train to the end, climbing the ladder where memory runs out.

    Args:
        spec: The run as it was recommended.
        may_quantize: Whether QLoRA would still be what was asked for.
        on_event: Hears the children's events, and of every rung as a log event.

    Raises:
        OutOfMemoryError: No rung is left.
        FinetuneError: What the child told, or what ended it.
    """
    climbed = _climbed_before(spec)
    while True:
        now = applied(spec, climbed) if climbed else spec
        write_atomically(now.home / "spec.json", now.model_dump_json(indent=1))
        begun = _Begun()
        for line in lines_to_join(now):
            on_event({"event": "log", "text": line})
        try:
            _run(now, lambda event, begun=begun: on_event(begun.note(event)))
        except OutOfMemoryError as error:
            rung = next_rung(now, begun=begun.steps > 0, may_quantize=may_quantize)
            if rung is None:
                raise _with_history(error, climbed) from None
            climbed = (*climbed, rung)
            on_event({"event": "log", "text": f"memory ran out. Goes on with {rung.sentence}"})
            _keep(spec, climbed)
            continue
        return Checkpoint.model_validate_json((spec.home / "result.json").read_text("utf-8"))


class _Begun:
    """Whether a child got as far as its steps; what comes before is loading."""

    def __init__(self) -> None:
        self.steps = 0

    def note(self, event: dict[str, Any]) -> dict[str, Any]:
        self.steps = max(self.steps, int(event["event"] == "progress"))
        return event


def _run(spec: TrainSpec, on_event: Callable[[dict[str, Any]], None]) -> None:
    minutes = spec.training.hang_timeout_minutes
    watchdog = Watchdog(None if minutes is None else 60 * minutes, active=True)
    path = spec.home / "spec.json"
    run_child("tasks.trainer", path, on_event, launcher(spec), watchdog=watchdog)


def _climbed_before(spec: TrainSpec) -> tuple[Recovery, ...]:
    path = spec.checkpoints / "recoveries.json"
    if not path.is_file():
        return ()
    return tuple(Recovery.model_validate(r) for r in json.loads(path.read_text("utf-8")))


def _keep(spec: TrainSpec, climbed: tuple[Recovery, ...]) -> None:
    """Remember the rungs; first remove what the newest makes invalid, lest it is resumed from."""
    if climbed[-1].restarts:
        shutil.rmtree(spec.checkpoints, ignore_errors=True)
    text = json.dumps([recovery.model_dump() for recovery in climbed], indent=1)
    write_atomically(spec.checkpoints / "recoveries.json", text)


def _with_history(error: OutOfMemoryError, climbed: tuple[Recovery, ...]) -> OutOfMemoryError:
    if not climbed:
        return error
    tried = "; ".join(recovery.sentence for recovery in climbed)
    return OutOfMemoryError(f"{error} This was tried before: {tried}.")
