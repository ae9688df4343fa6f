"""Generate the pretraining corpus: general tasks about everyday notes, and plain prose.

A document is a list of messages; plain prose is one message of the role `text`. Document i of a
split depends on (seed, split, i) only. Evaluation documents use held-out entities or known ones.
Sentences are in `frames.py`, notes in `notes.py`, entities in `words.py`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from bench.base_model import frames, words
from bench.base_model.notes import enumerate_keys, fill, key_names, note, pose
from bench.base_model.sorting import sort_and_extract, sort_text

Messages = list[dict[str, str]]
Task = Callable[[random.Random, bool], Messages]


def document(seed: int, index: int, *, held_out: bool = False, task: str | None = None) -> Messages:
    """Return document `index` of the stream `seed`, of a given task or of a drawn one."""
    rng = random.Random(f"{seed}/{index}/{held_out}/{task}")
    names = list(TASKS)
    name = task or rng.choices(names, weights=[TASKS[name][1] for name in names])[0]
    return TASKS[name][0](rng, held_out)


def turn(user: str, assistant: str) -> Messages:
    """Return one question and its answer."""
    return [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]


def extract(rng: random.Random, held_out: bool) -> Messages:
    """Ask for one field of a note."""
    seen = note(rng, held_out=held_out)
    kind = rng.choice(list(seen.values))
    return turn(pose(rng, question(rng, kind), seen.text), seen.values[kind])


def question(rng: random.Random, kind: str) -> str:
    """Return a question about a slot kind."""
    key = key_names(rng, [kind])[kind].replace("_", " ")
    return rng.choice(frames.DEFAULT_QUESTIONS).format(key=key)


def to_json(rng: random.Random, held_out: bool) -> Messages:
    """Ask for several fields as JSON; a field that the note lacks is null."""
    seen = note(rng, held_out=held_out)
    kinds = rng.sample(list(seen.values), min(len(seen.values), rng.choice((1, 2, 2, 3, 3, 4))))
    if rng.random() < 0.2:
        kinds.insert(
            rng.randint(0, len(kinds)), rng.choice([k for k in frames.KEYS if k not in seen.values])
        )
    keys = key_names(rng, kinds)
    order = rng.choice(frames.JSON_ORDERS).format(keys=enumerate_keys(rng, list(keys.values())))
    answer = {keys[kind]: seen.values.get(kind) for kind in kinds}
    return turn(pose(rng, order, seen.text), json.dumps(answer))


def to_lines(rng: random.Random, held_out: bool) -> Messages:
    """Ask for several fields as lines `key: value`, or as a list of values."""
    seen = note(rng, held_out=held_out)
    kinds = rng.sample(list(seen.values), min(len(seen.values), rng.choice((2, 3, 3))))
    keys = key_names(rng, kinds)
    listed = enumerate_keys(rng, list(keys.values()))
    if rng.random() < 0.4:
        order = rng.choice(
            ("Only the values of {k}, with commas.", "Give {k} in this order, with commas.")
        ).format(k=listed)
        return turn(pose(rng, order, seen.text), ", ".join(seen.values[k] for k in kinds))
    order = rng.choice(frames.LINE_ORDERS).format(keys=listed)
    return turn(
        pose(rng, order, seen.text), "\n".join(f"{keys[k]}: {seen.values[k]}" for k in kinds)
    )


def convert(rng: random.Random, held_out: bool) -> Messages:
    """Turn fields from one notation into another."""
    kinds = rng.sample(list(frames.KEYS), rng.randint(2, 4))
    keys = key_names(rng, kinds)
    row = {keys[kind]: words.draw(rng, kind, held_out=held_out) for kind in kinds}
    notations = {
        "JSON": json.dumps(row),
        "lines": "\n".join(f"{key}: {value}" for key, value in row.items()),
        "pairs": "; ".join(f"{key}={value}" for key, value in row.items()),
        "a table": " | ".join(row) + "\n" + " | ".join(row.values()),
    }
    source, target = rng.sample(list(notations), 2)
    order = rng.choice(
        ("Write this as {t}:", "Convert to {t}.", "Change {s} to {t}.", "{s} to {t}:")
    )
    return turn(f"{order.format(s=source, t=target)}\n{notations[source]}", notations[target])


def repeat(rng: random.Random, held_out: bool) -> Messages:
    """Copy words: all of them, reversed, the first, the last or the one after another."""
    count = rng.randint(2, 7)
    kinds = rng.choices(("city", "person", "code", "article", "item", "company", "animal"), k=count)
    parts = [words.draw(rng, kind, held_out=held_out) for kind in kinds]
    line = ", ".join(parts)
    where = rng.randrange(count - 1)
    cases = (
        ("Repeat exactly: {x}", line), ("Say this again: {x}", line), ("Copy the list: {x}", line),
        ("Reverse the list: {x}", ", ".join(parts[::-1])), ("First of the list? {x}", parts[0]),
        ("Last of the list? {x}", parts[-1]), ("What comes after " + parts[where] + "? {x}", parts[where + 1]),
        ("What is number " + str(where + 1) + " here? {x}", parts[where]), ("How many are these? {x}", str(count)),
        ("Put each on its own line: {x}", "\n".join(parts)), ("JSON list of: {x}", json.dumps(parts)),
    )  # fmt: skip
    order, answer = rng.choice(cases)
    return turn(order.format(x=line), answer)


def look_up(rng: random.Random, held_out: bool) -> Messages:
    """Look something up in a small table, also over several turns."""
    left, right = rng.sample(
        ("person", "city", "code", "article", "company", "time", "price", "item"), 2
    )
    rows = {
        words.draw(rng, left, held_out=held_out): words.draw(rng, right, held_out=held_out)
        for _ in range(rng.randint(2, 5))
    }
    mark = rng.choice((": ", " = ", " - ", " has ", " -> "))
    table = rng.choice(("\n", "; ")).join(f"{key}{mark}{value}" for key, value in rows.items())
    asked = rng.sample(list(rows), min(len(rows), rng.choice((1, 1, 2, 3))))
    messages: Messages = []
    for key in asked:
        order = rng.choice(
            ("What belongs to {k}?", "Look up {k}.", "{k}?", "Which one goes with {k}?")
        ).format(k=key)
        messages += turn(order if messages else f"{table}\n{order}", rows[key])
    return messages


def conversation(rng: random.Random, held_out: bool) -> Messages:
    """Ask several questions about one note, one after another."""
    seen = note(rng, held_out=held_out)
    kinds = rng.sample(list(seen.values), min(len(seen.values), 3))
    messages: Messages = []
    if rng.random() < 0.3:
        messages.append(
            {
                "role": "system",
                "content": rng.choice(("Answer shortly.", "You read notes.", "Be exact.")),
            }
        )
    for position, kind in enumerate(kinds):
        order = question(rng, kind)
        messages += turn(order if position else pose(rng, order, seen.text), seen.values[kind])
    return messages


def yes_or_no(rng: random.Random, held_out: bool) -> Messages:
    """Ask whether a value is the note's value."""
    seen = note(rng, held_out=held_out)
    kind = rng.choice(list(seen.values))
    true = rng.random() < 0.5
    value = seen.values[kind] if true else words.draw(rng, kind, held_out=held_out)
    order = rng.choice(
        (f"Does the text say {value}?", f"Is {value} named here?", f"{value}: yes or no?")
    )
    return turn(pose(rng, order, seen.text), "yes" if value in seen.text else "no")


def topic(rng: random.Random, held_out: bool) -> Messages:
    """Choose a topic for a sentence from a list that the prompt gives."""
    labels = rng.sample(list(frames.TOPICS), rng.randint(2, 5))
    label = rng.choice(labels)
    a, b, c = rng.sample(frames.TOPICS[label].split(), 3)
    text = rng.choice(frames.TOPIC_SENTENCES).format(a=a, b=b, c=c)
    order = rng.choice(
        (
            "Which topic: {l}?",
            "Choose one of {l}.",
            "Sort into {l}.",
            "Topics: {l}. Which one fits?",
        )
    )
    if rng.random() < 0.3:
        text = fill(rng, rng.choice(frames.FILLERS), held_out=held_out)[0] + " " + text
    return turn(pose(rng, order.format(l=", ".join(labels)), text), label)


def thesaurus(rng: random.Random, held_out: bool) -> Messages:
    """Ask for another word with nearly the same meaning, or choose it."""
    del held_out
    group, other, third = (text.split() for text in rng.sample(frames.THESAURUS, 3))
    word, same = rng.sample(group, 2)
    if rng.random() < 0.35:
        return turn(
            rng.choice(("Words like {w}?", "All words close to {w}:")).format(w=word),
            ", ".join(w for w in group if w != word),
        )
    if rng.random() < 0.4:
        pick = same if rng.random() < 0.5 else rng.choice(other)
        return turn(f"Do {word} and {pick} mean nearly the same?", "yes" if pick == same else "no")
    choices = [same, rng.choice(other), rng.choice(third)]
    rng.shuffle(choices)
    return turn(f"Which is closest to {word}: {', '.join(choices)}?", same)


def rewrite(rng: random.Random, held_out: bool) -> Messages:
    """Change a sentence: capitals, another value, a filled form, or another spelling of a date."""
    seen = note(rng, held_out=held_out)
    kind = rng.choice(list(seen.values))
    value, draw = seen.values[kind], rng.random()
    if draw < 0.15 and len(value) < 12:
        return turn(
            pose(
                rng,
                f"Write the {kind} in {rng.choice(('capitals', 'capital letters'))}.",
                seen.text,
            ),
            value.upper(),
        )
    if draw < 0.5:
        fresh = words.draw(rng, kind, held_out=held_out)
        return turn(f"Replace {value} by {fresh}: {seen.text}", seen.text.replace(value, fresh))
    if draw < 0.65:
        day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(2015, 2032)
        spelled = (f"{day} {words.MONTHS[month - 1]} {year}", f"{year}-{month:02d}-{day:02d}")
        return turn(f"Write the date the other way: {spelled[0]}", spelled[1])
    frame = rng.choice(frames.FRAMES)
    text, values = fill(rng, frame, held_out=held_out)
    if any(text.count(value) > 1 for value in values.values()):
        return extract(rng, held_out)
    return turn(f"Fill in: {frame.replace('{', '<').replace('}', '>')}\n{json.dumps(values)}", text)


def compose(rng: random.Random, held_out: bool) -> Messages:
    """Write a note from its fields."""
    seen = note(rng, held_out=held_out)
    order = rng.choice(
        ("Write a note with these facts:", "Make a text of this:", "Put this into words:")
    )
    return turn(f"{order} {json.dumps(seen.values)}", seen.text)


def prose(rng: random.Random, held_out: bool) -> Messages:
    """Tell something without being asked."""
    lines = [
        fill(rng, rng.choice(frames.PROSE + frames.FRAMES + frames.FILLERS), held_out=held_out)[0]
        for _ in range(rng.randint(2, 5))
    ]
    label = rng.choice(list(frames.TOPICS))
    for _ in range(rng.randint(0, 2)):
        a, b, c = rng.sample(frames.TOPICS[label].split(), 3)
        lines.insert(
            rng.randint(0, len(lines)), rng.choice(frames.TOPIC_SENTENCES).format(a=a, b=b, c=c)
        )
    return [{"role": "text", "content": " ".join(lines)}]


TASKS: dict[str, tuple[Task, float]] = {
    "extract": (extract, 17), "to_json": (to_json, 26), "to_lines": (to_lines, 8), "convert": (convert, 7),
    "repeat": (repeat, 13), "look_up": (look_up, 9), "conversation": (conversation, 7), "yes_or_no": (yes_or_no, 3),
    "sort_text": (sort_text, 14), "sort_and_extract": (sort_and_extract, 16),
    "topic": (topic, 5), "thesaurus": (thesaurus, 4), "rewrite": (rewrite, 5), "compose": (compose, 2), "prose": (prose, 7),
}  # fmt: skip
