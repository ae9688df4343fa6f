"""Pack corpus documents into blocks of equal length, in parallel and in a fixed order.

Blocks are filled best-fit from a pool, so that documents stay whole. The loss mask holds every
assistant token and every prose token, and a tenth of the others (a prompt full of made-up names
teaches little). Chunk c of a stream depends on (seed, c) only, whatever the number of processes.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.base_model.corpus import Messages, document

BLOCK = 256
DOCUMENTS_PER_CHUNK = 2_000
POOL = 64
PROMPT_LOSS_FRACTION = 0.1


def blocks(tokenizer_file: Path, seed: int, processes: int | None = None) -> Iterator[np.ndarray]:
    """Yield arrays (blocks, 2, BLOCK) of token ids and loss mask, without end.

    `processes` is the number of generating processes; None means all cores but one.
    """
    processes = processes or max(1, (os.cpu_count() or 2) - 1)
    work = functools.partial(chunk, str(tokenizer_file), seed)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pending = [pool.apply_async(work, (index,)) for index in range(2 * processes)]
        following = len(pending)
        while True:
            yield pending.pop(0).get()
            pending.append(pool.apply_async(work, (following,)))
            following += 1


def chunk(tokenizer_file: str, seed: int, index: int) -> np.ndarray:
    """Return the packed blocks (blocks, 2, BLOCK) of one chunk of documents."""
    from tokenizers import Tokenizer

    tokenizer = _load(tokenizer_file)
    assert isinstance(tokenizer, Tokenizer)
    rng = random.Random(f"chunk/{seed}/{index}")
    first = index * DOCUMENTS_PER_CHUNK
    encoded = (
        encode(tokenizer, document(seed, first + i), rng) for i in range(DOCUMENTS_PER_CHUNK)
    )
    pool: list[tuple[list[int], list[int]]] = []
    packed: list[np.ndarray] = []
    for ids_and_mask in encoded:
        if len(ids_and_mask[0]) <= BLOCK:
            pool.append(ids_and_mask)
        if len(pool) == POOL:
            packed.append(_fill_block(pool, tokenizer.token_to_id("<|pad|>")))
    return np.stack(packed)


def encode(
    tokenizer: object, messages: Messages, rng: random.Random
) -> tuple[list[int], list[int]]:
    """Return token ids and loss mask of one document, as the chat template would write it."""
    ids: list[int] = []
    mask: list[int] = []
    end = tokenizer.token_to_id("<|end|>")
    for message in messages:
        content = [*tokenizer.encode(message["content"]).ids, end]
        learned = message["role"] in {"assistant", "text"}
        if message["role"] != "text":
            ids.append(tokenizer.token_to_id(f"<|{message['role']}|>"))
            mask.append(0)
        ids += content
        mask += [1 if learned or rng.random() < PROMPT_LOSS_FRACTION else 0 for _ in content]
    return ids, mask


def _fill_block(pool: list[tuple[list[int], list[int]]], pad: int) -> np.ndarray:
    """Take documents out of the pool, the longest that fits first, until nothing fits."""
    block = np.zeros((2, BLOCK), dtype=np.int16)
    block[0] = pad
    used = 0
    taken = 0
    while True:
        # The oldest document always goes in, so that long and short ones keep their shares.
        fitting = (
            [0]
            if taken == 0
            else [i for i, (ids, _) in enumerate(pool) if len(ids) <= BLOCK - used]
        )
        if not fitting:
            return block
        best = max(fitting, key=lambda i: len(pool[i][0]))
        ids, mask = pool.pop(best)
        block[0, used : used + len(ids)] = ids
        block[1, used : used + len(ids)] = mask
        used += len(ids)
        taken += 1
        if not pool:
            return block


@functools.cache
def _load(tokenizer_file: str) -> object:
    """Return the tokenizer, read once per process."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(tokenizer_file)
