"""Every shipped recipe runs from its file to a release; only steps and test rows are cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.test_recipes import RECIPES
from tests.running import ROOT, command, only_run, record
from tests.tasks.trainer.test_families import build_model

SHORT = (
    *("training.max_steps=24", "training.eval_strategy=no", "evaluation.max_rows=24"),
    *("requirements.accuracy=null", "requirements.metric=token_accuracy"),
)


@pytest.mark.stress
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_and_learns(path: Path, up: dict[str, str], tmp_path: Path) -> None:
    changes = [*SHORT, f"publish.registry={tmp_path / 'registry'}"]
    if path.stem == "gpt2-text":  # of its architecture, without the download
        base = build_model(tmp_path / "base", "gpt2", None)
        changes += [f"model.model_name_or_path={base}", "model.revision=null"]
    own = up | {"FINETUNE_RUNS": str(tmp_path / "runs")}
    settings = [word for change in changes for word in ("--set", change)]
    done = command(["run", str(path.relative_to(ROOT)), *settings], own)
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
    run = only_run(own, path.stem)
    loss = next(row for row in record(run, "evaluate")["metrics"] if row["name"] == "loss")
    assert loss["difference"]["high"] < 0, "better, with the whole interval"
    assert record(run, "publish")["version"] == 1
