"""Mutated files of every kind: rows or an error that names the file, no traceback, no lost row.

A seeded sample runs always; 10,000 files run with `make stress`. What is mutated: bytes of the file,
and the structure of its rows (values swapped for others, keys dropped, nested, repeated).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from tasks.errors import DataError, RecipeError
from tasks.profile.keys import content_key
from tasks.profile.reading import read_rows
from tasks.profile.rows import REASONS
from tasks.profile.shapes import Row, choose_shape
from tasks.recipe import DatasetSection

ASK, SAY = {"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}
CALL = {"function": {"name": "f", "arguments": "{}"}}
TOOLS = [{"name": "f", "parameters": {}}]
SEEDS: list[Row] = [
    {"messages": [ASK, SAY], "system": "s", "tools": json.dumps(TOOLS)},
    {"messages": [ASK, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "1"}, SAY]},
    {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    {"instruction": "a", "input": "", "output": "b", "history": [["c", "d"]]},
    {"prompt": "a", "completion": "b"},
    {"prompt": [ASK], "completion": [SAY]},
    {"text": "### Human: a### Assistant: b"},
    {"text": "a long text", "label": "x"},
    {"prompt": "a", "chosen": "b", "rejected": "c"},
    {"chosen": [ASK, SAY], "rejected": [ASK, {**SAY, "content": "c"}]},
    {"text": "words"},
]  # fmt: skip
ODD: list[Any] = [
    *(None, "", " ", 0, -1, 1.5, True, [], {}, [[]], [None], {"a": None}, "\ud800", "\0", "é" * 9),
    *(
        10**30,
        "[",
        '{"a": 1}',
        [{"role": "user"}],
        {"role": 3, "content": []},
        "NaN",
        [1, [2, [3]]],
    ),
]
BYTES = (
    b"\0",
    b"\xff",
    b"\n",
    b"\r",
    b'"',
    b"{",
    b"]",
    b",",
    b"\t",
    b"\xef\xbb\xbf",
    b"\\u",
    b"1e999",
)
SECONDS_A_FILE = 20


def mutated_value(rng: random.Random, value: Any, depth: int = 0) -> Any:
    """Return the value with one place of it changed."""
    if depth > 4 or rng.random() < 0.25 or not value or not isinstance(value, dict | list):
        return rng.choice(ODD)
    if isinstance(value, dict):
        key = rng.choice(list(value))
        change = rng.randrange(4)
        if change == 0:
            return {name: each for name, each in value.items() if name != key}
        if change == 1:
            return {(f"{name}x" if name == key else name): each for name, each in value.items()}
        return {**value, key: mutated_value(rng, value[key], depth + 1)}
    at = rng.randrange(len(value))
    inner = mutated_value(rng, value[at], depth + 1)
    return [*value[:at], *rng.choice([[], [inner], [value[at], inner]]), *value[at + 1 :]]


def mutated_bytes(rng: random.Random, content: bytes) -> bytes:
    """Return the bytes with some of them flipped, cut, doubled or put in."""
    for _ in range(rng.randrange(3)):
        at = rng.randrange(len(content) + 1)
        change = rng.randrange(4)
        if change == 0:
            content = content[:at] + rng.choice(BYTES) + content[at:]
        elif change == 1:
            content = content[:at]
        elif change == 2:
            content = content[:at] + content[at : at + 20] * 2 + content[at + 20 :]
        else:
            content = content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
    return content


def written(kind: str, rows: list[Any]) -> bytes:
    """Return rows as a file of a kind."""
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    if kind == "jsonl":
        return lines
    if kind == "json":
        return json.dumps(rows).encode()
    if kind == "jsonl.gz":
        return gzip.compress(lines, 1)
    table = [{str(k): str(v) for k, v in row.items()} for row in rows if isinstance(row, dict)]
    names = sorted({name for row in table for name in row}) or ["a"]
    if kind in ("csv", "tsv"):
        out = io.StringIO()
        writer = csv.DictWriter(out, names, delimiter="," if kind == "csv" else "\t")
        writer.writeheader()
        writer.writerows(table)
        return out.getvalue().encode("utf-8", errors="surrogatepass")
    clean = [{k: v.encode("utf-8", "replace").decode() for k, v in row.items()} for row in table]
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(clean or [{"a": "b"}]), sink)
    return sink.getvalue().to_pybytes()


def cases(seed: int, count: int) -> Iterator[tuple[int, str, bytes, bool]]:
    """Yield number, kind, content, and whether all bytes are as they were written."""
    for number in range(seed, seed + count):
        rng = random.Random(number)
        kind = rng.choice(["jsonl", "jsonl", "json", "jsonl.gz", "csv", "tsv", "parquet"])
        row = rng.choice(SEEDS)
        rows: list[Any] = [row] * rng.randrange(1, 4)
        rows += [mutated_value(rng, row) for _ in range(rng.randrange(3))]
        content = written(kind, rows)
        changed = mutated_bytes(rng, content)
        yield number, kind, changed, changed == content


def run(path: Path, section: DatasetSection, *, has_template: bool) -> int:
    """Read a file to canonical rows; return how many rows it had."""
    rows = list(read_rows(path))
    assert all(row.problem is None or row.problem in REASONS for row in rows)
    for row in rows:
        json.dumps(row.raw, default=str)
    sample = [row.raw for row in rows if row.problem is None]
    try:
        shape = choose_shape(section, sample, has_template=has_template)
    except DataError:
        return len(rows)
    for row in sample:
        canonical, reasons = shape.to_canonical(row)
        assert (canonical is None) == bool(reasons)
        assert set(reasons) <= set(REASONS)
        if canonical is not None:
            json.dumps(canonical, ensure_ascii=False).encode("utf-8")
            content_key(canonical)
    return len(rows)


def fuzz(folder: Path, seed: int, count: int, limit: Callable[[], Any]) -> None:
    for number, kind, content, whole in cases(seed, count):
        path = folder / f"d.{kind}"
        path.write_bytes(content)
        rng = random.Random(number)
        section = DatasetSection(
            path=str(path), format=rng.choice(["auto"] * 3 + ["messages", "text"])
        )
        limit()
        try:
            rows = run(path, section, has_template=rng.random() < 0.5)
        except (DataError, RecipeError) as error:
            told = str(error)
            if path.name not in told:
                pytest.fail(f"case {number}: {told}")
        except Exception as error:
            pytest.fail(f"case {number} ({kind}): {type(error).__name__}: {error}")
        else:
            if kind in ("jsonl", "jsonl.gz"):
                raw = gzip.decompress(content) if kind.endswith("gz") else content
                lines = [
                    line for line in raw.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()
                ]
                assert rows == len(lines), f"case {number}"
            elif whole and kind == "json":
                assert rows == len(json.loads(content)), f"case {number}"


@pytest.fixture
def limit() -> Iterator[Callable[[], Any]]:
    """Give each file some seconds: a hang is a failure too."""
    yield lambda: signal.alarm(SECONDS_A_FILE)
    signal.alarm(0)


def test_a_sample_of_mutated_files(tmp_path: Path, limit: Callable[[], Any]) -> None:
    fuzz(tmp_path, 0, 400, limit)


@pytest.mark.stress
@pytest.mark.timeout(3600)
def test_ten_thousand_mutated_files(tmp_path: Path, limit: Callable[[], Any]) -> None:
    fuzz(tmp_path, 1000, 10_000, limit)
