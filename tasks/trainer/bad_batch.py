"""The rows a run went wrong on: written beside the log when the loss or the gradient is no number.

    bad_batch.jsonl     {"micro_batch": 1, "split": "train", "row": 17, "tokens": 33, "content": ...}

`row` is the line in the prepared split. What reaches the model has lost its row numbers to
shuffling, packing and padding, so rows are found again by their token ids, which is exact; equal
rows are all named.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tasks.encoding import Encoder
from tasks.errors import DivergedError
from tasks.loading import load_tokenizer
from tasks.run_folder import write_atomically
from tasks.trainer.spec import TrainSpec

__all__ = ["rows_in", "with_bad_batch"]

Known = dict[tuple[int, ...], list[dict[str, Any]]]


def with_bad_batch(
    error: DivergedError, spec: TrainSpec, batches: Sequence[list[list[int]]]
) -> DivergedError:
    """Write the rows of these micro-batches and return the error with the file's path.

    Args:
        error: What is known so far.
        spec: The run.
        batches: Token ids of each micro-batch of the step, sequence by sequence.
    """
    known = _known_rows(spec)
    found = [
        {"micro_batch": number, **row}
        for number, batch in enumerate(batches, start=1)
        for sequence in batch
        for row in rows_in(sequence, known)
    ]
    rank = int(os.environ.get("RANK", "0"))
    path = spec.home / (f"bad_batch.{rank}.jsonl" if rank else "bad_batch.jsonl")
    write_atomically(path, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in found))
    return DivergedError(f"{error} The {len(found)} rows of that step are in {path}")


def rows_in(sequence: Sequence[int], known: Known) -> Iterable[dict[str, Any]]:
    """Find rows in a sequence, padded or packed: at each place the longest one that stands there.

    Rows [1 2] and [1 2 3] in the sequence 1 2 3 1 2 0 0: the second, then the first.
    """
    lengths = sorted({len(ids) for ids in known}, reverse=True)
    place = 0
    while place < len(sequence):
        for length in lengths:
            rows = known.get(tuple(sequence[place : place + length]))
            if rows and place + length <= len(sequence):
                yield from rows
                place += length
                break
        else:
            place += 1


def _known_rows(spec: TrainSpec) -> Known:
    tokenizer = load_tokenizer(
        spec.base_path,
        spec.dataset.chat_template,
        trust_remote_code=spec.model.trust_remote_code,
    )
    encoder = Encoder(tokenizer, spec.dataset, spec.row_type)
    known: Known = defaultdict(list)
    for name, split in (("train", spec.train), ("validation", spec.validation)):
        with Path(split.path).open(encoding="utf-8") as file:
            for line, text in enumerate(file, start=1):
                content = json.loads(text)
                ids = tuple(encoder.encode(content).cut(spec.max_length).input_ids)
                about = {"split": name, "row": line, "tokens": len(ids), "content": content}
                known[ids].append(about)
    return dict(known)
