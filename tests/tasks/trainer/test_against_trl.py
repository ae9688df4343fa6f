"""Our run against TRL alone: the same seed gives the same tokens, the same steps, the same weights.

The reference is `bench/plain_trl.py`, which imports nothing of this project: TRL applies the
template, masks the prompts, draws the adapter and shuffles the rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.plain_trl import build
from tasks.trainer.spec import TrainSpec
from tests.records import chat_rows, make_recipe
from tests.tasks.trainer.forked import make_spec, run
from tests.tasks.trainer.test_loss import losses, weights

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_the_same_seed_gives_trl_s_steps_and_weights(
    base: Path, tmp_path: Path, method: str
) -> None:
    training = {"logging_steps": 1, "seed": 11, "eval_strategy": "no"}
    recipe = make_recipe(
        base, tmp_path / "raw.jsonl", training=training, lora={"lora_dropout": 0.0}
    )
    rows = {"train": chat_rows(40), "validation": chat_rows(8)}
    spec = make_spec(tmp_path, recipe, rows, method, num_train_epochs=2.0)
    assert run(spec).code == 0

    trainer = build(_job(spec, tmp_path / "plain"))
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:  # TRL makes those of a 4-bit base bfloat16; we do not
            parameter.data = parameter.data.float()
    trainer.train()
    theirs = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(theirs) > 5
    assert losses(spec, "loss") == pytest.approx(theirs, rel=1e-5)
    trainer.save_model(str(tmp_path / "plain" / "result"))
    _close(weights(spec), tmp_path / "plain" / "result")


def _job(spec: TrainSpec, output: Path) -> dict[str, Any]:
    chosen, training = spec.hyperparameters, spec.training
    return {
        "model": spec.base_path,
        "method": spec.method,
        "train": spec.train.path,
        "validation": spec.validation.path,
        "output": str(output),
        "settings": {
            "learning_rate": chosen.learning_rate,
            "num_train_epochs": chosen.num_train_epochs,
            "per_device_train_batch_size": chosen.per_device_train_batch_size,
            "gradient_accumulation_steps": chosen.gradient_accumulation_steps,
            "gradient_checkpointing": False,
            "warmup_steps": training.warmup_steps,
            "lr_scheduler_type": training.lr_scheduler_type,
            "weight_decay": training.weight_decay,
            "seed": training.seed,
            "max_length": spec.max_length,
            "bf16": False,
            "use_cpu": True,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
        },
        "lora": {
            "r": chosen.r,
            "lora_alpha": chosen.lora_alpha,
            "lora_dropout": 0.0,
            "target_modules": chosen.target_modules,
        },
    }


def _close(ours: dict[str, Any], folder: Path) -> None:
    from safetensors.numpy import load_file

    (path,) = folder.glob("*.safetensors")
    theirs = load_file(path)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert value == pytest.approx(theirs[name], abs=2e-5), name
