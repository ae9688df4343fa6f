"""Compose the notes that pretraining tasks ask about, and ask for their fields.

A note is one to three frames with disjoint slots, in everyday wrapping (opening, filler,
closing), so that the wanted value stands among values that nobody asked for.
Frames are in `frames.py`, values in `words.py`, the mix of tasks in `corpus.py`.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from bench.base_model import frames, words

SLOT = re.compile(r"{(\w+)}")
SLOTS = {frame: tuple(SLOT.findall(frame)) for frame in frames.FRAMES}
TYPO_PROBABILITY = 0.15


@dataclass(frozen=True)
class Note:
    """A text and the values of its slots, in the order of the text."""

    text: str
    values: dict[str, str]


def fill(rng: random.Random, sentence: str, *, held_out: bool) -> tuple[str, dict[str, str]]:
    """Return the sentence with every slot filled, and the values (of the first use of a slot)."""
    values: dict[str, str] = {}

    def value(match: re.Match[str]) -> str:
        kind = match.group(1)
        if kind in {"first", "last"}:
            return words.name(rng, kind, held_out=held_out, made_up=0.5)
        drawn = words.draw(rng, kind, held_out=held_out)
        values.setdefault(kind, drawn)
        return drawn

    return SLOT.sub(value, sentence), values


def note(rng: random.Random, *, held_out: bool) -> Note:
    """Return a note of one to three frames whose slots do not overlap."""
    bodies: list[str] = []
    values: dict[str, str] = {}
    for _ in range(rng.choice((1, 1, 2, 2, 3))):
        frame = rng.choice(frames.FRAMES)
        if set(SLOTS[frame]) & set(values):
            continue
        text, found = fill(rng, frame, held_out=held_out)
        bodies.append(text)
        values |= found
    for _ in range(rng.choice((0, 1, 1, 2))):
        text, _ = fill(rng, misspell(rng, rng.choice(frames.FILLERS)), held_out=held_out)
        bodies.insert(rng.randint(0, len(bodies)), text)
    if rng.random() < 0.5:
        bodies.insert(0, fill(rng, rng.choice(frames.OPENINGS), held_out=held_out)[0])
    if rng.random() < 0.45:
        bodies.append(fill(rng, rng.choice(frames.CLOSINGS), held_out=held_out)[0])
    text = rng.choice((" ", " ", " ", "\n")).join(bodies)
    if rng.random() < 0.08:
        text, values = text.lower(), {kind: value.lower() for kind, value in values.items()}
    return Note(text, values)


def misspell(rng: random.Random, text: str) -> str:
    """Return the text, sometimes with two letters of one longer word swapped."""
    if rng.random() > TYPO_PROBABILITY or "{" in text:
        return text
    parts = text.split()
    where = rng.randrange(len(parts))
    word = parts[where]
    if len(word) > 4 and word.isalpha():
        cut = rng.randint(1, len(word) - 3)
        parts[where] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return " ".join(parts)


def key_names(rng: random.Random, kinds: list[str]) -> dict[str, str]:
    """Return a key name for every slot kind, mostly an accepted synonym."""
    return {kind: rng.choice(frames.KEYS.get(kind, [kind])) for kind in kinds}


def enumerate_keys(rng: random.Random, keys: list[str]) -> str:
    """Return the keys as a phrase: `a, b and c`."""
    if len(keys) == 1:
        return keys[0]
    return rng.choice((", ".join(keys[:-1]) + f" and {keys[-1]}", ", ".join(keys)))


def pose(rng: random.Random, order: str, text: str) -> str:
    """Return order and text in one user message, the order first or last."""
    gap = rng.choice((" ", "\n"))
    return rng.choice(
        (
            f"{order}{gap}{text}",
            f"{text}{gap}{order}",
            f"{order}\nText: {text}",
            f'"{text}" {order}',
        )
    )
