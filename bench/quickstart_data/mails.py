"""Compose quickstart mails and their answers, and count what of them is held out.

A row has three switches: values, wording (problem, urgency, small talk) and template, each known
or held out. The wording is in `wording.py`, the values in `values.py`, the files in `__main__.py`.
"""

from __future__ import annotations

import json
import random
import re
from types import ModuleType

from bench.quickstart_data import values
from bench.quickstart_data import wording as usual

ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
NO_ORDER_FRACTION = 0.08
TYPO_FRACTION = 0.12
PRIORITIES = {"urgent": 0.33, "normal": 0.37, "low": 0.3}
Row = dict[str, object]


def row(
    rng: random.Random,
    *,
    held_values: bool,
    held_wording: bool,
    held_template: bool,
    wording: ModuleType = usual,
) -> Row:
    """Return one row: messages, the template, and which parts are held out.

    `wording` is a module with the tables of `wording.py`.
    """
    side = {True: "held_out", False: "known"}
    value_side, word_side = side[held_values], side[held_wording]
    queue = rng.choice(list(wording.PROBLEMS))
    priority = rng.choices(list(PRIORITIES), weights=list(PRIORITIES.values()))[0]
    layouts = wording.LAYOUTS[side[held_template]]
    template = rng.choice(list(layouts))
    product, order = values.product(rng, value_side), values.order_number(rng, value_side)
    if "{no}" not in layouts[template] and rng.random() < NO_ORDER_FRACTION:
        order = ""
    problem = rng.choice(wording.PROBLEMS[queue][word_side])
    parts = {
        "problem": with_product(misspell(rng, expand(rng, problem)), f"{rng.choice(('my', 'the', 'your', 'our'))} {product}"),
        "it": with_product(misspell(rng, expand(rng, problem)), rng.choice(("it", "this"))),
        "urgency": misspell(rng, expand(rng, rng.choice(wording.URGENCY[priority][word_side]))),
        "order": rng.choice(wording.ORDERS[word_side]).format(o=order) if order else "",
        "hello": rng.choice(wording.HELLOS[word_side]),
        "mood": rng.choice(wording.MOODS[word_side]),
        "bye": rng.choice(wording.BYES[word_side]).format(n=values.customer(rng, value_side)),
        "visitor": values.customer(rng, value_side),
        "phone": "0" + values.shaped(rng, "### ######"),
        "np": product, "p": f"the {product}", "no": order,
    }  # fmt: skip
    text = re.sub(r"\s*\n\s*", "\n", re.sub(r" +", " ", layouts[template].format(**parts))).strip()
    answer = {"queue": queue, "priority": priority, "product": product, "order": order or None}
    return {
        "messages": [
            {"role": "user", "content": text},
            {"role": "assistant", "content": json.dumps(answer)},
        ],
        "template": template,
        "kind": side[held_values or held_wording or held_template],
        "held_out": [
            name
            for name, held in (
                ("values", held_values),
                ("wording", held_wording),
                ("template", held_template),
            )
            if held
        ],
    }


def expand(rng: random.Random, form: str) -> str:
    """Return the form with every `[a|b]` decided."""
    return ALTERNATIVES.sub(lambda match: rng.choice(match.group(1).split("|")), form)


def with_product(sentence: str, product: str) -> str:
    """Return the sentence about the product, its first letter capital."""
    text = sentence.replace("{p}", product)
    return text[0].upper() + text[1:]


def misspell(rng: random.Random, sentence: str) -> str:
    """Return the sentence, sometimes with two letters of one longer word swapped or one dropped."""
    words = sentence.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long or rng.random() > TYPO_FRACTION:
        return sentence
    where = rng.choice(long)
    word = words[where]
    cut = rng.randint(1, len(word) - 3)
    swapped = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    words[where] = rng.choice((swapped, word[:cut] + word[cut + 1 :]))
    return " ".join(words)
