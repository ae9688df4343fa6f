"""Make sorting tasks: name the situation or the kind of utterance, alone or within JSON.

The prompt always gives the labels, so the model learns to weigh a whole text and not a fixed
scheme. Sentences are in `situations.py`; the other tasks in `corpus.py`.
"""

from __future__ import annotations

import json
import random
import re

from bench.base_model import frames, words
from bench.base_model.notes import enumerate_keys, fill, key_names, pose
from bench.base_model.situations import SITUATIONS, UTTERANCES

ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
ORDERS = [
    "Which fits: {l}?", "Choose one of {l}.", "Sort into {l}.", "Is this {l}?", "One word of {l}, please.",
    "Labels: {l}. Which one?",
]  # fmt: skip
NAMES = ["kind", "label", "class", "place", "about", "group", "sort", "theme"]


def sort_text(rng: random.Random, held_out: bool) -> list[dict[str, str]]:
    """Ask for the label of a text of one or two sentences among small talk."""
    label, labels, text, _ = _labelled(rng, held_out=held_out)
    order = rng.choice(ORDERS).format(l=", ".join(labels))
    return _turn(pose(rng, order, text), label)


def sort_and_extract(rng: random.Random, held_out: bool) -> list[dict[str, str]]:
    """Ask for one or two labels and for values of the text, in one JSON object."""
    label, labels, text, values = _labelled(rng, held_out=held_out)
    name, second = rng.sample(NAMES, 2)
    answer: dict[str, str] = {name: label}
    rules = [f"{name} is one of {', '.join(labels)}"]
    if rng.random() < 0.5:
        other = UTTERANCES if label in SITUATIONS else SITUATIONS
        label, labels, more, found = _labelled(rng, held_out=held_out, table=other)
        text = rng.choice((f"{text} {more}", f"{more} {text}"))
        values = {kind: value for kind, value in values.items() if kind not in found}
        answer[second] = label
        rules.append(f"{second} is one of {', '.join(labels)}")
    if rng.random() < 0.6:
        kind = rng.choice(("code", "article", "date", "company"))
        if kind not in values:
            values[kind] = words.draw(rng, kind, held_out=held_out)
            text = rng.choice(
                (f"{text} ({values[kind]})", f"{values[kind]}: {text}", f"{text}\n{values[kind]}")
            )
    wanted = rng.sample(list(values), min(len(values), rng.choice((1, 2, 2))))
    keys = key_names(rng, [kind for kind in wanted if kind in frames.KEYS])
    answer |= {keys[kind]: values[kind] for kind in keys if keys[kind] not in answer}
    order = f"JSON with {enumerate_keys(rng, list(answer))}; {'; '.join(rules)}."
    return _turn(pose(rng, order, text), json.dumps(answer))


def _labelled(
    rng: random.Random, *, held_out: bool, table: dict[str, list[str]] | None = None
) -> tuple[str, list[str], str, dict[str, str]]:
    """Return a label, the labels to choose from, a text and the values in it."""
    table = table or rng.choice((SITUATIONS, SITUATIONS, UTTERANCES))
    labels = rng.sample(list(table), rng.randint(2, 6))
    label = rng.choice(labels)
    lines: list[str] = []
    values: dict[str, str] = {}
    for sentence in rng.sample(table[label], rng.choice((1, 1, 2))):
        chosen = ALTERNATIVES.sub(lambda match: rng.choice(match.group(1).split("|")), sentence)
        text, found = fill(rng, chosen, held_out=held_out)
        if not set(found) & set(values):
            lines.append(text)
            values |= found
    for table_of_talk, share in ((frames.OPENINGS, 0.4), (frames.FILLERS, 0.3)):
        if rng.random() < share:
            lines.insert(0, fill(rng, rng.choice(table_of_talk), held_out=held_out)[0])
    if rng.random() < 0.4:
        lines.append(fill(rng, rng.choice(frames.CLOSINGS), held_out=held_out)[0])
    return label, labels, " ".join(lines), values


def _turn(user: str, assistant: str) -> list[dict[str, str]]:
    """Return one question and its answer."""
    return [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
