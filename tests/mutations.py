"""Files of rows that something happened to: a seeded generator of mutations, in bytes and in structure.

A file is sound JSON Lines, JSON, CSV, TSV or Parquet first; then one to three things are done to it
that happen in the field (cut off, joined, re-encoded, half-merged) or that somebody does on purpose
(depth, size, NUL bytes, halves of surrogate pairs). Equal seeds give equal files.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

__all__ = ["mutated_file"]

Row = dict[str, Any]

ODD_TEXTS = (
    *("", " ", "\u0000", "\ud800", "\udcff", "\u202e", "\ufeff", "NaN", "null", "<|im_end|>"),
    *("a" * 20_000, "{{7*7}}", "{% raw %}", "\x1b[2J", "=1+1", '"', "\\", "\r", "é" * 50),
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1e308, 10**400, [], {}, [[]], {"a": {}}, [None], "x"),
    *({"role": "user"}, [{"role": "assistant", "content": 3}], [1, "a", None]),
)
ODD_LINES = (
    *("<<<<<<< HEAD", "=======", ">>>>>>> theirs", "", "null", "[]", "{}", '"text"', "NaN", "{"),
    *(
        '{"a": 1, "a": 2}',
        "[" * 5_000,
        '{"messages": ' * 3_000,
        "\x00\x00",
        '{"a": "\\ud800"}',
        "//",
    ),
)


def mutated_file(folder: Path, seed: int) -> Path:
    """Write one file into a folder and return it; its name has the kind, its content the mutations."""
    rng = random.Random(seed)
    rows = _rows(rng)
    for _ in range(rng.randrange(3)):
        rng.choice(STRUCTURE)(rows, rng)
    kind = rng.choice(("jsonl", "jsonl", "jsonl", "json", "csv", "tsv", "parquet"))
    data = _written(kind, rows, rng)
    for _ in range(rng.randrange(3)):
        data = rng.choice(BYTES)(data, rng)
    path = folder / f"d{seed}.{kind}"
    path.write_bytes(data)
    return path


def _rows(rng: random.Random) -> list[Any]:
    shape = rng.choice(("messages", "pairs", "alpaca", "text", "sharegpt", "label"))
    return [_row(shape, number, rng) for number in range(rng.randrange(24, 48))]


def _row(shape: str, number: int, rng: random.Random) -> Row:
    asked, said = f"what is the colour of thing {number}", rng.choice(("red", "green", "blue"))
    return {
        "messages": {
            "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
        },
        "pairs": {"prompt": asked, "completion": said},
        "alpaca": {"instruction": asked, "input": "", "output": said},
        "text": {"text": f"{asked} {said}"},
        "sharegpt": {
            "conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": said}]
        },
        "label": {"text": asked, "label": said},
    }[shape]


def _written(kind: str, rows: list[Any], rng: random.Random) -> bytes:
    objects: list[Row] = [row if isinstance(row, dict) else {"row": row} for row in rows]
    if kind == "json":
        return json.dumps(
            rows, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 1))
        ).encode("utf-8", "surrogatepass")
    if kind == "jsonl":
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        return rng.choice(("\n", "\r\n")).join(lines).encode("utf-8", "surrogatepass")
    flat = [
        {str(k): v if isinstance(v, str) else json.dumps(v) for k, v in row.items()}
        for row in objects
    ]
    names = list(dict.fromkeys(name for row in flat for name in row))
    if kind == "parquet":
        table = {n: [_clean(row.get(n)) for row in flat] for n in names}
        sink = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(table), sink)
        return sink.getvalue()
    out = io.StringIO()
    writer = csv.DictWriter(out, names, delimiter="," if kind == "csv" else "\t", restval="")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue().encode("utf-8", "surrogatepass")


def _clean(value: str | None) -> str | None:
    return None if value is None else value.encode("utf-8", "replace").decode()


def _odd_value(rows: list[Any], rng: random.Random) -> None:
    row = rng.choice(rows)
    if isinstance(row, dict) and row:
        row[rng.choice(list(row))] = rng.choice(ODD_VALUES)


def _odd_text(rows: list[Any], rng: random.Random) -> None:
    row = rng.choice(rows)
    if isinstance(row, dict) and row:
        name = rng.choice(list(row))
        if isinstance(row[name], str):
            row[name] += rng.choice(ODD_TEXTS)
        elif isinstance(row[name], list) and row[name] and isinstance(row[name][0], dict):
            turn = rng.choice(row[name])
            turn[rng.choice(list(turn) or ["role"])] = rng.choice((*ODD_TEXTS, *ODD_VALUES))


def _lost_key(rows: list[Any], rng: random.Random) -> None:
    row = rng.choice(rows)
    if isinstance(row, dict) and row:
        row.pop(rng.choice(list(row)))


def _renamed_key(rows: list[Any], rng: random.Random) -> None:
    name = rng.choice(("Prompt", "messages", "", "a.b", "text", "é", "source", "line"))
    for row in rows if rng.random() < 0.5 else rows[:3]:
        if isinstance(row, dict) and row:
            row[name] = row.pop(next(iter(row)))


def _odd_row(rows: list[Any], rng: random.Random) -> None:
    rows.insert(rng.randrange(len(rows) + 1), rng.choice((*ODD_VALUES, *ODD_LINES)))


def _repeated(rows: list[Any], rng: random.Random) -> None:
    rows[:] = rows * rng.randrange(2, 4) if rng.random() < 0.5 else [rows[0]] * len(rows)


def _few(rows: list[Any], rng: random.Random) -> None:
    del rows[rng.randrange(4) :]
    rows.append({})


STRUCTURE: tuple[Callable[[list[Any], random.Random], None], ...] = (
    *(_odd_value, _odd_text, _lost_key, _renamed_key, _odd_row, _repeated, _few),
)


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 20)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    new = rng.choice((b"\x00", b"\xff\xfe", b"\n", b"\r", b'"', b"{", b"}", b",", b"\xed\xa0\x80"))
    return data[:at] + new * rng.choice((1, 2, 1000)) + data[at:]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _drop(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.randrange(1, 200) :]


def _joined(data: bytes, rng: random.Random) -> bytes:
    return data + rng.choice((b"", b"\n", b"\xef\xbb\xbf")) + data[: rng.randrange(len(data) + 1)]


def _line(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    line = rng.choice(ODD_LINES).encode("utf-8", "surrogatepass")
    lines.insert(rng.randrange(len(lines) + 1), line)
    return b"\n".join(lines)


def _recoded(data: bytes, rng: random.Random) -> bytes:
    text = data.decode("utf-8", "replace")
    return text.encode(rng.choice(("utf-16", "utf-8-sig", "cp1252", "utf-32")), "replace")


BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_flip, _insert, _cut, _drop, _joined, _line, _recoded),
)
