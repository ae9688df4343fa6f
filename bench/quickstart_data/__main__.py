"""Write the quickstart data set: `python -m bench.quickstart_data [folder]`.

train.jsonl has known values, wording and templates only, and about 2 % planted defects, listed
by line in known_defects.json. test.jsonl is clean: a quarter known, the rest held out in one or
in all three respects. The mails are composed in `mails.py`.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

from bench.quickstart_data import wording as usual
from bench.quickstart_data.mails import Row, row

SEED = 20261123
TRAIN_ROWS = 3_000
TEST_ROWS = {  # (values, wording, template) held out → rows
    (False, False, False): 125,
    (True, False, False): 125,
    (False, True, False): 100,
    (False, False, True): 75,
    (True, True, True): 75,
}
DEFECTS = {
    "duplicate": 20, "empty_answer": 8, "over_long": 4, "leakage": 6, "broken_json": 3, "wrong_role_order": 2,
    "unknown_role": 1, "missing_content": 1, "mojibake": 4, "email_address": 4, "api_key": 2,
}  # fmt: skip


def main() -> None:
    """Write the three files into the folder of the command line."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("tasks/assets/quickstart")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in generate().items():
        (folder / name).write_text(text, encoding="utf-8")


def generate(test_rows: Mapping[tuple[bool, bool, bool], int] = TEST_ROWS) -> dict[str, str]:
    """Return the text of every file by its name."""
    rng = random.Random(SEED)
    seen: set[str] = set()
    test = [
        unique(rng, seen, held_values=v, held_wording=w, held_template=t)
        for (v, w, t), count in test_rows.items()
        for _ in range(count)
    ]
    rng.shuffle(test)
    train = [
        unique(rng, seen, held_values=False, held_wording=False, held_template=False)
        for _ in range(TRAIN_ROWS)
    ]
    lines, defects = spoil(rng, train, test)
    return {
        "train.jsonl": "".join(line + "\n" for line in lines),
        "test.jsonl": "".join(dump(line) + "\n" for line in test),
        "known_defects.json": json.dumps(defects, indent=1) + "\n",
    }


def unique(rng: random.Random, seen: set[str], wording: ModuleType = usual, **held: bool) -> Row:
    """Return a row whose mail is not in `seen`, and note it there."""
    while True:
        made = row(rng, wording=wording, **held)
        text = made["messages"][0]["content"]
        if text not in seen:
            seen.add(text)
            return made


def spoil(
    rng: random.Random, train: list[Row], test: list[Row]
) -> tuple[list[str], dict[str, list[int]]]:
    """Return the training lines with defects planted, and the 1-based lines of each defect.

    A duplicate or a leaked row is added; every other defect spoils a row that was good. Each
    defect has rows of its own; what is listed as a duplicate is the second copy.
    """
    lines = [dump(line) for line in train]
    names: list[str | None] = [None] * len(lines)
    spots = rng.sample(range(len(lines)), sum(DEFECTS.values()))
    known = [line for line in test if line["kind"] == "known"]
    leaked = rng.sample(known, DEFECTS["leakage"])
    additions: list[tuple[str, str]] = [("leakage", dump(line)) for line in leaked]
    for name, count in DEFECTS.items():
        for _ in range(count if name != "leakage" else 0):
            spot = spots.pop()
            if name == "duplicate":
                additions.append((name, lines[spot]))
                continue
            lines[spot] = SPOILERS[name](rng, lines[spot])
            names[spot] = name
    for name, line in additions:
        # A second copy stands in the last tenth, behind its original or at least behind most rows.
        first = lines.index(line) + 1 if name == "duplicate" else 0
        spot = rng.randint(max(first, len(lines) * 9 // 10), len(lines))
        lines.insert(spot, line)
        names.insert(spot, name)
    return lines, {
        name: [i for i, found in enumerate(names, 1) if found == name] for name in DEFECTS
    }


def dump(line: Row) -> str:
    """Return the row as one line of JSON."""
    return json.dumps(line, ensure_ascii=False)


def _edit_mail(change: Callable[[random.Random, str], str]) -> Callable[[random.Random, str], str]:
    """Return a spoiler that changes the text of the mail."""

    def spoiler(rng: random.Random, line: str) -> str:
        parsed = json.loads(line)
        parsed["messages"][0]["content"] = change(rng, parsed["messages"][0]["content"])
        return dump(parsed)

    return spoiler


def _edit_messages(
    change: Callable[[list[dict[str, str]]], object],
) -> Callable[[random.Random, str], str]:
    """Return a spoiler that changes the list of messages in place."""

    def spoiler(rng: random.Random, line: str) -> str:
        del rng
        parsed = json.loads(line)
        change(parsed["messages"])
        return dump(parsed)

    return spoiler


def _log(rng: random.Random, mail: str) -> str:
    """Return the mail with a pasted device log, far over 256 tokens."""
    entries = (
        f"2026-10-{rng.randint(10, 28)} 12:{rng.randint(10, 59)}:07 WARN sensor {i} value {rng.random():.6f}"
        for i in range(40)
    )
    return mail + "\n" + "\n".join(entries)


def _api_key(rng: random.Random, mail: str) -> str:
    """Return the mail with an invented key of a well-known shape."""
    key = "sk-EXAMPLE" + "".join(rng.choice("0123456789abcdef") for _ in range(22))
    return f"{mail}\nMy key for your API is {key}"


SPOILERS: dict[str, Callable[[random.Random, str], str]] = {
    "empty_answer": _edit_messages(lambda messages: messages[1].update(content="")),
    "over_long": _edit_mail(_log),
    "broken_json": lambda rng, line: line[: rng.randint(len(line) // 3, len(line) // 2)],
    "wrong_role_order": _edit_messages(lambda messages: messages.reverse()),
    "unknown_role": _edit_messages(lambda messages: messages[1].update(role="bot")),
    "missing_content": _edit_messages(lambda messages: messages[1].pop("content")),
    "mojibake": _edit_mail(
        lambda rng, mail: f"Itâ€™s about your cafÃ© offer {rng.randint(2, 9)} â€“ {mail}"
    ),
    "email_address": _edit_mail(
        lambda rng, mail: f"{mail}\nWrite to customer{rng.randint(100, 999)}@example.com"
    ),
    "api_key": _edit_mail(_api_key),
}


if __name__ == "__main__":
    main()
