"""The training child: spec in; weights, history and result out; progress on stdout.

Run as `python -m tasks.trainer spec.json`, or the same under `accelerate launch` for several
processes. A run that was killed goes on from its newest whole checkpoint.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tasks.errors import DivergedError
from tasks.methods.ewc import COPIES
from tasks.processes import child_main
from tasks.trainer import checkpoints, memory
from tasks.trainer.bad_batch import with_bad_batch
from tasks.trainer.build import Schedule, build_trainer, parameter_counts
from tasks.trainer.failures import explain
from tasks.trainer.heartbeat import Heartbeat
from tasks.trainer.outcome import write_outcome
from tasks.trainer.progress import build_watch, tell
from tasks.trainer.sharding import guard, whole_weights
from tasks.trainer.spec import TrainSpec
from tasks.trainer.together import is_main
from tasks.trainer.variants import can_resume

if TYPE_CHECKING:
    from transformers import TrainerCallback
    from trl import SFTTrainer

    from tasks.contracts import Checkpoint

__all__ = ["train"]

#: A checkpoint holds the weights and two moments of the trained ones, all float32; a best copy the
#: weights.
WEIGHT_BYTES, MOMENT_BYTES = 4, 8


def train(raw: dict[str, Any]) -> None:
    """Train as the spec says.

    Raises:
        FinetuneError: Whatever the user can mend, in one message.
    """
    spec = TrainSpec.model_validate(raw)
    try:
        _train(spec)
    except Exception as error:
        told = explain(error, spec)
        if told is None:
            raise
        raise told from error


def _train(spec: TrainSpec) -> None:
    from transformers import PrinterCallback

    began = time.monotonic()
    _hush()
    # Its own default is a folder among the checkpoints, which go when the run is done.
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(spec.home / "tensorboard"))
    before = memory.resident_bytes()
    heartbeat = Heartbeat(speaks=is_main())
    trainer, planned = build_trainer(spec)
    _say_plan(spec, trainer, planned)
    start = _where_to_start(spec)
    facts = {} if start is None else checkpoints.facts_of(start)
    trained, total = parameter_counts(trainer)
    written = total if spec.method == "full" else trained
    copies = spec.training.save_total_limit + 1
    one = written * 2 * WEIGHT_BYTES + trained * MOMENT_BYTES
    anchor = 0 if spec.ewc is None else trained * COPIES * WEIGHT_BYTES
    checkpoints.ensure_room(spec.checkpoints, one * copies + anchor)
    heartbeat.listen_to(trainer.model, spec.hyperparameters.gradient_accumulation_steps)
    watch = build_watch(spec, facts, began, lambda: whole_weights(spec, trainer))
    trainer.remove_callback(PrinterCallback)
    if spec.sharded:
        trainer.add_callback(guard(spec, trainer, tell))
    trainer.add_callback(cast("TrainerCallback", watch))
    try:
        trainer.train(resume_from_checkpoint=None if start is None else str(start))
    except DivergedError as error:
        raise with_bad_batch(error, spec, [ids.tolist() for ids in heartbeat.seen]) from error
    watch.refuse_half_a_run(trainer.state)
    weights = None if watch.kept_best(trainer.state) else whole_weights(spec, trainer)
    if is_main():
        record = write_outcome(spec, trainer, watch, facts.get("step"), weights)
        _say_result(spec, record, before)
    _leave(trainer)


def _leave(trainer: SFTTrainer) -> None:
    """End one of several processes without taking the trainer apart.

    The last reference to the process group is in DDP's reducer. Its destructor joins gloo's thread
    while it holds the interpreter's lock, and that thread may want the lock to drop a tensor: torch
    2.13 then never ends. A process that leaves without destructors cannot fall into it.
    """
    together = trainer.args.world_size > 1
    if together:
        trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()
    if together:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _hush() -> None:
    """No bars in a log file; the parent draws progress from our events."""
    from datasets import disable_progress_bars
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bars()
    disable_progress_bar()


def _where_to_start(spec: TrainSpec) -> Path | None:
    if spec.training.resume_from_checkpoint == "never":
        return None
    if not can_resume(spec):
        if any(spec.checkpoints.glob("checkpoint-*")):
            tell(
                f"starts anew: lora.variant: {spec.hyperparameters.variant} cannot go on from a "
                "checkpoint (PEFT 0.21 does not load its pruned ranks into training)"
            )
        return None
    from accelerate import PartialState

    with PartialState().main_process_first():  # it deletes torn ones, the others then find none
        start = checkpoints.newest_complete(spec.checkpoints, tell)
    if start is not None and checkpoints.facts_of(start).get("sharded", False) != spec.sharded:
        tell("starts anew: its checkpoints are of processes that shared the work in another way")
        return None
    if start is not None:
        step = checkpoints.facts_of(start)["step"]
        tell(f"goes on from step {step}, its newest whole checkpoint")
    return start


def _say_plan(spec: TrainSpec, trainer: SFTTrainer, planned: Schedule) -> None:
    chosen = spec.hyperparameters
    rows, tokens = spec.trained.rows, spec.trained.tokens
    packed = f" packed into {planned.sequences:,} sequences" if spec.dataset.packing else ""
    epochs = planned.steps / planned.steps_an_epoch
    tell(
        f"{rows:,} rows{packed} x {epochs:.3g} epochs, {planned.sequences_a_step} a step "
        f"-> {planned.steps:,} steps"
    )
    a_step = planned.sequences_a_step / planned.sequences
    tell(
        f"a step: {chosen.per_device_train_batch_size} sequences x "
        f"{chosen.gradient_accumulation_steps} accumulated x {spec.training.num_processes} "
        f"process(es), about {tokens * a_step:,.0f} tokens, "
        + (
            "a label for each row"
            if spec.labels
            else f"{spec.trained.loss_tokens * a_step:,.0f} of them learned"
        )
    )
    if spec.replay is not None:
        tell(f"replay: {spec.replay.split.rows:,} of the {rows:,} rows are general ones")
    trained, total = parameter_counts(trainer)
    scale = chosen.effective_scale
    tell(
        f"{spec.method}: {trained:,} of {total:,} parameters are trained ({trained / total:.2%})"
        + ("" if scale is None else f", effective scale {scale:g}")
    )
    tell(
        f"memory: {memory.sentence(spec.memory)}, {memory.gib(memory.available_bytes())} available"
    )
    if chosen.steps != planned.steps or chosen.trainable_parameters != trained:
        tell(
            f"the recommendation said {chosen.steps:,} steps and "
            f"{chosen.trainable_parameters:,} trained parameters"
        )


def _say_result(spec: TrainSpec, record: Checkpoint, before: int) -> None:
    what = "at the end" if record.best_step is None else f"best, at step {record.best_step}"
    if record.validation_loss is not None:
        tell(f"validation loss {record.validation_loss:.4f} ({what})")
    tell(
        f"memory: measured {memory.gib(record.peak_memory_bytes)} at the peak "
        f"({memory.sentence(spec.memory)}); the process held {memory.gib(before)} before the "
        "model was loaded"
    )
    tell(f"{record.tokens_per_second:,.0f} tokens per second, {record.wall_seconds:,.0f} s in all")


if __name__ == "__main__":
    child_main(train)
