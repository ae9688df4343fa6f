"""The second reading: canonical rows go to their split's file, the others, untouched, to another.

The first reading decided; here texts are read again, in the same order, and written with the name
and line of their source. The numeric profile of every input row is written as Parquet.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy

from tasks.contracts import Split
from tasks.errors import DataError
from tasks.profile.measuring import Meter, rows_of
from tasks.profile.privacy import as_trained
from tasks.profile.rows import COUNTS, REASONS, SPLITS, STRUCTURE, DataFile, Table
from tasks.run_folder import file_sha256
from tasks.signals.row import COLUMNS

__all__ = ["split_record", "write_profile", "write_rows"]

NEAR_LEAKS = ("near_leaks_into_test", "near_leaks_into_validation")
#: A row of which this share stands in a judging split is dirty (PaLM: 0.7 of the 8-grams).
OVERLAPPING = 0.7
PROGRESS_ROWS = 500


def write_rows(folder: Path, meter: Meter, table: Table, progress: Callable[[int], None]) -> None:
    """Write train.jsonl, validation.jsonl, test.jsonl and rejected.jsonl, in file order.

    Raises:
        DataError: A file is not the one that was read first.
    """
    lines, reasons = (table.rows[name].tolist() for name in ("line", "reasons"))
    splits = table.split.tolist()
    at = 0
    with ExitStack() as stack:
        sinks = [stack.enter_context(_opened(folder / f"{name}.jsonl")) for name in SPLITS]
        rejected = stack.enter_context(_opened(folder / "rejected.jsonl"))
        for number, file in enumerate(table.files):
            for raw in rows_of(file):
                if at >= len(lines) or lines[at] != raw.line:
                    raise _changed(file)
                place = {"source": file.source, "line": raw.line}
                if reasons[at]:
                    why = [word for bit, word in enumerate(REASONS) if reasons[at] >> bit & 1]
                    rejected.write(_line({**place, "reasons": why, "row": raw.raw}))
                else:
                    row = None if raw.problem else meter.shape.to_canonical(raw.raw, number)[0]
                    if row is None:
                        raise _changed(file)
                    trained = as_trained(row, table.rows[at], meter.marks)
                    sinks[splits[at]].write(_line({**trained, **place}))
                at += 1
                if at % PROGRESS_ROWS == 0:
                    progress(at)
    if at != len(lines):
        raise _changed(table.files[-1])


def split_record(folder: Path, name: str, table: Table) -> Split:
    """Return the record of one written split."""
    which = table.is_in(name)
    rows = table.rows[which]
    path = folder / f"{name}.jsonl"
    return Split(
        path=f"{folder.name}/{path.name}",
        rows=len(rows),
        sha256=file_sha256(path),
        tokens=int((rows["tokens"] - rows["truncated_tokens"]).sum()),
        loss_tokens=int(rows["loss_tokens"].sum()),
        near_duplicates=int((which & table.has("near_duplicate")).sum()),
    )


def write_profile(path: Path, table: Table) -> None:
    """Write one row per input row: its place, its split or `rejected`, counts, and 0/1 columns.

    `near_duplicate_cluster` is the number of the row that stands for a row's near-duplicates,
    counted from 0 over all files.
    """
    import pyarrow
    import pyarrow.parquet

    rows, kept = table.rows, table.kept
    names = numpy.array([*SPLITS, "rejected"])
    sources = numpy.array([file.source for file in table.files])

    def words(values: numpy.ndarray, which: numpy.ndarray) -> pyarrow.DictionaryArray:
        return pyarrow.DictionaryArray.from_arrays(
            pyarrow.array(which.astype("int32")), pyarrow.array(values.tolist())
        )

    columns = {
        "source": words(sources, rows["file"]),
        "line": rows["line"],
        "split": words(names, numpy.where(kept, table.split, len(SPLITS))),
        **{name: rows[name] for name in COUNTS},
        **{word: table.has(word).astype("int8") for word in REASONS},
        "bad_structure": table.has(*STRUCTURE).astype("int8"),
        "leaked": table.has("leaks_into_test", "leaks_into_validation").astype("int8"),
        "near_leaked": table.has(*NEAR_LEAKS).astype("int8"),
        "near_duplicate_cluster": table.cluster,
        **{f"overlap_{split}": share for split, share in table.overlap.items()},
        "overlapping": (table.most_overlap() >= OVERLAPPING).astype("int8"),
        "last_token_learned_is_eos": rows["ends"].astype("int8"),
        **{name: rows[name] for name in COLUMNS},
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path, compression="zstd")


def _opened(path: Path) -> Any:  # noqa: ANN401 - a text file
    return path.open("w", encoding="utf-8")


def _line(value: dict[str, Any]) -> str:
    """Return a JSON line; what JSON has no word for (dates, bytes) is written as its text."""
    return json.dumps(value, ensure_ascii=True, default=str) + "\n"


def _changed(file: DataFile) -> DataError:
    return DataError(f"{file.path}: changed while it was being read. Run again.")
