"""Forgetting: what was learned first is lost while something else is learned, with EWC and replay less.

A tiny model learns colours, then sums; measured is its loss on questions about colours that neither
EWC's reference nor the replayed rows hold.
"""

from __future__ import annotations

import random
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import General
from tasks.recipe import EwcSection
from tasks.trainer.spec import TrainSpec
from tests.records import chat_rows, make_recipe
from tests.tasks.trainer.forked import make_spec, run
from tests.tasks.trainer.test_ewc import general, loss_of
from tests.tasks.trainer.test_runs import result

pytestmark = pytest.mark.slow

WAYS = ("plain", "ewc", "replay")
COLOURS = chat_rows(40)
#: Every third row of colours is only measured.
HELD_OUT = COLOURS[::3]
KNOWN = [row for row in COLOURS if row not in HELD_OUT]


def sums(count: int) -> list[dict[str, Any]]:
    rng = random.Random(4)
    pairs = rng.sample([(a, b) for a in range(10) for b in range(10)], count)
    return [
        {
            "messages": [
                {"role": "user", "content": f"{a} plus {b} equals"},
                {"role": "assistant", "content": str(a + b)},
            ]
        }
        for a, b in pairs
    ]


def learns(folder: Path, base: Path, rows: list[dict[str, Any]], **sections: Any) -> TrainSpec:
    folder.mkdir(parents=True, exist_ok=True)
    recipe = make_recipe(base, folder / "raw.jsonl", training={"seed": 3})
    recipe = recipe.model_copy(update=sections)
    split = {"train": rows, "validation": sums(60)[48:]}
    return make_spec(folder, recipe, split, "full", num_train_epochs=10.0)


def finished(spec: TrainSpec, **beside: General) -> TrainSpec:
    spec = spec.model_copy(update=beside)
    ended = run(spec, timeout_seconds=300)
    assert ended.code == 0, ended.log
    return spec


@pytest.fixture(scope="module")
def first(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the model that has learned the colours."""
    spec = finished(learns(tmp_path_factory.mktemp("first"), base, KNOWN))
    model = spec.home / "model"
    for file in base.iterdir():
        if not (model / file.name).exists():
            shutil.copy(file, model / file.name)
    return model


@pytest.fixture(scope="module")
def trained(first: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrainSpec]:
    found = {}
    for way in WAYS:
        folder = tmp_path_factory.mktemp(way)
        section = EwcSection(samples=len(KNOWN)) if way == "ewc" else None
        spec = learns(folder, first, sums(60)[:48], ewc=section)
        rows = general(folder / "colours.jsonl", KNOWN if way == "ewc" else KNOWN[:12], spec)
        beside = {"ewc": {"reference": rows}, "replay": {"replay": rows}}.get(way, {})
        found[way] = finished(spec, **beside)
    return found


def test_ewc_and_replay_forget_less_and_still_learn(
    first: Path, trained: dict[str, TrainSpec]
) -> None:
    """Nats forgotten (2026-11-23, one seed): 2.19 plain, 0.96 with EWC at 100, none with replay."""
    import torch
    from transformers import AutoModelForCausalLM

    load = partial(AutoModelForCausalLM.from_pretrained, dtype=torch.float32)
    spec = trained["plain"]
    before = loss_of(load(first).eval(), spec, HELD_OUT)
    forgotten = {
        way: loss_of(load(trained[way].home / "model").eval(), spec, HELD_OUT) - before
        for way in WAYS
    }
    assert forgotten["plain"] > 0.1, "nothing was forgotten, so nothing can be kept"
    assert forgotten["ewc"] < 0.7 * forgotten["plain"]
    assert forgotten["replay"] < 0.7 * forgotten["plain"]
    losses = {way: result(trained[way]).train_loss for way in WAYS}
    assert losses["ewc"] < losses["plain"] + 0.6, "held back so much that nothing new was learned"


def test_replayed_rows_are_trained_and_counted(trained: dict[str, TrainSpec]) -> None:
    plain, replayed = (result(trained[way]) for way in ("plain", "replay"))
    assert plain.steps == 10 * 48 // 8
    assert replayed.steps == 10 * -(-(48 + 12) // 8)
