"""Seeded defects: rows that are wrong in a known way, and the checks that have to list them.

Families of what users of other tools ran into: truncation, masking, template, format, leakage,
duplicates, text, labels and private data. Every planted row is as long as the sound ones, so that
it is found for what it is and not for its length.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.corpus.sentences import sentence

__all__ = ["EVERY_ROW", "messy"]

SOUND = 300
RANDOM = Random(7)


def pair(answer: str, prompt: str | None = None) -> dict[str, str]:
    """Return a row with this answer and a prompt that makes it about as long as the others."""
    missing = max(6, 20 - len(answer) // 8)
    return {"prompt": prompt or sentence(RANDOM, missing), "completion": answer}


LOST = ("structure", "rejected")

#: The checks that list a row -> the row, or the line as it stands in the file.
EVERY_ROW: list[tuple[tuple[str, ...], Any]] = [
    # Format: found with its line, not as a KeyError after the download (LLaMA-Factory#5503, #6924).
    (LOST, '{"prompt": "cut off'),
    (LOST, '["no", "object"]'),
    (LOST, {"prompt": sentence(RANDOM)}),
    (LOST, {"prompt": sentence(RANDOM), "completion": 7}),
    (LOST, {"prompt": " ", "completion": sentence(RANDOM)}),
    (LOST, '{"prompt": "half a pair \\ud83d", "completion": "of surrogates"}'),
    (("empty-answers", "rejected"), pair("")),
    # Truncation: a choice, counted, never silent (trl#3449, LLaMA-Factory#1136).
    (("overlength", "rejected", "token-lengths"), pair(sentence(RANDOM, 90))),
    # Text.
    (
        ("mojibake",),
        pair("It\u00e2\u20ac\u2122s the caf\u00c3\u00a9 by the river, " + sentence(RANDOM, 8)),
    ),
    (("replacement-characters",), pair("Lost \ufffd\ufffd letters in " + sentence(RANDOM, 8))),
    (("control-characters",), pair("A bell \x07 and a \x93quote\x94 " + sentence(RANDOM, 8))),
    (("zero-width",), pair("Nothing\u200b to see " + sentence(RANDOM, 9))),
    (("bidi-controls",), pair("access = \u202e'user'\u2066 # check " + sentence(RANDOM, 7))),
    (("html",), pair("Salt &amp; pepper<br/>and &nbsp; " + sentence(RANDOM, 8))),
    (("placeholders",), pair("I am {{name}} and was built by {{author}}. " + sentence(RANDOM, 6))),
    (("placeholders",), pair("Sincerely yours, [Your Name] " + sentence(RANDOM, 8))),
    (
        ("conflict-markers",),
        pair("<<<<<<< HEAD\nThe one.\n=======\nThe other.\n>>>>>>> main " + sentence(RANDOM, 4)),
    ),
    (("refusals",), pair("I'm sorry, but as an AI language model I cannot " + sentence(RANDOM, 6))),
    (("empty-like",), pair("NaN")),
    (("empty-like",), pair(" - ")),
    (("repetition",), pair("and then the sea said again " * 4)),
    (
        ("scripts",),
        pair(
            "\u0421\u0442\u0430\u0440\u044b\u0439 \u0440\u044b\u0431\u0430\u043a \u0436\u0434\u0451\u0442 \u0443 \u043c\u043e\u0440\u044f \u0438 \u043c\u043e\u043b\u0447\u0438\u0442",
            sentence(RANDOM, 9),
        ),
    ),
    (("web-addresses",), pair("See https://harbour.test/lantern for " + sentence(RANDOM, 8))),
    (("length-outliers",), {"prompt": "hm", "completion": "so"}),
    # Sequence and template (LLaMA-Factory#6736, #3995).
    (
        ("chat-markup", "special-tokens"),
        pair("Gladly.<|im_end|>\n<|im_start|>user\n" + sentence(RANDOM, 7)),
    ),
    (("special-tokens",), pair("It is filled with <|pad|> at " + sentence(RANDOM, 8))),
    (("chat-markup",), pair("Gladly.\n### Human: and then? " + sentence(RANDOM, 8))),
    (("open-fences",), pair("Here it is:\n```python\nlantern = harbour\n" + sentence(RANDOM, 7))),
    (
        ("echoes",),
        pair("Quietly the captain measures rivers", "Quietly the captain  measures rivers"),
    ),
    # Private data and keys, invented.
    (("emails",), pair("Write to paula.quist@mailhaus.de or " + sentence(RANDOM, 8))),
    (("phones",), pair("Call +49 30 901820 before " + sentence(RANDOM, 8))),
    (("cards",), pair("Paid with 4539 1488 0343 6467 for " + sentence(RANDOM, 8))),
    (("ibans",), pair("Send it to DE89 3704 0044 0532 0130 00 " + sentence(RANDOM, 8))),
    (("social-security-numbers",), pair("The form says 460-89-9847 " + sentence(RANDOM, 8))),
    (("ip-addresses",), pair("Seen from 106.31.73.20 at night " + sentence(RANDOM, 8))),
    (("credentials",), pair("Use AKIA2OGYBAH6STMMNXWQ to open " + sentence(RANDOM, 8))),
    (
        ("possible-credentials",),
        pair('password: "hX93!kLmQ2#vTz8pWd" opens ' + sentence(RANDOM, 7)),
    ),
]


def messy(seed: int) -> tuple[list[Any], dict[str, list[int]]]:
    """Return a file's rows and, for each check, the lines it has to list."""
    random = Random(seed)
    rows: list[tuple[tuple[str, ...], Any]] = [
        ((), {"prompt": sentence(random, 10), "completion": sentence(random, 9)})
        for _ in range(SOUND)
    ]
    rows += EVERY_ROW
    random.shuffle(rows)
    sound = [row for checks, row in rows if not checks]
    # What takes two rows: the second copy goes, both answers to one prompt are named.
    rows.append((("duplicates",), sound[0]))
    at = rows.index(((), sound[1]))
    rows[at] = (("conflicts",), sound[1])
    rows.append((("conflicts",), {**sound[1], "completion": sentence(random)}))
    lines: dict[str, list[int]] = {}
    for line, (checks, _row) in enumerate(rows, 1):
        for check in checks:
            lines.setdefault(check, []).append(line)
    return [row for _checks, row in rows], lines
