"""Clean data sets of different kinds: on none of them may any check raise a false alarm."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from tests.corpus.sentences import chinese, german, sentence, words

__all__ = ["CLEAN"]

ROWS = 120

Rows = list[dict[str, Any]]


def chat(random: Random) -> Rows:
    """Return chats of one and two turns, with the same system message in each."""
    system = {"role": "system", "content": "You are brief."}
    return [
        {
            "messages": [
                system,
                *(
                    {"role": role, "content": sentence(random, 6)}
                    for role in ("user", "assistant") * (1 + number % 2)
                ),
            ]
        }
        for number in range(ROWS)
    ]


def alpaca(random: Random) -> Rows:
    return [
        {
            "instruction": f"{sentence(random, 7)[:-1]}?",
            "input": sentence(random, 4) if number % 3 else "",
            "output": sentence(random, 8),
        }
        for number in range(ROWS)
    ]


def code(random: Random) -> Rows:
    """Return Python with what looks like leftovers and is none: braces, f-strings, HTML, Jinja."""
    rows = []
    for number in range(ROWS):
        a, b, c, d = words(random, 4)
        body = (
            f'```python\ndef {a}_{b}({c}):\n    return f"{{{c}}} {d}"\n```',
            f"```html\n<p>{a} &amp; {b}</p><br>{{{{ {c} }}}}\n```",
            f"```js\nconst {a} = ({b}) => `${{{b}}}-{number}`;\n```",
            f"```sh\ncat {a}/{b} | grep -v '<{c}>' > {d}.txt  # TODO {a}\n```",
        )[number % 4]
        rows.append({"prompt": f"Write code: {sentence(random, 7)}", "completion": body})
    return rows


def german_and_typography(random: Random) -> Rows:
    quotes = ("\u201e{}\u201c", "\u00bb{}\u00ab", "{} \u2013 ja\u2026", "{}")
    return [
        {"prompt": german(random), "completion": quotes[n % 4].format(german(random))}
        for n in range(ROWS)
    ]


def chinese_text(random: Random) -> Rows:
    return [{"prompt": chinese(random), "completion": chinese(random)} for _ in range(ROWS)]


def json_answers(random: Random) -> Rows:
    rows = []
    for number in range(ROWS):
        answer = {"topic": words(random, 2), "rank": number, "note": sentence(random, 3)}
        text = json.dumps(answer, indent=1 if number % 2 else None)
        rows.append({"prompt": sentence(random), "completion": text})
    return rows


def maths(random: Random) -> Rows:
    """Return sums as GSM8K writes them: long runs of digits that are nobody's number."""
    rows = []
    for _ in range(ROWS):
        a, b = random.randint(200_000, 9_000_000), random.randint(20_000, 190_000)
        rows.append(
            {
                "question": f"{sentence(random, 6)} It cost ${a:,} less {b}; how much is left?",
                "answer": f"{sentence(random, 3)} {a}-{b} = $<<{a}-{b}={a - b}>>{a - b}.\n#### {a - b}",
            }
        )
    return rows


def labels(random: Random) -> Rows:
    """Return texts with four labels, one of which reads like an empty answer and is none."""
    names = ("billing", "shipping", "account access", "none")
    return [
        {"prompt": sentence(random), "completion": random.choice(names)} for _ in range(3 * ROWS)
    ]


def numbers_of_things(random: Random) -> Rows:
    """Return support mails full of numbers that are no person's."""
    forms = (
        "my order number is {a}{b}, placed on 2024-03-1{c}",
        "invoice no. 0{a}{b} of 1{c}/05/2024 says {a},{b} EUR",
        "version 1.{c}.3.4 on host 192.168.0.{c} fails",
        "tracking id {a}-{b}, EAN 400638133393{c}",
    )
    rows = []
    for number in range(ROWS):
        a, b, c = random.randint(1000, 9999), random.randint(10_000, 99_999), random.randint(1, 9)
        text = forms[number % 4].format(a=a, b=b, c=c)
        rows.append({"prompt": f"{sentence(random, 5)} {text}", "completion": sentence(random, 7)})
    return rows


def raw_text(random: Random) -> Rows:
    return [{"text": f"{sentence(random)} {sentence(random, 8)}"} for _ in range(ROWS)]


CLEAN: dict[str, Callable[[Random], Rows]] = {
    function.__name__: function
    for function in (
        *(chat, alpaca, code, german_and_typography, chinese_text, json_answers, maths, labels),
        *(numbers_of_things, raw_text),
    )
}
