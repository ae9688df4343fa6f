"""Measuring: the same numbers alone, in processes and from memory, and as the libraries count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest

from tasks.encoding import Encoder
from tasks.errors import StageError
from tasks.loading import load_tokenizer
from tasks.profile.measuring import Meter, sample_of
from tasks.profile.pooling import measure_all
from tasks.profile.remembering import Remembered
from tasks.profile.rows import DataFile
from tasks.profile.shapes import choose_shape
from tasks.recipe import DatasetSection
from tests.preparing import chats, pairs, tiny_base, write_jsonl


def meter_for(file: DataFile, remembered: Path, **dataset: Any) -> Meter:
    section = DatasetSection.model_validate({"path": str(file.path), **dataset})
    tokenizer = load_tokenizer(tiny_base().path)
    shape = choose_shape(section, sample_of(file), has_template=True)
    encoder = Encoder(tokenizer, section, shape.row_type)
    return Meter(shape, encoder, frozenset({tokenizer.eos_token_id}), Remembered(remembered))


def data_file(folder: Path, rows: list[Any]) -> DataFile:
    path = write_jsonl(folder / "d.jsonl", rows)
    return DataFile("dataset.path", path, "d.jsonl", None)


@pytest.mark.slow
def test_processes_change_nothing(tmp_path: Path) -> None:
    file = data_file(tmp_path, [*chats(1500), '{"broken', {"messages": "x"}, *chats(3)])
    meter = meter_for(file, tmp_path / "none.npy")
    alone = measure_all([file], meter, tmp_path / "a", lambda _done: None, processes=1)
    done: list[int] = []
    both = measure_all([file], meter, tmp_path / "b", done.append, processes=2)
    for one, other in zip(alone, both, strict=True):
        assert numpy.array_equal(one, other)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert done[-1] == 1505


def _die(_file: int, _raws: list[Any]) -> None:
    import os

    os._exit(9)


class Doomed(Meter):
    """A meter whose process is ended, as the kernel does when memory runs out."""

    measure = staticmethod(_die)  # ty: ignore[invalid-assignment]


@pytest.mark.slow
def test_a_process_that_is_ended_is_one_clear_error(tmp_path: Path) -> None:
    file = data_file(tmp_path, chats(2000))
    meter = meter_for(file, tmp_path / "none.npy")
    meter.__class__ = Doomed
    with pytest.raises(StageError, match="ended from outside"):
        measure_all([file], meter, tmp_path / "a", lambda _done: None, processes=2)


def test_only_added_rows_are_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = data_file(tmp_path, chats(100))
    rows, _ = measure_all(
        [file], meter_for(file, tmp_path / "r.npy"), tmp_path / "w", lambda _done: None
    )
    Remembered(tmp_path / "r.npy").replace(rows)
    file = data_file(tmp_path, [*chats(7, start=500), *chats(100)])
    meter = meter_for(file, tmp_path / "r.npy")
    encoded: list[Any] = []
    true_encode = meter.encoder.encode_batch
    monkeypatch.setattr(
        meter.encoder, "encode_batch", lambda new: (encoded.extend(new), true_encode(new))[1]
    )
    again, _ = measure_all([file], meter, tmp_path / "w", lambda _done: None)
    assert len(encoded) == 7
    fresh, _ = measure_all(
        [file], meter_for(file, tmp_path / "none.npy"), tmp_path / "w", lambda _done: None
    )
    assert numpy.array_equal(again, fresh)


@pytest.mark.parametrize("assistant_only", [True, False])
def test_a_batch_of_chats_is_what_transformers_makes_of_each(assistant_only: bool) -> None:
    tokenizer = load_tokenizer(tiny_base().path)
    section = DatasetSection(path="x", assistant_only_loss=assistant_only)
    encoder = Encoder(tokenizer, section, "messages")
    rows = chats(5)
    rows[2]["messages"] += [
        {"role": "user", "content": "and the sky?"},
        {"role": "assistant", "content": "blue ünd möre"},
    ]
    for row, found in zip(rows, encoder.encode_batch(rows), strict=True):
        reference: Any = tokenizer.apply_chat_template(
            row["messages"], tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        assert not isinstance(found, ValueError)
        assert found.input_ids == list(reference["input_ids"])
        expected = list(reference["assistant_masks"])
        assert found.loss_mask == (expected if assistant_only else [1] * len(found.input_ids))


def test_a_batch_of_pairs_is_what_the_tokenizer_makes_of_each() -> None:
    tokenizer = load_tokenizer(tiny_base().path)
    encoder = Encoder(tokenizer, DatasetSection(path="x"), "prompt_completion")
    rows = pairs(4)
    for row, found in zip(rows, encoder.encode_batch(rows), strict=True):
        assert not isinstance(found, ValueError)
        prompt = tokenizer(row["prompt"])["input_ids"]
        answer = tokenizer(row["completion"], add_special_tokens=False)["input_ids"]
        assert found.input_ids == [*prompt, *answer, tokenizer.eos_token_id]
        assert sum(found.loss_mask) == len(answer) + 1
    assert encoder.encode_batch([]) == []
