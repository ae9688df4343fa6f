"""Parquet, and the Arrow files of a saved `datasets` directory: rows by number.

A column that unpacks to more than it can be text, or than there is memory, is refused by what the
file's own footer says, before it is unpacked. Class labels that `datasets` saved as numbers are given their names back, which stand in the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import DataError
from tasks.readers.raw import KEPT_CHARACTERS, RawRow, oversized
from tasks.readers.streams import MAX_RATIO, RATIO_COUNTS_FROM_BYTES

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

__all__ = ["read"]

#: Rows read at once. A dictionary can make each as large as a column, so fewer where that is much.
BATCH_ROWS, LEAST_BATCH_ROWS = 256, 16
BATCH_BYTES = 2**28
#: Rows that are this large on average, from a file that is not, are a bomb made of a dictionary.
LARGE_ROW_CHARACTERS = 2**20
#: Text packs 3- to 10-fold; what packs better is weighed against the memory that is free.
USUAL_RATIO = 10
#: Text of a row beyond which it is no example, see `raw.MAX_ROW_BYTES`.
MAX_ROW_CHARACTERS = 16 * 2**20


def read(path: Path, column_names: Sequence[str] = ()) -> Iterator[RawRow]:
    """Yield every row.

    Raises:
        DataError: The file is damaged or of another kind.
    """
    import pyarrow

    del column_names
    number, characters, packed = 0, 0, path.stat().st_size
    try:
        for batch in _batches(path):
            names = _class_names(batch.schema)
            for value in _rows(batch):
                number += 1
                longest = _longest(value)
                characters += len(longest)
                limit = max(RATIO_COUNTS_FROM_BYTES, MAX_RATIO * packed)
                if characters > limit and characters > number * LARGE_ROW_CHARACTERS:
                    raise DataError(
                        f"{path}: row {number}: {packed:,} bytes have unpacked to {characters:,} "
                        "characters: this looks like a compression bomb. If it is not, write it "
                        "again as JSONL."
                    )
                yield _row(number, value, longest, names)
    except (pyarrow.ArrowException, OSError, NotImplementedError, UnicodeDecodeError) as error:
        kind = "Parquet" if path.suffix.lower() == ".parquet" else "Arrow"
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: is no readable {kind} file ({why}). Write it again.") from None


def _batches(path: Path) -> Iterator[pyarrow.RecordBatch]:
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(path) as file:
            _refuse_bomb(path, file.metadata)
            yield from file.iter_batches(batch_size=_batch_rows(file.metadata))
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
                part = batch.slice(start, BATCH_ROWS)
                _refuse_broken_offsets(part)
                yield part


def _refuse_broken_offsets(batch: pyarrow.RecordBatch) -> None:
    """Raise ArrowInvalid where a value points outside its column.

    Arrow files are mapped into memory as they are, and pyarrow follows a spoilt offset wherever it
    points. Text that is not UTF-8 is found after the offsets and passes: it costs its row only.
    """
    import pyarrow

    for column in batch.columns:
        try:
            column.validate(full=True)
        except pyarrow.ArrowInvalid as error:
            if not pyarrow.types.is_string(column.type) or "UTF8" not in str(error):
                raise


def _refuse_bomb(path: Path, about: pyarrow.parquet.FileMetaData) -> None:
    """Refuse a file with a column chunk that grows beyond reason, or beyond the memory, unpacked.

    A chunk is what stands together: a column within a row group. One chunk of zeros beside honest
    ones is enough to fill the memory, so the ratio of the whole file says too little.
    """
    free = _free_bytes()
    for group in range(about.num_row_groups):
        for column in range(about.num_columns):
            chunk = about.row_group(group).column(column)
            packed, unpacked = chunk.total_compressed_size, chunk.total_uncompressed_size
            where = f"{path}: row group {group + 1}, column {chunk.path_in_schema}"
            grows = f"{packed:,} bytes unpack to {unpacked:,}"
            if unpacked > max(RATIO_COUNTS_FROM_BYTES, MAX_RATIO * packed):
                raise DataError(
                    f"{where}: {grows}: this looks like a compression bomb. If it is not, write it "
                    "again without compression."
                )
            if unpacked > USUAL_RATIO * packed and unpacked > free:
                raise DataError(
                    f"{where}: {grows}, and {free:,} bytes of memory are free. Write it again in "
                    "smaller row groups."
                )


def _batch_rows(about: pyarrow.parquet.FileMetaData) -> int:
    """Return how many rows to read at once; a row is at most as large as a chunk's dictionary."""
    chunks = (
        about.row_group(group).column(column)
        for group in range(about.num_row_groups)
        for column in range(about.num_columns)
    )
    largest = max((x.total_uncompressed_size for x in chunks if x.has_dictionary_page), default=0)
    return min(BATCH_ROWS, max(LEAST_BATCH_ROWS, BATCH_BYTES // max(1, largest)))


def _free_bytes() -> int:
    """Return the memory that is free; where nobody says (no /proc), as much as one could want."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 2**63
    return next((int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable")), 2**63)


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


def _longest(value: dict[str, Any] | None) -> str | bytes:
    texts = (each for each in (value or {}).values() if isinstance(each, str | bytes))
    return max(texts, key=len, default="")


def _row(
    number: int, value: dict[str, Any] | None, longest: str | bytes, names: dict[str, list[str]]
) -> RawRow:
    if value is None:
        return RawRow(number, None, "undecodable")
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
