"""Activations: what one layer and the head hold, as sums of products of dimensions.

    T tokens · h hidden · f intermediate · q, k width of all query, key heads · n, j their numbers
    d width of a head · V vocabulary · r rank; TT is tokens x length
    Tc a tile of TRL's fused loss: at most 4,096 tokens by 32,768 words

The terms in `tasks/assets/activations.json` are read off the trace by `bench/read_activations.py`:
bytes that a layer keeps (`saved`), its input, and the moments within a layer's forward and backward
pass and around the head that no other moment exceeds. Nothing in it is fitted. A family that is not
there has the terms of the nearest one that is.
"""

from __future__ import annotations

import json
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from tasks.estimates.architecture import Architecture

__all__ = ["Amounts", "amounts"]

ASSET = Path(__file__).resolve().parents[1] / "assets" / "activations.json"

#: Families that keep what another keeps: the same operations, or the nearest (marked ~).
LIKE = {
    "mistral": "llama",
    "smollm3": "llama",
    "granite": "llama",
    "qwen2": "llama",
    "qwen": "llama",
    "mixtral": "llama",  # ~ its experts keep their tokens' intermediate
    "qwen3_moe": "qwen3",  # ~
    "chatglm": "glm",  # ~
}

#: The tile of TRL 1.16's fused loss.
TILE_ROWS, TILE_COLUMNS = 4096, 32768

Terms = tuple[tuple[str, float], ...]
PARTS = ("forward", "backward", "head forward", "head backward")


class Amounts(NamedTuple):
    """Bytes of one configuration; `cast` are a layer's 16-bit copies of trained weights."""

    start: float
    input: float
    saved: float
    cast: float
    forward: float
    backward: float
    head_forward: float
    head_backward: float


def amounts(
    model: Architecture, regime: str, batch: int, length: int, rank: int, *, fused: bool
) -> Amounts:
    """Return what a layer and the head hold for a batch of a model.

    Args:
        model: Its dimensions and family.
        regime: How it is trained: `adapter`, `full half`, `nf4-double`, ...
        batch: Sequences.
        length: Tokens of each.
        rank: Of the adapter; 0 for full.
        fused: The loss is tiled; else whole logits, as always of a classification head: it scores
            every position, with a number a label.
    """
    sizes = (
        *(model.hidden, model.intermediate * model.active_experts, model.q_width, model.kv_width),
        *(model.heads, model.kv_heads, model.head_dim, model.labels or model.vocabulary),
    )
    return _amounts(
        model.model_type, regime, sizes, batch, length, rank, fused and not model.labels
    )


@lru_cache(maxsize=8192)
def _amounts(
    family: str,
    regime: str,
    sizes: tuple[int, ...],
    batch: int,
    length: int,
    rank: int,
    fused: bool,
) -> Amounts:
    compiled = _compiled(_key(family, regime))
    values = _values(sizes, compiled["keys"], batch * length, length, rank)
    plain = "" if fused else "plain "
    heads = {
        part: _largest(compiled[plain + part], values)
        if plain + part in compiled
        else _largest(_compiled(_key("llama", regime))[plain + part], values)
        for part in PARTS[2:]
    }
    saved = _sum(compiled["saved"], values)
    cast = sum(
        c * values[k] for k, c in compiled["saved"] if "T" not in k and ("r" in k or not rank)
    )
    return Amounts(
        start=_sum(compiled["start"], values) - saved,
        input=_sum(compiled["input"], values),
        saved=saved,
        cast=cast,
        forward=_largest(compiled["forward"], values),
        backward=_largest(compiled["backward"], values),
        head_forward=heads["head forward"],
        head_backward=heads["head backward"],
    )


def _key(family: str, regime: str) -> str:
    table = _table()
    for name in (family, LIKE.get(family, "llama"), "llama"):
        if f"{name} {regime}" in table:
            return f"{name} {regime}"
    raise AssertionError(regime)


@cache
def _table() -> dict[str, dict]:
    return json.loads(ASSET.read_text(encoding="utf-8"))


@cache
def _compiled(key: str) -> dict:
    """Return an entry with its terms as tuples, and all products that occur in it."""
    entry = _table()[key]
    found: dict = {}
    keys: set[str] = set()
    for name, value in entry.items():
        vectors = value if isinstance(value, list) else [value]
        keys |= {k for vector in vectors for k in vector}
        tuples = tuple(tuple(vector.items()) for vector in vectors)
        found[name] = tuples if isinstance(value, list) else tuples[0]
    family = key.partition(" ")[0]
    if family != "llama" and "plain head forward" not in found:
        llama = _compiled("llama " + key.partition(" ")[2])
        keys |= set(llama["keys"])
    found["keys"] = tuple(keys)
    return found


def _values(
    dimensions: tuple[int, ...], keys: tuple[str, ...], tokens: int, length: int, rank: int
) -> dict[str, float]:
    sizes = dict(zip("hfqknjdV", dimensions, strict=True))
    sizes |= {"T": tokens, "r": rank, "c": min(TILE_COLUMNS, sizes["V"])}
    found = {}
    for key in keys:
        value = 1.0
        for symbol in key:
            value *= sizes[symbol]
        if "TT" in key:
            value *= length / tokens
        elif key == "Tc":
            value *= min(tokens, TILE_ROWS) / tokens
        found[key] = value
    return found


def _sum(terms: Terms, values: dict[str, float]) -> float:
    return sum(coefficient * values[key] for key, coefficient in terms)


def _largest(vectors: tuple[Terms, ...], values: dict[str, float]) -> float:
    return max((_sum(terms, values) for terms in vectors), default=0.0)
