"""The ladder: each rung in its order, never beyond what the recipe allows, and never without end."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import Recovery
from tasks.recipe import Recipe
from tasks.trainer.ladder import applied, next_rung
from tasks.trainer.spec import TrainSpec
from tests.records import make_recommendation, memory_of
from tests.tasks.trainer.forked import spec_of


def a_spec(
    method: str = "lora", training: Any = None, memory: Any = None, **chosen: Any
) -> TrainSpec:
    recipe = Recipe.model_validate(
        {"name": "x", "model": {"model_name_or_path": "m"}, "dataset": {"path": "d"},
         "training": training or {}}
    )  # fmt: skip
    return spec_of(Path("/nowhere"), recipe, make_recommendation(method, **chosen), memory)


def climb(spec: TrainSpec, *, may_quantize: bool = True) -> list[Recovery]:
    """Climb until nothing is left."""
    climbed: list[Recovery] = []
    while True:
        now = applied(spec, tuple(climbed))
        rung = next_rung(now, begun=True, may_quantize=may_quantize)
        if rung is None:
            return climbed
        climbed.append(rung)
        assert len(climbed) < 40


def names(climbed: list[Recovery]) -> list[str]:
    return [recovery.sentence.split(":")[0] for recovery in climbed]


def test_the_rungs_come_in_their_order_and_end() -> None:
    climbed = climb(a_spec(per_device_train_batch_size=4, gradient_accumulation_steps=2))
    small = ["smaller micro-batch"] * 2
    assert names(climbed) == [*small, "gradient checkpointing", "8-bit optimizer", "QLoRA"]
    assert [recovery.restarts for recovery in climbed] == [False, False, False, True, True]
    last = applied(a_spec(per_device_train_batch_size=4), tuple(climbed))
    assert last.method == "qlora"
    assert last.training.optim == "adamw_bnb_8bit"
    assert last.hyperparameters.gradient_checkpointing
    assert last.hyperparameters.per_device_train_batch_size == 1
    assert last.hyperparameters.gradient_accumulation_steps == 8
    assert last.recoveries == tuple(climbed)
    assert TrainSpec.model_validate_json(last.model_dump_json()) == last


@given(st.integers(1, 512), st.integers(1, 64), st.integers(1, 64))
def test_a_step_is_as_large_on_every_rung(size: int, accumulated: int, evaluated: int) -> None:
    spec = a_spec(
        training={"per_device_eval_batch_size": evaluated},
        per_device_train_batch_size=size, gradient_accumulation_steps=accumulated,
    )  # fmt: skip
    climbed = climb(spec)
    sizes = [size]
    for count in range(1, len(climbed) + 1):
        now = applied(spec, tuple(climbed[:count]))
        chosen = now.hyperparameters
        small = chosen.per_device_train_batch_size
        assert small * chosen.gradient_accumulation_steps == size * accumulated
        assert now.training.per_device_eval_batch_size <= max(small, 1)
        sizes.append(small)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1
    assert len(climbed) <= math.log2(size) + 5


@pytest.mark.parametrize(
    ("spec", "may_quantize", "expected"),
    [
        (a_spec(training={"on_out_of_memory": "raise"}), True, []),
        (a_spec(training={"auto_find_batch_size": False}), False,
         ["gradient checkpointing", "8-bit optimizer"]),
        (a_spec(training={"gradient_checkpointing": False}, per_device_train_batch_size=2), False,
         ["smaller micro-batch", "8-bit optimizer"]),
        (a_spec(training={"optim": "sgd"}, per_device_train_batch_size=2), False,
         ["smaller micro-batch", "gradient checkpointing"]),
        (a_spec("full", per_device_train_batch_size=1, training={"per_device_eval_batch_size": 1}),
         True, ["gradient checkpointing", "8-bit optimizer"]),
        (a_spec("full", per_device_train_batch_size=1), False,
         ["smaller micro-batch", "gradient checkpointing", "8-bit optimizer"]),
        (a_spec(variant="pissa", per_device_train_batch_size=2), True,
         ["smaller micro-batch", "gradient checkpointing", "8-bit optimizer"]),
        (a_spec(variant="lora_plus", per_device_train_batch_size=2), True,
         ["smaller micro-batch", "gradient checkpointing", "QLoRA"]),
        (a_spec("qlora", per_device_train_batch_size=2, gradient_checkpointing=True), True,
         ["smaller micro-batch", "8-bit optimizer"]),
    ],
)  # fmt: skip
def test_what_the_recipe_and_the_method_chose_is_left_alone(
    spec: TrainSpec, may_quantize: bool, expected: list[str]
) -> None:
    assert names(climb(spec, may_quantize=may_quantize)) == expected


def test_memory_that_runs_out_while_loading_is_not_the_batch_s_fault() -> None:
    spec = a_spec(per_device_train_batch_size=8)
    assert next_rung(spec, begun=False, may_quantize=False) is None
    rung = next_rung(spec, begun=False, may_quantize=True)
    assert rung is not None
    assert rung.settings == {"method": "qlora"}


def test_eight_bits_that_save_little_are_not_worth_a_new_start() -> None:
    """An adapter of 10M parameters saves 60 MB; of a peak of 20 GB that is nothing."""
    small = {"per_device_train_batch_size": 2, "gradient_checkpointing": True}
    spec = a_spec("full", memory=memory_of(20 * 10**9), trainable_parameters=10**7, **small)
    assert "8-bit optimizer" not in names([next_rung_after_the_first(spec)])
    spec = a_spec("full", memory=memory_of(20 * 10**9), trainable_parameters=10**9, **small)
    assert names([next_rung_after_the_first(spec)]) == ["8-bit optimizer"]


def next_rung_after_the_first(spec: TrainSpec) -> Recovery:
    one = {"per_device_train_batch_size": 1}
    chosen = spec.hyperparameters.model_copy(update=one)
    training = spec.training.model_copy(update={"per_device_eval_batch_size": 1})
    small = spec.model_copy(update={"hyperparameters": chosen, "training": training})
    found = next_rung(small, begun=True, may_quantize=False)
    return found or Recovery(cause="", settings={}, sentence="nothing", restarts=False)


def test_a_gpu_gets_the_paged_optimizer() -> None:
    spec = a_spec(per_device_train_batch_size=1).model_copy(update={"on_gpu": True})
    assert climb(spec)[-2].settings == {"training.optim": "paged_adamw_8bit"}


def test_a_sharded_run_stays_whole_numbers_in_shares() -> None:
    """Neither 8-bit states nor 4-bit weights can be cut anywhere."""
    changes: dict[str, Any] = {"per_device_train_batch_size": 2, "accelerate_config": "fsdp2"}
    climbed = climb(a_spec(training={"num_processes": 2}, **changes))
    assert names(climbed) == ["smaller micro-batch", "gradient checkpointing"]
    assert len(climb(a_spec(**changes))) == 4, "one process shares nothing"
