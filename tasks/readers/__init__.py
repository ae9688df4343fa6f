"""Kinds of files, one reader each: every row with the line it stood on, nothing lost on the way in."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from tasks.readers import columnar, csv_lines, json_lines, json_list, text_lines, tsv_lines
from tasks.readers.streams import PACKED

__all__ = ["KINDS", "kind_of"]

#: Suffix -> module with `read(path, column_names)`. A name may end in .gz or .zst beyond these.
KINDS: dict[str, ModuleType] = {
    ".jsonl": json_lines,
    ".ndjson": json_lines,
    ".json": json_list,
    ".csv": csv_lines,
    ".tsv": tsv_lines,
    ".txt": text_lines,
    ".parquet": columnar,
    ".arrow": columnar,
}


def kind_of(path: Path) -> str:
    """Return the suffix that says how a file is read (`.csv` for rows.csv.gz), else nothing."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] and suffixes[-1] in PACKED
    kind = suffixes[-2] if packed and len(suffixes) > 1 else suffixes[-1] if suffixes else ""
    if kind not in KINDS or (packed and KINDS[kind] is columnar):
        return ""
    return kind
