"""Curves: each shape gets its name and its change, and a sound one is left in peace."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.curves import Run, read_curves
from tasks.recipe_file import valid_keys

LORA = Run("lora", r=16, learning_rate=2e-4, num_train_epochs=3, rows=1000, best_kept=True)
KEYS = valid_keys()
FULL = replace(LORA, method="full", r=None)


def history(losses: list[float], validation: list[float] = [], noise: float = 0.0) -> Any:  # noqa: B006
    """Return a history: a logged loss every ten steps, validation losses evenly between."""
    rng = random.Random(1)
    entries = [
        {"step": 10.0 * (i + 1), "loss": loss * (1 + rng.gauss(0, noise))}
        for i, loss in enumerate(losses)
    ]
    every = 10 * len(losses) / max(1, len(validation))
    entries += [{"step": every * (i + 1), "eval_loss": v} for i, v in enumerate(validation)]
    return sorted(entries, key=lambda entry: entry["step"])


def decay(start: float, end: float, count: int = 50, speed: float = 6.0) -> list[float]:
    return [end + (start - end) * math.exp(-speed * i / count) for i in range(count)]


STRAIGHT = [3 - 2 * i / 50 for i in range(50)]


@pytest.mark.parametrize(
    ("losses", "validation", "run", "begins", "change"),
    [
        (decay(3, 0.3), [1.0, 0.8, 1.2], LORA, "Overfitting: the validation loss was least at step 333",
         "training.num_train_epochs: 2"),
        (decay(3, 0.3), [0.8, 0.9, 1.2], LORA, "Overfitting", "training.num_train_epochs: 1,"),
        (decay(3, 0.3), [1.0, 0.8, 1.2], replace(LORA, best_kept=False), "Overfitting", "more rows"),
        (decay(3, 0.1), [1.0, 0.9, 0.8], LORA, "Learned by heart", "lora.r: 8"),
        (decay(3, 0.1), [1.0, 0.9, 0.8], FULL, "Learned by heart", "fewer epochs than 3."),
        (STRAIGHT, [2.0, 1.5, 1.0], LORA, "Still falling", "training.num_train_epochs: 4.5"),
        (decay(3, 2.6, speed=25), [2.7, 2.6, 2.6], LORA, "Underfitting", "lora.r: 32 instead of 16"),
        (decay(3, 2.6, speed=25), [2.7, 2.6, 2.6], FULL, "Underfitting", "a larger base model"),
        (decay(3, 0.9, speed=25), [1.1, 1.0, 1.0], LORA, "Plateau", "lora.r: 32 instead of 16"),
        (decay(3, 0.9, speed=5), [1.1, 1.0, 1.0], LORA, "Sound", "levels off"),
        ([2.0 + 0.01 * i for i in range(50)], [], LORA, "Not learning", "training.learning_rate: 6.7e-5"),
        ([2.0] * 5, [], LORA, "5 logged losses are too few", "training.logging_steps"),
    ],
)  # fmt: skip
def test_each_shape_has_its_name_and_its_change(
    losses: list[float], validation: list[float], run: Run, begins: str, change: str
) -> None:
    told = read_curves(history(losses, validation), run)
    assert told[0].startswith(begins), told
    assert change in told[0]


def test_the_best_weights_are_spoken_of_only_where_they_were_kept() -> None:
    curves = history(decay(3, 0.3), [1.0, 0.8, 1.2])
    assert "best weights were kept" in read_curves(curves, LORA)[0]
    assert "best weights" not in read_curves(curves, replace(LORA, best_kept=False))[0]


def test_noise_does_not_change_the_reading() -> None:
    for losses, validation in ((decay(3, 0.9, speed=5), [1.1, 1.0]), (STRAIGHT, [2.0, 1.0])):
        plain = read_curves(history(losses, validation), LORA)[0].split(":")[0]
        assert read_curves(history(losses, validation, noise=0.03), LORA)[0].split(":")[0] == plain


def test_no_validation_is_said() -> None:
    told = read_curves(history(decay(3, 0.9, speed=5)), LORA)
    assert "overfitting would not be seen" in told[-1]


@given(
    st.lists(st.floats(0, 20), max_size=60),
    st.lists(st.floats(0.001, 20), max_size=8),
    st.sampled_from([LORA, FULL]),
)
def test_any_curve_is_read_and_every_change_is_a_key_of_the_recipe(
    losses: list[float], validation: list[float], run: Run
) -> None:
    for sentence in read_curves(history(losses, validation), run):
        json.dumps(sentence)
        for word in sentence.split():
            key = word.rstrip(".:,;")
            if key.startswith(("training.", "lora.")):
                assert key in KEYS, sentence


def test_a_rate_is_one_for_yaml() -> None:
    told = read_curves(history([2.0 + 0.01 * i for i in range(50)]), LORA)[0]
    assert isinstance(yaml.safe_load(told.split("training.learning_rate: ")[1].split()[0]), float)
