"""Pack corpus documents into blocks of equal length, in parallel and in a fixed order.

Blocks are filled best-fit from a pool, so that documents stay whole. The loss mask holds every
assistant token and every prose token, and a tenth of the others (a prompt full of made-up names
teaches little). With `--all_tokens` a quarter of the documents have some tokens split into the two
they were merged from and some copy random tokens, so that no token of the vocabulary stays
untrained. Chunk c of a stream depends on (seed, c) only, whatever the number of processes.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.base_model.corpus import Messages, document
from bench.base_model.vocabulary import VOCABULARY

BLOCK = 256
DOCUMENTS_PER_CHUNK = 2_000
POOL = 64
PROMPT_LOSS_FRACTION = 0.1
SPLIT_DOCUMENT_FRACTION = 0.25
SPLIT_TOKEN_FRACTION = 0.15
DRILL_FRACTION = 0.05


def blocks(
    tokenizer_file: Path, seed: int, *, all_tokens: bool = False, processes: int | None = None
) -> Iterator[np.ndarray]:
    """Yield arrays (blocks, 2, BLOCK) of token ids and loss mask, without end.

    `processes` is the number of generating processes; None means all cores but one.
    """
    processes = processes or max(1, (os.cpu_count() or 2) - 1)
    work = functools.partial(chunk, str(tokenizer_file), seed, all_tokens)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pending = [pool.apply_async(work, (index,)) for index in range(2 * processes)]
        following = len(pending)
        while True:
            yield pending.pop(0).get()
            pending.append(pool.apply_async(work, (following,)))
            following += 1


def chunk(tokenizer_file: str, seed: int, all_tokens: bool, index: int) -> np.ndarray:
    """Return the packed blocks (blocks, 2, BLOCK) of one chunk of documents."""
    from tokenizers import Tokenizer

    tokenizer = _load(tokenizer_file)
    assert isinstance(tokenizer, Tokenizer)
    rng = random.Random(f"chunk/{seed}/{index}")
    first = index * DOCUMENTS_PER_CHUNK
    encoded = (
        encode(tokenizer, document(seed, first + i), rng) for i in range(DOCUMENTS_PER_CHUNK)
    )
    if all_tokens:
        parts = _parts(tokenizer_file)
        encoded = (_vary(pair, parts, rng) for pair in encoded)
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


def _vary(
    encoded: tuple[list[int], list[int]], parts: dict[int, tuple[int, int]], rng: random.Random
) -> tuple[list[int], list[int]]:
    """Return the document, or a variant with split tokens, or a drill of random tokens."""
    kind = rng.random()
    if kind < DRILL_FRACTION:
        end, user, assistant = 1, 3, 4
        drill = rng.choices(range(5, VOCABULARY), k=rng.randint(5, 40))
        return [user, *drill, end, assistant, *drill, end], [0] * (len(drill) + 3) + [1] * (
            len(drill) + 1
        )
    if kind > DRILL_FRACTION + SPLIT_DOCUMENT_FRACTION:
        return encoded
    ids: list[int] = []
    mask: list[int] = []
    for token, learned in zip(*encoded, strict=True):
        pieces = [token]
        while pieces[0] in parts and rng.random() < SPLIT_TOKEN_FRACTION:
            pieces[:1] = parts[pieces[0]]
        if pieces[-1] in parts and len(pieces) > 1 and rng.random() < SPLIT_TOKEN_FRACTION:
            pieces[-1:] = parts[pieces[-1]]
        ids += pieces
        mask += [learned] * len(pieces)
    return ids, mask


@functools.cache
def _parts(tokenizer_file: str) -> dict[int, tuple[int, int]]:
    """Return the two tokens from which BPE merged each token."""
    model = json.loads(Path(tokenizer_file).read_text(encoding="utf-8"))["model"]
    ids = model["vocab"]
    return {ids[a + b]: (ids[a], ids[b]) for a, b in model["merges"]}


@functools.cache
def _load(tokenizer_file: str) -> object:
    """Return the tokenizer, read once per process."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(tokenizer_file)
