"""Split file to tokens: rows are encoded once, and counted against what the data gate counted.

What is trained is `input_ids` and `labels` as `tasks.encoding` gives them, so TRL neither applies a
template nor cuts nor drops a row. A count that differs from the record is an error, never a shrug.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.encoding import Encoded, Encoder
from tasks.errors import DataError
from tasks.trainer.spec import TrainSpec

if TYPE_CHECKING:
    from datasets import Dataset

    from tasks.contracts import General, Split

__all__ = ["count_labels", "encode_general", "encode_split", "encode_trained"]

#: Token ids and labels of every row: a label for each token, or one for the row.
Encodings = tuple[list[list[int]], list[Any]]


def encode_split(spec: TrainSpec, encoder: Encoder, split: Split) -> Dataset:
    """Return a split as a data set of `input_ids` and `labels`, row by row in the file's order.

    Raises:
        DataError: Rows or loss-bearing tokens are not as many as `prepare` recorded, a row is
            longer than `max_length` though `on_overlength` is not truncate, or teaches nothing.
    """
    from datasets import Dataset

    ids, labels = _encoded(spec, encoder, split)
    return Dataset.from_dict({"input_ids": ids, "labels": labels})


def encode_trained(spec: TrainSpec, encoder: Encoder) -> Dataset:
    """Return the training split, and after it the rows that are replayed.

    Raises:
        DataError: As `encode_split`, of either.
    """
    from datasets import Dataset

    ids, labels = _encoded(spec, encoder, spec.train)
    if spec.replay is not None:
        more_ids, more_labels = encode_general(spec, encoder, spec.replay)
        ids, labels = ids + more_ids, labels + more_labels
    return Dataset.from_dict({"input_ids": ids, "labels": labels})


def encode_general(spec: TrainSpec, encoder: Encoder, rows: General) -> Encodings:
    """Return ids and labels of rows that stand beside the data set, in their own shape.

    Raises:
        DataError: As `encode_split`.
    """
    own = Encoder(encoder.tokenizer, spec.dataset, rows.row_type)
    return _encoded(spec, own, rows.split)


def _encoded(spec: TrainSpec, encoder: Encoder, split: Split) -> Encodings:
    ids: list[list[int]] = []
    labels: list[Any] = []
    learned = 0
    place = {name: number for number, name in enumerate(spec.labels)}
    for line, row in _rows(Path(split.path)):
        encoded = _fit(encoder.encode(row), spec, f"{split.path}:{line}")
        ids.append(encoded.input_ids)
        labels.append(place[row["completion"]] if place else encoded.labels)
        learned += sum(encoded.loss_mask)
    _agree(split.path, "rows", len(ids), split.rows)
    _agree(split.path, "loss-bearing tokens", learned, split.loss_tokens)
    return ids, labels


def count_labels(dataset: Dataset) -> int:
    """Return how many tokens (or rows, of a classifier) carry loss: labels that are not -100."""
    return sum(
        int((label != -100).sum())
        for batch in dataset.with_format("numpy").iter(batch_size=1000)
        for label in batch["labels"]
    )


def _rows(path: Path) -> Generator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8") as file:
        for line, text in enumerate(file, start=1):
            yield line, json.loads(text)


def _fit(encoded: Encoded, spec: TrainSpec, where: str) -> Encoded:
    tokens = len(encoded.input_ids)
    if tokens > spec.max_length:
        if spec.dataset.on_overlength != "truncate":
            raise DataError(
                f"{where}: {tokens} tokens, but max_length is {spec.max_length} and "
                f"dataset.on_overlength is {spec.dataset.on_overlength}. Prepare the data again."
            )
        encoded = encoded.cut(spec.max_length)
    if not any(encoded.loss_mask):
        raise DataError(f"{where}: teaches nothing: no token carries loss. Prepare the data again.")
    return encoded


def _agree(path: str, what: str, found: int, recorded: int) -> None:
    if found != recorded:
        raise DataError(
            f"{path}: {found:,} {what}, but {recorded:,} were recorded when it was prepared. "
            "Nothing was trained. Prepare the data again (`--force`)."
        )
