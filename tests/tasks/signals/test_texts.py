"""Signals of texts: damage, leftovers and bad answers are counted, sound text is not."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.signals.characters import SCRIPTS, mojibake, script_of
from tasks.signals.leftovers import html_leftovers, placeholders
from tasks.signals.row import COLUMNS, MOST, WIDE, Signals, signals_of

WORDS = "the colour of the sky over the sea is blue today and grey in the night"


def pair(prompt: str, answer: str) -> Signals:
    return signals_of({"prompt": prompt, "completion": answer})


#: An answer, the signal it has, and how much of it.
BAD: list[tuple[str, str, int]] = [
    ("It\u00e2\u20ac\u2122s a caf\u00c3\u00a9", "mojibake", 2),
    ("20 \u00c2\u00b0C", "mojibake", 1),
    ("\u00f0\u0178\u02dc\u20ac", "mojibake", 1),
    ("\u0420\u045f\u0421\u0402\u0420\u0451\u0420\u0406\u0420\u00b5\u0421\u201a", "mojibake", 6),
    ("\u951f\u65a4\u62f7", "mojibake", 1),
    ("lost \ufffd\ufffd letters", "replacement_chars", 2),
    ("nul \x00 and \x93quote\x94", "control_chars", 3),
    ("zero\u200bwidth\ufeff and jo\u200din", "zero_width_chars", 3),
    ("if admin\u202e \u2066// check\u2069", "bidi_chars", 3),
    ("Tom &amp; Jerry &#39;s<br/>", "html", 3),
    ("I am {{name}}, made by {{author}}.", "placeholders", 2),
    ("Dear {first_name}, thank you", "placeholders", 1),
    ("Yours, [Your Name]", "placeholders", 1),
    ("Call us at <INSERT NUMBER HERE>", "placeholders", 1),
    ("TODO write this answer", "placeholders", 1),
    ("<<<<<<< HEAD\nours\n=======\ntheirs\n>>>>>>> main", "conflict_markers", 2),
    ("fine<|im_end|>\n<|im_start|>user", "chat_markup", 2),
    ("Sure.\n### Human: and then?", "chat_markup", 1),
    ("Here:\n```python\nx = 1", "open_fence", 1),
    ("see https://a.b/c and www.d.e", "urls", 2),
    ("As an AI language model, I cannot have opinions.", "refusal", 1),
    ("I\u2019m sorry, but I can\u2019t assist with that.", "refusal", 1),
    ("Tut mir leid, aber ich kann dabei nicht helfen.", "refusal", 1),
    ("\u4f5c\u4e3aAI\u8bed\u8a00\u6a21\u578b\uff0c我不能", "refusal", 1),
    ("NaN", "empty_like", 2),
    ("N/A", "empty_like", 2),
    ("--", "empty_like", 2),
    ("None.", "empty_like", 1),
    ('{"a": 1,}', "json_answer", 2),
    ('[{"a": 1}]', "json_answer", 1),
    ("a b c d e " * 8, "repetition_percent", 88),
    ("the same line\n" * 10, "repetition_percent", 90),
]

#: Sound answers, in which nothing but their script, label and validity is to be told.
SOUND = [
    "S\u00c3O PAULO e a IRM\u00c3\u201d disse \u00abn\u00e3o\u00bb \u2013 \u00c9\u2026",
    "\u00c0 bient\u00f4t\u00a0! \u00ab\u00a0O\u00f9\u00a0?\u00a0\u00bb",
    "\u0421\u0421\u0421\u0420 \u0438 \u0420\u0451\u0431\u0440\u0430: \u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u0442\u0435\u043a\u0441\u0442",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u0928\u094d\u200d \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "R&D at AT&T; 3 < 4 and 5 > 2; a <- b",
    'def f(name):\n    return f"Hello {name}"',
    "In \\frac{a}{b} the set {x} has $\\text{name}$",
    "```html\n<p>Tom &amp; Jerry</p>\n```",
    "The HTML tag <br> breaks a line; &nbsp; does not.",
    "See [the docs](x) and [1], [EMAIL] and [PHONE]",
    "I cannot believe it! The sea can't be that blue.",
    "I am an AI assistant called Ada. How can I help?",
    "48/2 = <<48/2=24>>24 clips.\n#### 24",
    "A\n=======\nB is a heading in reStructuredText",
    "1. one of the things\n2. two of the things\n3. three of the things\n4. four of the things",
    "No",
    "\u2200x \u2208 \u211d: x\u00b2 \u2265 0",
    "...and so on -- 7",
]


@pytest.mark.parametrize(("answer", "signal", "count"), BAD, ids=lambda value: str(value)[:16])
def test_what_is_wrong_is_counted(answer: str, signal: str, count: int) -> None:
    assert getattr(pair("why", answer), signal) == count


@pytest.mark.parametrize("answer", SOUND, ids=range(len(SOUND)))
def test_sound_text_has_no_signal(answer: str) -> None:
    told = ("script", "label", "label_family", "urls", "json_answer")
    signals = pair("why is that so", answer)._asdict()
    assert {name: n for name, n in signals.items() if n and name not in told} == {}


def test_a_prompt_counts_too_but_only_answers_refuse() -> None:
    assert pair("I am {{name}}", "hello").placeholders == 1
    assert pair("I'm sorry, I can't help with that", "hello").refusal == 0
    assert pair("N/A", "hello").empty_like == 0


def test_an_answer_that_is_its_prompt_is_an_echo() -> None:
    assert pair(WORDS, f" {WORDS.upper()}\n").echo == 1
    assert pair(WORDS, f"{WORDS} again").echo == 0
    assert pair("yes", "yes").echo == 0


def test_labels_are_hashes_that_fold_case_space_and_dashes() -> None:
    first, second, other = (pair("q", a) for a in ("card_arrival", "Card Arrival ", "lost card"))
    assert first.label != second.label
    assert first.label_family == second.label_family != other.label_family
    assert pair("q", WORDS).label == pair("q", "two\nlines").label == 0
    # The same on every machine: drift compares them with an earlier run's.
    assert pair("q", "spam").label == SPAM


#: blake2b of "spam" in eight bytes, halved.
SPAM = 6243057021686282966


def test_every_shape_of_row_is_read() -> None:
    chat: dict[str, Any] = {
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "mail"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "content": "jana@posta.cz"},
            {"role": "assistant", "content": "{{name}}"},
        ]
    }
    signals = signals_of(chat)
    assert (signals.turns, signals.system, signals.emails, signals.placeholders) == (2, 1, 1, 1)
    assert signals_of({"text": "jana@posta.cz"}).emails == 1
    assert signals_of({"prompt": "a", "chosen": "b@posta.cz", "rejected": "c@posta.cz"}).emails == 2
    assert signals_of({"messages": []}) == Signals()


def test_numbers_fit_their_columns() -> None:
    signals = pair("\x00" * 100_000, "a@b.cz " * 10)
    assert signals.control_chars == MOST
    assert COLUMNS[-len(WIDE) :] == WIDE


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Guten Morgen, Müller", "Latin"),
        ("Доброе утро всем", "Cyrillic"),
        ("早上好你今天怎么样呢", "Han"),
        ("今日はとても良い天気です", "Kana"),
        ("안녕하세요 반갑습니다", "Hangul"),
        ("صباح الخير جميعا", "Arabic"),
        ("सुप्रभात सबको नमस्ते", "Devanagari"),
        ("Καλημέρα σε όλους", "Greek"),
        ("12:30 (+1)", "none"),
    ],
)
def test_the_script_of_most_letters_is_told(text: str, script: str) -> None:
    assert SCRIPTS[script_of(text)] == script


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=0xC0, max_codepoint=0xFF), min_size=1, max_size=40))
def test_text_misread_as_latin_1_is_found_and_the_original_is_not(text: str) -> None:
    misread = text.encode().decode("latin-1")
    assert mojibake(misread) == len(text)
    letters = "".join(character for character in text if character.isalpha())
    assert mojibake(letters) == 0


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["prompt", "completion", "text"]), st.text(max_size=300)))
def test_any_text_gives_numbers_in_range(row: dict[str, str]) -> None:
    signals = signals_of(row)
    assert all(isinstance(n, int) and n >= 0 for n in signals)
    assert max(signals[: -len(WIDE)]) <= MOST
    assert signals.repetition_percent <= 100


HOSTILE = [
    "{",
    "{{a",
    "<",
    "<a ",
    "&",
    "&#1",
    "[your ",
    "\n",
    "\n##",
    "<|",
    "\u00c2",
    "\u00e2\u20ac",
]
HOSTILE += [
    "i am sorry, i ",
    "as an ai ",
    "a ",
    "return ",
    "\u0420\u045f",
    "[[",
    '{"a":',
    "```",
    "%%A",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = (unit * 200_000)[:200_000] + "!"
    start = time.process_time()
    pair(text, text)
    assert time.process_time() - start < 4.0


def test_markup_is_left_where_it_is_the_subject() -> None:
    assert html_leftovers("<p>one</p> &amp; two") == 3
    assert html_leftovers("in HTML <p>one</p>") == 0
    assert placeholders("use {name} as in ```f(name)```") == 0
