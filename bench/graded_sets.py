"""The sets that `bench/validation_quality.py` grades by: rows, and where which defect is known.

Each set lies in its own folder with a README and a `known_defects.json`. Sets in other shapes
(tab-separated, gzip, ShareGPT, nested) become rows here, so that a row's number is that of the list.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["SETS", "Graded"]

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Graded:
    """One set: where its rows come from and which column of the profile finds which defect.

    `defects` maps a defect's words to the column and the known rows, 0-based.
    """

    name: str
    rows: Callable[[Path], Rows]
    defects: Callable[[Path], dict[str, tuple[str, set[int]]]]
    test_rows: Callable[[Path], Rows] | None = None
    dataset: dict[str, Any] = field(default_factory=dict)


def _known(data: Path, *keys: str) -> dict[str, Any]:
    value = json.loads((data / keys[0] / "known_defects.json").read_text(encoding="utf-8"))
    for key in keys[1:]:
        value = value[key]
    return value


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line]


def _alpaca(path: Path) -> Rows:
    data = path.read_bytes()
    rows = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    names = ("instruction", "input")
    return [
        {**{name: row[name] for name in names}, "output": row.get("response", row.get("output"))}
        for row in rows
    ]


def _gsm8k(split: str) -> Graded:
    def defects(data: Path) -> dict[str, tuple[str, set[int]]]:
        known = _known(data, "gsm8k", split)
        return {
            "zero-width characters": ("zero_width_chars", set(known["control_or_zero_width_rows"])),
            "phone numbers (254 sums a plain pattern flags)": ("phones", set()),
            "duplicates": ("duplicate", set()),
        }

    def rows(data: Path) -> Rows:
        return [json.loads(line) for line in _lines(data / "gsm8k" / f"{split}.jsonl")]

    return Graded(f"gsm8k {split}", rows, defects)


def _gpteacher(name: str) -> Graded:
    def defects(data: Path) -> dict[str, tuple[str, set[int]]]:
        known = _known(data, "gpteacher", name)
        return {
            "mojibake": ("mojibake", set(known["mojibake_rows"])),
            "e-mail addresses (most are @example.com)": ("emails", set(known["email_rows"])),
            "web addresses": ("urls", set(known["url_rows"])),
        }

    def rows(data: Path) -> Rows:
        (path,) = (data / "gpteacher").glob(f"{name}.json*")
        return _alpaca(path)

    return Graded(f"gpteacher {name}", rows, defects)


def _presidio() -> Graded:
    kinds = {
        "EMAIL_ADDRESS": "emails",
        "PHONE_NUMBER": "phones",
        "CREDIT_CARD": "cards",
        "US_SSN": "ssns",
        "IBAN_CODE": "ibans",
        "IP_ADDRESS": "ip_addresses",
    }

    def defects(data: Path) -> dict[str, tuple[str, set[int]]]:
        known = _known(data, "presidio-pii", "rows_by_entity")
        return {kinds[kind]: (kinds[kind], set(rows)) for kind, rows in known.items()} | {
            "duplicates": ("duplicate", set(_known(data, "presidio-pii", "exact_duplicate_rows")))
        }

    def rows(data: Path) -> Rows:
        path = data / "presidio-pii" / "synth_dataset_v2.jsonl"
        return [{"text": json.loads(line)["text"]} for line in _lines(path)]

    return Graded("presidio-pii", rows, defects)


def _sms(data: Path) -> Rows:
    pairs = (line.split("\t", 1) for line in _lines(data / "sms-spam" / "sms.tsv"))
    return [{"prompt": text, "completion": label} for label, text in pairs]


def _sms_defects(data: Path) -> dict[str, tuple[str, set[int]]]:
    known = _known(data, "sms-spam")
    return {
        "duplicates (normalised)": ("duplicate", set(known["normalised_duplicate_rows"])),
        "HTML entities": ("html", set(known["html_entity_rows"])),
        "control characters": ("control_chars", set(known["control_or_zero_width_rows"])),
        "e-mail addresses": ("emails", set(known["email_rows"])),
        "web addresses": ("urls", set(known["url_rows"])),
        "phone numbers (list made by a plain pattern)": ("phones", set(known["phone_like_rows"])),
    }


def _identity_defects(data: Path) -> dict[str, tuple[str, set[int]]]:
    known = _known(data, "llamafactory-demos", "identity")
    return {
        "unfilled placeholders": ("placeholders", set(known["unfilled_placeholder_rows"])),
        "one input, several outputs": ("conflict", set(known["rows_with_conflicting_input"])),
    }


def _c4_defects(data: Path) -> dict[str, tuple[str, set[int]]]:
    known = _known(data, "llamafactory-demos", "c4_demo")
    return {
        "U+FFFD": ("replacement_chars", set(known["mojibake_rows"])),
        "HTML entities": ("html", set(known["html_entity_rows"])),
        "zero-width characters": ("zero_width_chars", set(known["control_or_zero_width_rows"])),
        "e-mail addresses": ("emails", set(known["email_rows"])),
        "web addresses": ("urls", set(known["url_rows"])),
    }


def _glaive(data: Path) -> Rows:
    path = data / "llamafactory-demos" / "glaive_toolcall_en_demo.json"
    roles = {"human": "user", "gpt": "assistant"}
    rows = []
    for row in json.loads(path.read_text(encoding="utf-8")):
        turns = [turn for turn in row["conversations"] if turn["from"] in roles]
        messages = [{"role": roles[turn["from"]], "content": turn["value"]} for turn in turns]
        rows.append({"messages": messages})
    return rows


def _banking(split: str) -> Callable[[Path], Rows]:
    def rows(data: Path) -> Rows:
        with (data / "banking77" / f"{split}.csv").open(encoding="utf-8", newline="") as file:
            return [
                {"prompt": r["text"], "completion": r["category"]} for r in csv.DictReader(file)
            ]

    return rows


def _banking_defects(data: Path) -> dict[str, tuple[str, set[int]]]:
    known = _known(data, "banking77")
    overlap = known["train_test_overlap_exact_after_normalising"]
    return {
        "duplicates (normalised)": ("duplicate", set(known["train"]["normalised_duplicate_rows"])),
        "leaks into test": ("leaks_into_test", {train for _test, train in overlap}),
    }


def _bitext(data: Path) -> Rows:
    with (data / "bitext-conflicted" / "clean.csv").open(encoding="utf-8-sig", newline="") as file:
        return [{"prompt": r["utterance"], "completion": r["intent"]} for r in csv.DictReader(file)]


def _bitext_defects(data: Path) -> dict[str, tuple[str, set[int]]]:
    known = _known(data, "bitext-conflicted", "clean.csv")
    return {"duplicates (normalised)": ("duplicate", set(known["normalised_duplicate_rows"]))}


def _taskmaster(split: str) -> Callable[[Path], Rows]:
    def rows(data: Path) -> Rows:
        path = data / "taskmaster4-chat" / f"{split}.jsonl"
        return [{"messages": json.loads(line)["messages"]} for line in _lines(path)]

    return rows


def _mgsm(data: Path) -> Rows:
    """Return the 250 leaked rows, and as many of gsm8k's own training set so that some stay."""
    pairs = (line.split("\t") for line in _lines(data / "mgsm" / "mgsm_en.tsv"))
    leaked = [{"question": question, "answer": answer} for question, answer in pairs]
    return leaked + _gsm8k("train").rows(data)[:250]


def _seed_tasks(data: Path) -> Rows:
    rows = map(json.loads, _lines(data / "selfinstruct-seed" / "seed_tasks.jsonl"))
    return [{"instruction": r["instruction"], **r["instances"][0]} for r in rows]


def _stories(data: Path) -> Rows:
    text = (data / "tinytext" / "tinystories-77k.txt").read_bytes().decode("utf-8")
    return [{"text": line} for line in text.split("\r\n")]


def _stories_defects(data: Path) -> dict[str, tuple[str, set[int]]]:
    known = _known(data, "tinytext", "tinystories-77k.txt", "mojibake_lines_1_based")
    return {"mojibake": ("mojibake", {line - 1 for line in known})}


def _one(key: str, column: str, words: str, *where: str) -> Callable[[Path], Any]:
    return lambda data: {words: (column, set(_known(data, *where)[key]))}


SETS = (
    _gsm8k("train"),
    _gsm8k("test"),
    _gpteacher("codegen-instruct"),
    _gpteacher("roleplay-instruct"),
    _gpteacher("toolformer-similarity-0.9"),
    Graded("banking77", _banking("train"), _banking_defects, test_rows=_banking("test")),
    Graded("bitext clean", _bitext, _bitext_defects),
    Graded(
        "taskmaster4",
        _taskmaster("train"),
        lambda data: {
            "chats that end with the user": (
                "wrong_roles",
                set(_known(data, "taskmaster4-chat", "not_ending_with_assistant", "train")),
            )
        },
        test_rows=_taskmaster("test"),
    ),
    Graded(
        "identity",
        lambda data: _alpaca(data / "llamafactory-demos" / "identity.json"),
        _identity_defects,
    ),
    Graded(
        "c4",
        lambda data: [
            {"text": json.loads(line)["text"]}
            for line in _lines(data / "llamafactory-demos" / "c4_demo.jsonl")
        ],
        _c4_defects,
    ),
    Graded(
        "glaive",
        _glaive,
        _one(
            *("duplicate_conversations", "duplicate", "duplicate conversations"),
            *("llamafactory-demos", "glaive_toolcall_en_demo"),
        ),
    ),
    Graded("sms-spam", _sms, _sms_defects),
    _presidio(),
    Graded(
        "mgsm_en + gsm8k, gsm8k as test",
        _mgsm,
        lambda data: {"rows of gsm8k's test set": ("leaks_into_test", set(range(250)))},
        test_rows=_gsm8k("test").rows,
    ),
    Graded(
        "selfinstruct-seed",
        _seed_tasks,
        _one("email_rows", "emails", "e-mail addresses", "selfinstruct-seed"),
    ),
    Graded("tinystories", _stories, _stories_defects),
)
