"""A second test set, for one honest look: `python -m bench.quickstart_data.fresh FOLDER`.

The wording of `test.jsonl` was known while the training wording, the base model and the recipe
were chosen. These sentences were written afterwards, by somebody who had not seen what the model
answers to them, and nothing is chosen by them: `bench/base_model/measure.py --fresh` scores them
once. Values are the held-out ones, drawn anew. The form is that of `wording.py`.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from bench.quickstart_data import wording
from bench.quickstart_data.__main__ import SEED, TEST_ROWS, dump, unique

__all__ = ["generate"]

FRESH_PROBLEMS: dict[str, list[str]] = {
    "billing": [
        "You debited my card again although {p} was already paid.",
        "The tax on the invoice of {p} is not right.",
        "I cancelled {p} weeks ago and still wait for my money.",
        "Please write the name of our company on the bill for {p}.",
        "The voucher for {p} was not taken off the price.",
    ],
    "shipping": [
        "Nobody can tell me where the parcel with {p} is.",
        "The driver gave {p} to a stranger.",
        "{p} should come on Friday, but the page says it is still in the warehouse.",
        "Is it possible to deliver {p} in the evening?",
        "I waited at home all day and the postman did not bring {p}.",
    ],
    "returns": [
        "{p} is the wrong colour, how can I swap it?",
        "I bought {p} as a present and she does not want it, can it go back?",
        "The glass of {p} was broken when I opened the box, please send another one.",
        "Until when may I send {p} back to you?",
        "You sent a different model, I return {p} today.",
    ],
    "technical": [
        "{p} turns off after a minute and the lamp blinks red.",
        "My phone does not find {p} by bluetooth any more.",
        "The app shows an error when I connect {p}.",
        "How can I set {p} back to the first settings?",
        "The motor of {p} makes a loud noise and smells burnt.",
    ],
    "account": [
        "The mail with my new password never comes, I only want to look at {p}.",
        "My user has been blocked since I wanted to register {p}.",
        "Please change the phone number in my profile, I ordered {p} with the old one.",
        "Please delete all my data, I don't need {p} or the newsletter any more.",
        "A stranger could log in with my name and look at {p}.",
    ],
}
FRESH_URGENCY: dict[str, list[str]] = {
    "urgent": [
        "I need a reply this morning, it is really urgent!",
        "We open in two hours, help now!",
        "It has to be solved today, please call me at once.",
        "Please be quick, I leave tomorrow.",
    ],
    "normal": [
        "",
        "Can you look into this?",
        "Thanks for letting me know.",
        "What do you need from me?",
    ],
    "low": [
        "Take all the time you need.",
        "No hurry, next month is fine.",
        "It is only a small thing, answer when you like.",
        "I can wait some weeks.",
    ],
}
FRESH_LAYOUTS = {
    "t23": "{hello}\n{problem}\n{urgency}\n{order}\n{bye}",
    "t24": "Ticket by {visitor} ({phone})\n{problem} {order} {urgency}",
    "t25": "{urgency} {it} Article: {np}, order: {no}. {bye}",
}  # fmt: skip

PROBLEMS = {q: wording.PROBLEMS[q] | {"held_out": FRESH_PROBLEMS[q]} for q in FRESH_PROBLEMS}
URGENCY = {p: wording.URGENCY[p] | {"held_out": FRESH_URGENCY[p]} for p in FRESH_URGENCY}
LAYOUTS = wording.LAYOUTS | {"held_out": FRESH_LAYOUTS}
ORDERS, HELLOS, MOODS, BYES = wording.ORDERS, wording.HELLOS, wording.MOODS, wording.BYES


def main() -> None:
    """Write test.jsonl into the folder of the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "test.jsonl").write_text(generate(), encoding="utf-8")


def generate() -> str:
    """Return 500 rows, held out as those of test.jsonl are, one a line."""
    rng = random.Random(SEED + 1)
    seen: set[str] = set()
    rows = [
        unique(rng, seen, sys.modules[__name__], held_values=v, held_wording=w, held_template=t)
        for (v, w, t), count in TEST_ROWS.items()
        for _ in range(count)
    ]
    return "".join(dump(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
