"""Chats of about 150 tokens with planted defects, by the million: what `bench/validate.py` checks.

Words are drawn by Zipf's law from a made-up vocabulary, so that rows are as unlike as real ones.
Equal seeds give equal bytes. Which lines have which defect is returned, never read off the result.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["DEFECTS", "vocabulary", "write_rows"]

#: Defect -> its share of the rows. `near_duplicate` has 3 of its 60 words changed.
DEFECTS = {
    "duplicate": 0.01,
    "near_duplicate": 0.01,
    "conflict": 0.005,
    "empty_answer": 0.005,
    "wrong_roles": 0.002,
    "not_json": 0.001,
    "overlength": 0.001,
    "email": 0.002,
}
PROMPT_WORDS, ANSWER_WORDS = 45, 15
VOCABULARY_WORDS = 20_000
#: Defects that repeat a row repeat one of the last so many: a copy stands near its original.
LOOKBACK_ROWS = 5_000

Row = dict[str, Any]


def write_rows(path: Path, count: int, seed: int = 0) -> dict[str, list[int]]:
    """Write `count` rows as JSON Lines; return the lines of each defect, from 1 on."""
    planted: dict[str, list[int]] = {name: [] for name in DEFECTS}
    with path.open("w", encoding="utf-8") as file:
        for line, (defect, text) in enumerate(_lines(count, random.Random(seed)), 1):
            file.write(text + "\n")
            if defect is not None:
                planted[defect].append(line)
    return planted


def _lines(count: int, rng: random.Random) -> Iterator[tuple[str | None, str]]:
    words = vocabulary(rng)
    weights = list(itertools.accumulate(1 / (rank + 2) for rank in range(len(words))))
    bounds = list(itertools.accumulate(DEFECTS.values()))
    sound: list[Row] = []
    for _number in range(count):
        asked = rng.choices(words, cum_weights=weights, k=PROMPT_WORDS)
        said = rng.choices(words, cum_weights=weights, k=ANSWER_WORDS)
        drawn = rng.random()
        defect = next((n for n, b in zip(DEFECTS, bounds, strict=True) if drawn < b), None)
        if defect in ("duplicate", "near_duplicate", "conflict") and not sound:
            defect = None
        row = {"asked": asked, "said": said}
        if defect in ("duplicate", "near_duplicate", "conflict"):
            row = dict(sound.pop(rng.randrange(len(sound))))
        elif defect is None:
            sound = [*sound[1 - LOOKBACK_ROWS :], row] if len(sound) >= 2 * LOOKBACK_ROWS else sound
            sound.append(row)
        yield defect, _text(row, defect, said, rng)


def _text(row: Row, defect: str | None, other: list[str], rng: random.Random) -> str:
    asked, said = list(row["asked"]), list(row["said"])
    if defect == "near_duplicate":
        for place in rng.sample(range(PROMPT_WORDS), 3):
            asked[place] = f"{asked[place]}ly"
    elif defect == "conflict":
        said = other
    elif defect == "empty_answer":
        said = []
    elif defect == "overlength":
        asked = asked * 16
    elif defect == "email":
        asked[7] = f"{asked[7]}@{asked[8]}.de"
    turns = [
        {"role": "user", "content": " ".join(asked).capitalize() + "?"},
        {"role": "assistant", "content": " ".join(said)},
    ]
    if defect == "wrong_roles":
        turns.reverse()
    text = json.dumps({"messages": turns})
    return text[:-3] if defect == "not_json" else text


def vocabulary(rng: random.Random) -> list[str]:
    """Return words of one to three syllables, the frequent ones short."""
    consonants, vowels = "bdfghjklmnprstvw", "aeiou"
    syllables = [c + v + e for c in consonants for v in vowels for e in ("", "n", "r", "s")]
    found: dict[str, None] = {}
    while len(found) < VOCABULARY_WORDS:
        length = 1 if len(found) < 200 else 2 if len(found) < 5_000 else 3
        found["".join(rng.choices(syllables, k=length))] = None
    return list(found)
