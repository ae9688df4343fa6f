"""Parquet, and the Arrow files of a saved `datasets` directory: rows by number.

Class labels that `datasets` saved as numbers are given their names back, which stand in the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import DataError
from tasks.readers.raw import KEPT_CHARACTERS, RawRow, oversized

if TYPE_CHECKING:
    import pyarrow

__all__ = ["read"]

#: Few, because a dictionary can make each as large as the whole file.
BATCH_ROWS = 256
#: Text of a row beyond which it is no example, see `raw.MAX_ROW_BYTES`.
MAX_ROW_CHARACTERS = 16 * 2**20


def read(path: Path, column_names: Sequence[str] = ()) -> Iterator[RawRow]:
    """Yield every row.

    Raises:
        DataError: The file is damaged or of another kind.
    """
    import pyarrow

    del column_names
    number = 0
    try:
        for batch in _batches(path):
            names = _class_names(batch.schema)
            for value in _rows(batch):
                number += 1
                yield _row(number, value, names)
    except (pyarrow.ArrowException, OSError, NotImplementedError, UnicodeDecodeError) as error:
        kind = "Parquet" if path.suffix.lower() == ".parquet" else "Arrow"
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: is no readable {kind} file ({why}). Write it again.") from None


def _batches(path: Path) -> Iterator[pyarrow.RecordBatch]:
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=BATCH_ROWS)
        return
    import pyarrow
    import pyarrow.ipc

    with pyarrow.memory_map(str(path)) as source:
        try:
            batches: Any = pyarrow.ipc.open_stream(source)
        except pyarrow.ArrowInvalid:
            source.seek(0)
            file = pyarrow.ipc.open_file(source)
            batches = (file.get_batch(each) for each in range(file.num_record_batches))
        for batch in batches:
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)


def _rows(batch: pyarrow.RecordBatch) -> Iterator[dict[str, Any] | None]:
    """Yield the rows as objects; None for one with text that is not UTF-8, or a date out of range."""
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError):
        for at in range(batch.num_rows):
            try:
                yield batch.slice(at, 1).to_pylist()[0]
            except (ValueError, OverflowError):
                yield None
        return
    yield from rows


def _row(number: int, value: dict[str, Any] | None, names: dict[str, list[str]]) -> RawRow:
    if value is None:
        return RawRow(number, None, "undecodable")
    texts = (each for each in value.values() if isinstance(each, str | bytes))
    longest = max(texts, key=len, default="")
    if len(longest) > MAX_ROW_CHARACTERS:
        return oversized(number, str(longest[:KEPT_CHARACTERS]))
    for column, known in names.items():
        label = value.get(column)
        if isinstance(label, int) and 0 <= label < len(known):
            value[column] = known[label]
    return RawRow(number, value)


def _class_names(schema: pyarrow.Schema) -> dict[str, list[str]]:
    """Return the names of each ClassLabel column, from what `datasets` writes into the schema."""
    try:
        about = json.loads((schema.metadata or {})[b"huggingface"])
        features = about["info"]["features"]
        return {
            name: feature["names"]
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
