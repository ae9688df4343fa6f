"""Our run against TRL alone: the same seed gives the same tokens, the same steps, the same weights.

The reference is `bench/plain_trl.py`, which runs nothing of this project: TRL applies the
template, masks the prompts, draws the adapter and shuffles the rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.plain_trl import build, job_of
from tests.records import chat_rows, make_recipe
from tests.tasks.trainer.forked import make_spec, run
from tests.tasks.trainer.test_loss import losses, weights

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_the_same_seed_gives_trl_s_steps_and_weights(
    base: Path, tmp_path: Path, method: str
) -> None:
    training = {"logging_steps": 1, "seed": 11, "eval_strategy": "no"}
    training |= {"train_sampling_strategy": "random"}
    recipe = make_recipe(
        base, tmp_path / "raw.jsonl", training=training, lora={"lora_dropout": 0.0}
    )
    rows = {"train": chat_rows(40), "validation": chat_rows(8)}
    spec = make_spec(tmp_path, recipe, rows, method, num_train_epochs=2.0)
    assert run(spec).code == 0

    trainer = build(job_of(spec, tmp_path / "plain"))
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:  # TRL makes those of a 4-bit base bfloat16; we do not
            parameter.data = parameter.data.float()
    trainer.train()
    theirs = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(theirs) > 5
    assert losses(spec, "loss") == pytest.approx(theirs, rel=1e-5)
    trainer.save_model(str(tmp_path / "plain" / "result"))
    _close(weights(spec), tmp_path / "plain" / "result")


def _close(ours: dict[str, Any], folder: Path) -> None:
    from safetensors.numpy import load_file

    (path,) = folder.glob("*.safetensors")
    theirs = load_file(path)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert value == pytest.approx(theirs[name], abs=2e-5), name
