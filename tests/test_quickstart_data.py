"""Prove that the quickstart data are reproducible, really held out, and spoiled where they say."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from bench.base_model.corpus import document
from bench.quickstart_data import fresh, values, wording
from bench.quickstart_data.__main__ import DEFECTS, generate
from bench.quickstart_data.mails import PRIORITIES

DATA = Path(__file__).parents[1] / "tasks" / "assets" / "quickstart"
PLANTED = json.loads((DATA / "known_defects.json").read_text(encoding="utf-8"))
LINES = (DATA / "train.jsonl").read_text(encoding="utf-8").splitlines()
BROKEN = set(PLANTED["broken_json"])
TRAIN = {n: json.loads(line) for n, line in enumerate(LINES, 1) if n not in BROKEN}
TEST = [json.loads(line) for line in (DATA / "test.jsonl").read_text(encoding="utf-8").splitlines()]
CLEAN = [
    row for n, row in TRAIN.items() if n not in {n for lines in PLANTED.values() for n in lines}
]


def mail(row: dict) -> str:
    return next(m["content"] for m in row["messages"] if m["role"] == "user")


def answer(row: dict) -> dict:
    return json.loads(row["messages"][1]["content"])


def pattern(form: str) -> re.Pattern[str]:
    """Return an expression that matches every spelling of a form, whatever its values."""
    parts = []
    for piece in re.split(r"(\[[^\]]*\]|{\w+})", form):
        if piece.startswith("["):
            parts.append("(?:" + "|".join(map(re.escape, piece[1:-1].split("|"))) + ")")
        else:
            parts.append(".{1,60}?" if piece.startswith("{") else re.escape(piece))
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


def forms(source: ModuleType, side: str) -> list[str]:
    """Return every wording of one side that is long enough to be told apart."""
    tables = [*source.PROBLEMS.values(), *source.URGENCY.values()]
    tables += [source.ORDERS, source.HELLOS, source.MOODS, source.BYES]
    return [form for table in tables for form in table[side] if len(form) > 3]


def test_the_generator_reproduces_the_files_byte_for_byte():
    for name, text in generate().items():
        assert (DATA / name).read_text(encoding="utf-8") == text, name


def test_held_out_values_never_occur_in_training():
    assert not set(values.MAKES["known"]) & set(values.MAKES["held_out"])
    train = set(re.findall(r"\w+", " ".join(LINES)))
    for listed in (values.MAKES, values.NOUNS, values.NAMES):
        assert not train & set(listed["held_out"])
    shapes = {re.sub(r"[A-Z]", "@", re.sub(r"\d", "#", answer(r)["order"] or "")) for r in CLEAN}
    held = {re.sub(r"[A-Z]", "@", shape) for shape in values.SHAPES["held_out"]}
    assert not shapes & held


@pytest.mark.parametrize("source", [wording, fresh])
def test_held_out_wording_never_occurs_in_training(source: ModuleType):
    mails = [mail(row) for n, row in TRAIN.items() if n not in PLANTED["missing_content"]]
    for form in forms(source, "held_out"):
        found = pattern(form)
        assert not any(found.search(text) for text in mails), form


def test_held_out_templates_never_occur_in_training():
    assert {row["template"] for row in TRAIN.values()} == set(wording.LAYOUTS["known"])
    assert not any(text.startswith(("Customer ", "Item = ")) for text in map(mail, CLEAN))
    assert {row["kind"] for row in TRAIN.values()} == {"known"}


def test_rows_of_the_test_set_say_what_is_held_out():
    for row in TEST:
        product, held = answer(row)["product"], set(row["held_out"])
        assert (product.split()[0] in values.MAKES["held_out"]) == ("values" in held)
        assert (row["template"] in wording.LAYOUTS["held_out"]) == ("template" in held)
        assert row["kind"] == ("held_out" if held else "known")
    kinds = Counter(tuple(row["held_out"]) for row in TEST)
    assert kinds["values", "wording", "template"] >= 50
    assert min(kinds.values()) >= 50


def test_labels_and_copied_values_are_right():
    for row in (*CLEAN, *TEST):
        found = answer(row)
        assert list(found) == ["queue", "priority", "product", "order"]
        assert found["queue"] in wording.PROBLEMS
        assert found["priority"] in PRIORITIES
        assert found["product"] in mail(row)
        assert found["order"] is None or found["order"] in mail(row)


def test_the_second_test_set_shares_no_mail_with_the_others():
    rows = [json.loads(line) for line in fresh.generate().splitlines()]
    assert len(rows) == len(TEST)
    assert not {mail(row) for row in rows} & {mail(row) for row in (*CLEAN, *TEST)}
    assert all(answer(row)["product"] in mail(row) for row in rows)


def test_clean_rows_are_unique_and_not_in_the_test_set():
    mails = [mail(row) for row in (*CLEAN, *TEST)]
    assert len(mails) == len(set(mails))


@pytest.mark.parametrize("name", DEFECTS)
def test_every_known_defect_is_where_the_list_says(name: str):
    assert len(PLANTED[name]) == DEFECTS[name]
    tests = {mail(row) for row in TEST}
    signs = {
        "duplicate": lambda n: LINES[n - 1] in LINES[: n - 1],
        "empty_answer": lambda n: TRAIN[n]["messages"][1]["content"] == "",
        "over_long": lambda n: len(mail(TRAIN[n])) > 1_500,
        "leakage": lambda n: mail(TRAIN[n]) in tests,
        "broken_json": lambda n: not LINES[n - 1].endswith("}"),
        "wrong_role_order": lambda n: TRAIN[n]["messages"][0]["role"] == "assistant",
        "unknown_role": lambda n: TRAIN[n]["messages"][1]["role"] == "bot",
        "missing_content": lambda n: "content" not in TRAIN[n]["messages"][1],
        "mojibake": lambda n: "â€™" in mail(TRAIN[n]),
        "email_address": lambda n: "@example.com" in mail(TRAIN[n]),
        "api_key": lambda n: re.search(r"sk-[A-Za-z0-9]{20,}", mail(TRAIN[n])),
    }
    assert all(signs[name](n) for n in PLANTED[name])


def test_pretraining_never_saw_the_quickstart_task():
    corpus = [m["content"] for i in range(3_000) for m in document(7, i)]
    labels = "|".join(["queue", "priority", "urgent", "normal", "low", *wording.PROBLEMS])
    assert not re.search(rf"\b(?:{labels})\b", "\n".join(corpus), re.IGNORECASE)
    tables = [*wording.PROBLEMS.values(), *wording.URGENCY.values()]
    tables += [*fresh.PROBLEMS.values(), *fresh.URGENCY.values()]
    table = [form for level in tables for side in level.values() for form in side if len(form) > 12]
    text = "\n".join(corpus)
    for form in table:
        longest = max(re.split(r"\[[^\]]*\]|{\w+}", form), key=len)
        if len(longest) > 14:
            assert longest.lower() not in text.lower(), form
