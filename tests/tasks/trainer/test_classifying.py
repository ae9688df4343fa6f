"""Classification heads: what is trained, with which loss, read where, and resumed from where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.trainer.spec import TrainSpec
from tests.records import COLOURS, make_recipe
from tests.tasks.trainer.forked import make_spec, run, weights_sha256
from tests.tasks.trainer.test_runs import dies_after, history, result

pytestmark = pytest.mark.slow

LABELS = ("black", "blue", "green", "red", "yellow")
FRAMES = ("what is the colour of the {}?", "name the colour of the {}", "the {} is", "{}:")


def rows(count: int) -> list[dict[str, Any]]:
    """Return texts of unlike length, each with the colour of the thing it names."""
    things = list(COLOURS)
    return [
        {
            "prompt": FRAMES[i // len(things) % len(FRAMES)].format(things[i % len(things)]),
            "completion": COLOURS[things[i % len(things)]],
        }
        for i in range(count)
    ]


ROWS = {"train": rows(40), "validation": rows(12)}


def a_spec(
    folder: Path, base: Path, method: str = "lora", variant: str = "lora", **changes: Any
) -> TrainSpec:
    folder.mkdir(parents=True, exist_ok=True)
    training = {"logging_steps": 1, "save_steps": 3, "seed": 3} | changes.pop("training", {})
    lora = {"variant": variant} if method != "full" else {}
    recipe = make_recipe(base, folder / "raw.jsonl", training=training, lora=lora)
    if method != "full":
        changes["variant"] = variant
    spec = make_spec(folder, recipe, ROWS, method, row_type="labelled", **changes)
    return spec.model_copy(update={"labels": LABELS})


@pytest.mark.parametrize(
    ("method", "variant"),
    [("full", ""), ("lora", "lora"), ("lora", "dora"), ("lora", "adalora"), ("lora", "pissa"),
     ("lora", "lora_plus"), ("lora", "lora_fa"), ("lora", "rslora"), ("qlora", "lora")],
)  # fmt: skip
def test_try(method: str, variant: str, base: Path, tmp_path: Path) -> None:
    spec = a_spec(tmp_path, base, method, variant)
    ended = run(spec)
    assert ended.code == 0, ended.log + str(ended.events[-3:])
    r = result(spec)
    losses = [e["loss"] for e in history(spec) if "loss" in e]
    print(
        method,
        variant,
        [round(x, 3) for x in losses],
        r.validation_loss,
        r.trainable_parameters,
        r.parameters,
    )
    spec2 = a_spec(tmp_path / "b", base, method, variant)
    e2 = run(spec2, dies_after(7))
    assert e2.code == -9
    e2 = run(spec2)
    assert e2.code == 0
    print(weights_sha256(spec) == weights_sha256(spec2), result(spec2).resumed_from_step)
