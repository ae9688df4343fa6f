"""The result of a run: weights, history and `result.json`, which is written last.

    adapter/ or model/   the best weights by validation loss, else the last ones
    metrics.jsonl *.svg  loss, learning rate, memory of each logged step (`metrics.py`)
    result.json          the Checkpoint record

Paths in the adapter's configuration are made portable: it names the base, not a folder here.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts import Checkpoint
from tasks.curves import Run, read_curves
from tasks.run_folder import write_atomically
from tasks.trainer import checkpoints, memory
from tasks.trainer.build import parameter_counts
from tasks.trainer.metrics import write_metrics, write_plots
from tasks.trainer.progress import Watch
from tasks.trainer.spec import TrainSpec
from tasks.trainer.variants import save_weights

if TYPE_CHECKING:
    from transformers import TrainerState
    from trl import SFTTrainer

__all__ = ["write_outcome"]

VERSIONED = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes", "datasets")


def write_outcome(
    spec: TrainSpec,
    trainer: SFTTrainer,
    watch: Watch,
    resumed_from_step: int | None,
    weights: dict[str, Any] | None = None,
) -> Checkpoint:
    """Write everything the stage hands on, and return the record.

    Args:
        spec: The run.
        trainer: At the end of it.
        watch: What was measured.
        resumed_from_step: Where this process began, if it went on from a checkpoint.
        weights: Of a sharded model, put together, if the last weights are the result.
    """
    kind = "model" if spec.method == "full" else "adapter"
    state = trainer.state
    best = watch.kept_best(state)
    _write_weights(spec, trainer, kind, best, weights)
    write_metrics(spec.home / "metrics.jsonl", state.log_history)
    write_plots(spec.home, state.log_history)
    trained, total = parameter_counts(trainer)
    last = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
    record = Checkpoint(
        kind=kind,
        method=spec.method,
        path=f"{spec.home.name}/{kind}",
        base_path=spec.base_path,
        base_sha256=spec.base_sha256,
        train_loss=_mean_loss(state),
        validation_loss=state.best_metric if best else (last[-1] if last else None),
        best_step=best,
        steps=state.global_step,
        resumed_from_step=resumed_from_step,
        trainable_parameters=trained,
        parameters=total,
        tokens_per_second=round(watch.tokens_per_second, 1),
        wall_seconds=round(watch.wall_seconds, 2),
        peak_memory_bytes=memory.peak_bytes(),
        device=_device_name(),
        dtype=spec.hyperparameters.dtype,
        seed=spec.training.seed,
        versions={name: importlib.metadata.version(name) for name in VERSIONED},
        history_path=f"{spec.home.name}/metrics.jsonl",
        recoveries=spec.recoveries,
        curves=read_curves(state.log_history, _run_of(spec, best_kept=bool(best))),
    )
    write_atomically(spec.home / "result.json", record.model_dump_json(indent=1))
    return record


def _run_of(spec: TrainSpec, *, best_kept: bool) -> Run:
    chosen = spec.hyperparameters
    return Run(
        method=spec.method,
        r=chosen.r,
        learning_rate=chosen.learning_rate,
        num_train_epochs=chosen.num_train_epochs,
        rows=spec.train.rows,
        best_kept=best_kept,
    )


def _write_weights(
    spec: TrainSpec,
    trainer: SFTTrainer,
    kind: str,
    best: int | None,
    weights: dict[str, Any] | None,
) -> None:
    """Put the weights in their place in one move, from the best copy or from memory."""
    half = spec.home / f".{kind}.half"
    shutil.rmtree(half, ignore_errors=True)
    if best is None:
        save_weights(spec, trainer.model, half, weights)
    else:
        copy = checkpoints.best_copy(spec.checkpoints, best)
        why = checkpoints.problem(copy)
        assert not why, f"{copy}: {why}"
        shutil.copytree(copy, half, ignore=shutil.ignore_patterns(checkpoints.SEAL))
    if kind == "adapter":
        (half / "README.md").unlink(missing_ok=True)
        _make_portable(half / "adapter_config.json", spec)
    shutil.rmtree(spec.home / kind, ignore_errors=True)
    half.rename(spec.home / kind)


def _make_portable(path: Path, spec: TrainSpec) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    name = spec.base_name
    config["base_model_name_or_path"] = Path(name).name if Path(name).is_absolute() else name
    config["revision"] = spec.base_revision
    for key in ("target_modules", "exclude_modules"):
        if isinstance(config.get(key), list):
            config[key].sort()  # PEFT writes a set: the same run, other bytes
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _mean_loss(state: TrainerState) -> float:
    """Return the mean over all steps, as transformers' `train_loss`, also after a resume.

    Each entry is the mean since the one before: losses 3, 2 logged at steps 10, 15 give 2.67.
    """
    total, before = 0.0, 0
    for entry in state.log_history:
        if "loss" in entry:
            total += entry["loss"] * (entry["step"] - before)
            before = entry["step"]
    return total / before


def _device_name() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)"
