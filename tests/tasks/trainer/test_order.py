"""The order of rows: each once, of like length beside each other, the same for seed and epoch."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.trainer.order import BATCHES_SORTED, LikeLength, lengths_of, measure
from tests.records import chat_rows, make_recipe
from tests.tasks.trainer.forked import make_spec, run

LENGTHS = st.lists(st.integers(1, 2048), max_size=300)


@given(LENGTHS, st.integers(1, 16), st.integers(0, 9), st.integers(0, 3))
def test_every_row_comes_once_and_an_epoch_hangs_on_its_seed_and_number_alone(
    lengths: list[int], batch: int, seed: int, epoch: int
) -> None:
    order = LikeLength(lengths, batch, seed)
    order.set_epoch(epoch)
    rows = list(order)
    assert sorted(rows) == list(range(len(order)))
    random.seed(5)  # whatever else draws numbers
    assert list(order) == rows
    again = LikeLength(lengths, batch, seed)
    again.set_epoch(epoch)
    assert list(again) == rows


def test_epochs_and_seeds_differ() -> None:
    lengths = [row % 97 + 1 for row in range(500)]
    orders = set()
    for seed in (1, 2):
        order = LikeLength(lengths, 8, seed)
        for epoch in range(3):
            order.set_epoch(epoch)
            orders.add(tuple(order))
    assert len(orders) == 6


def test_a_batch_holds_neighbours_in_length_and_batches_are_mixed() -> None:
    batch = 8
    lengths = random.Random(0).sample(range(10, 10_000), batch * BATCHES_SORTED)
    rows = list(LikeLength(lengths, batch, seed=0))
    batches = [rows[at : at + batch] for at in range(0, len(rows), batch)]
    by_length = sorted(lengths)
    for picked in batches:
        found = sorted(lengths[row] for row in picked)
        at = by_length.index(found[0]) // batch * batch
        assert found == by_length[at : at + batch]
    longest = [max(lengths[row] for row in picked) for picked in batches]
    assert longest[0] == max(lengths), "memory that is too small shows at once"
    assert longest != sorted(longest, reverse=True)
    assert longest != sorted(longest)


def test_padding_is_what_the_collator_adds() -> None:
    assert measure([4, 4, 4, 4], 2, 2, seed=0).at_random == 0.0
    even = measure([10, 100] * 200, 2, 2, seed=0)
    # A pair of unlike rows, half of all pairs, pads 90 of 200; the mean pair has 155 positions.
    assert even.at_random == pytest.approx(45 / 155, abs=0.03)
    assert even.grouped < 0.01
    assert even.pays
    assert not measure([10, 11] * 200, 2, 2, seed=0).pays
    assert not measure([], 2, 2, seed=0).pays


def test_lengths_are_read_from_rows_that_were_picked() -> None:
    from datasets import Dataset

    rows = Dataset.from_dict({"input_ids": [[1], [1, 2], [], [4, 5, 6]]})
    assert lengths_of(rows) == [1, 2, 0, 3]
    assert lengths_of(rows.select([3, 0])) == [3, 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "told"), [(None, True), ("random", False), ("group_by_length", False)]
)
def test_ragged_rows_are_grouped_unless_the_recipe_says_otherwise(
    base: Path, tmp_path: Path, asked: str | None, told: bool
) -> None:
    training: dict[str, Any] = {"logging_steps": 1, "seed": 3}
    if asked is not None:
        training["train_sampling_strategy"] = asked
    recipe = make_recipe(base, tmp_path / "raw.jsonl", training=training)
    rows = [dict(row) for row in chat_rows(40)]
    for row in rows[::2]:
        question, answer = row["messages"]
        row["messages"] = [question, {**answer, "content": answer["content"] * 12}]
    spec = make_spec(tmp_path, recipe, {"train": rows, "validation": chat_rows(8)}, "lora")
    ended = run(spec)
    assert ended.code == 0, ended.log
    assert ended.said("rows of like length share a batch") == told
