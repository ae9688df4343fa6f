"""The second reading: canonical rows go to their split's file, the others, untouched, to another.

The first reading decided; here texts are read again, in the same order, and written with the name
and line of their source. The numeric profile of every input row is written as Parquet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tasks.contracts import Split
from tasks.errors import DataError
from tasks.profile.measuring import PROGRESS_ROWS, rows_of
from tasks.profile.privacy import as_trained
from tasks.profile.rows import REASONS, STRUCTURE, DataFile, RowProfile
from tasks.profile.shapes import Shape
from tasks.profile.splitting import SPLITS
from tasks.run_folder import file_sha256
from tasks.signals.row import COLUMNS, WIDE

__all__ = ["COUNTS", "split_record", "write_profile", "write_rows"]

#: Profile columns that are counts of a row; all others but source, line and split are 0 or 1.
COUNTS = (
    *("tokens", "prompt_tokens", "loss_tokens", "answer_tokens", "truncated_tokens"),
    *("prompt_chars", "answer_chars", "bos_count"),
)


def write_rows(
    folder: Path,
    files: Sequence[DataFile],
    shape: Shape,
    profiles: Sequence[RowProfile],
    progress: Callable[[int], None],
) -> None:
    """Write train.jsonl, validation.jsonl, test.jsonl and rejected.jsonl, in file order.

    Raises:
        DataError: A file is not the one that was read first.
    """
    waiting = iter(profiles)
    with ExitStack() as stack:
        sinks = {
            name: stack.enter_context((folder / f"{name}.jsonl").open("w", encoding="utf-8"))
            for name in (*SPLITS, "rejected")
        }
        done = 0
        for file in files:
            for raw in rows_of(file):
                profile = next(waiting, None)
                place = {"source": file.source, "line": raw.line}
                row = None if raw.problem else shape.to_canonical(raw.raw)[0]
                if profile is None or profile.line != raw.line or (profile.kept and row is None):
                    raise _changed(file)
                if profile.kept and profile.split and row is not None:
                    sinks[profile.split].write(_line({**as_trained(profile, row), **place}))
                else:
                    reasons = sorted(profile.reasons, key=REASONS.index)
                    sinks["rejected"].write(_line({**place, "reasons": reasons, "row": raw.raw}))
                done += 1
                if done % PROGRESS_ROWS == 0:
                    progress(done)
    if next(waiting, None) is not None:
        raise _changed(files[-1])


def split_record(folder: Path, name: str, profiles: Sequence[RowProfile]) -> Split:
    """Return the record of one written split."""
    rows = [row for row in profiles if row.kept and row.split == name]
    path = folder / f"{name}.jsonl"
    return Split(
        path=f"{folder.name}/{path.name}",
        rows=len(rows),
        sha256=file_sha256(path),
        tokens=sum(row.tokens - row.truncated_tokens for row in rows),
        loss_tokens=sum(row.loss_tokens for row in rows),
    )


def write_profile(path: Path, profiles: Sequence[RowProfile]) -> None:
    """Write one row per input row: its place, its split or `rejected`, counts, and 0/1 columns."""
    import pyarrow
    import pyarrow.parquet

    def flags(true: Callable[[RowProfile], bool]) -> pyarrow.Array:
        return pyarrow.array((int(true(row)) for row in profiles), pyarrow.int8())

    def numbers(name: str) -> pyarrow.Array:
        return pyarrow.array((getattr(row, name) for row in profiles), pyarrow.int32())

    def signals(name: str) -> pyarrow.Array:
        width = pyarrow.int64() if name in WIDE else pyarrow.int16()
        return pyarrow.array((getattr(row.signals, name) for row in profiles), width)

    sources = pyarrow.array(row.file.source for row in profiles)
    table = pyarrow.table(
        {
            "source": sources.dictionary_encode(),
            "line": numbers("line"),
            "split": pyarrow.array(row.split if row.kept else "rejected" for row in profiles),
            **{name: numbers(name) for name in COUNTS},
            **{word: flags(lambda row, word=word: word in row.reasons) for word in REASONS},
            "overlength": flags(lambda r: "overlength" in r.reasons or r.truncated_tokens > 0),
            "bad_structure": flags(lambda row: not set(STRUCTURE).isdisjoint(row.reasons)),
            "leaked": flags(lambda row: any(word.startswith("leaks_") for word in row.reasons)),
            "conflict": flags(lambda row: row.conflict),
            "last_token_learned_is_eos": flags(lambda row: row.ends),
            **{name: signals(name) for name in COLUMNS},
        }
    )
    pyarrow.parquet.write_table(table, path, compression="zstd")


def _line(value: dict[str, Any]) -> str:
    """Return a JSON line; what JSON has no word for (dates, bytes) is written as its text."""
    return json.dumps(value, ensure_ascii=True, default=str) + "\n"


def _changed(file: DataFile) -> DataError:
    return DataError(f"{file.path}: changed while it was being read. Run again.")
