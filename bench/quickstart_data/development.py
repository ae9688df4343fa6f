"""A second, inner data set to choose settings by: `python -m bench.quickstart_data.development FOLDER`.

Rows split off the training file share its values, wordings and layouts, and do not show how far
these carry; the held-out ones of test.jsonl must not choose anything. So here a sixth of every
*known* table is held out, the test side of the tables is not used, and the form is the same:
train.jsonl, and a test.jsonl of half as many rows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.quickstart_data import __main__ as whole
from bench.quickstart_data import values, wording

__all__ = ["generate"]

#: One entry of so many is held out.
EVERY = 6


def main() -> None:
    """Write the files into the folder of the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in generate().items():
        (folder / name).write_text(text, encoding="utf-8")


def generate() -> dict[str, str]:
    """Return train.jsonl, test.jsonl and known_defects.json by name."""
    rows = {parts: count // 2 for parts, count in whole.TEST_ROWS.items()}
    with _known_tables_split_again():
        return whole.generate(rows)


@contextmanager
def _known_tables_split_again() -> Iterator[None]:
    tables = [table for module in (values, wording) for table in _tables_of(module)]
    sides = [dict(table) for table in tables]
    for table in tables:
        known = table["known"]
        pairs = list(known.items()) if isinstance(known, dict) else list(known)
        held = pairs[EVERY - 1 :: EVERY] or pairs[-1:]
        rest = [pair for pair in pairs if pair not in held]
        for side, chosen in (("known", rest), ("held_out", held)):
            table[side] = dict(chosen) if isinstance(known, dict) else chosen
    try:
        yield
    finally:
        for table, both in zip(tables, sides, strict=True):
            table.update(both)


def _tables_of(module: object) -> Iterator[dict[str, Any]]:
    """Yield every dictionary of a module with the two sides."""
    for value in vars(module).values():
        if isinstance(value, dict):
            if set(value) == {"known", "held_out"} and value is not values.MAKES_PER_SIDE:
                yield value
            elif all(isinstance(inner, dict) for inner in value.values()):
                yield from (
                    inner for inner in value.values() if set(inner) == {"known", "held_out"}
                )


if __name__ == "__main__":
    main()
