"""Parquet bombs: a small file that unpacks to more than there is room for is refused unopened."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tasks.errors import DataError
from tasks.profile.reading import read_rows
from tasks.readers import columnar

MEBIBYTE = 2**20


def write(path: Path, mebibytes: int, *, codec: str = "zstd", rows: int = 32) -> Path:
    """Write rows of an honest column and of one that is one letter over and over."""
    text = "a" * (mebibytes * MEBIBYTE // rows)
    columns = {"prompt": [f"question {n}" for n in range(rows)], "completion": [text] * rows}
    table = pyarrow.table(columns)
    pyarrow.parquet.write_table(table, path, compression=codec, use_dictionary=False)
    return path


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_a_small_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path, codec: str) -> None:
    bomb = write(tmp_path / "bomb.parquet", 96, codec=codec)
    assert bomb.stat().st_size < 0.5 * MEBIBYTE
    pool = pyarrow.system_memory_pool()
    before = pyarrow.default_memory_pool()
    pyarrow.set_memory_pool(pool)
    try:
        already = pool.bytes_allocated()
        with pytest.raises(
            DataError, match=r"row group 1, column completion: .*100,\d{3},\d{3}.*bomb"
        ):
            list(read_rows(bomb))
        assert max(pool.max_memory() - already, 0) < 32 * MEBIBYTE
    finally:
        pyarrow.set_memory_pool(before)


def test_what_packs_unusually_well_has_to_fit_the_free_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below what is suspicious in itself, the room there is decides."""
    path = write(tmp_path / "d.parquet", 16)
    assert len(list(read_rows(path))) == 32
    monkeypatch.setattr(columnar, "_free_bytes", lambda: 8 * MEBIBYTE)
    with pytest.raises(DataError, match=r"8,388,608 bytes of memory are free.*smaller row groups"):
        list(read_rows(path))


def test_free_memory_is_a_number_of_this_machine() -> None:
    assert 64 * MEBIBYTE < columnar._free_bytes() <= 2**63


def test_rows_that_are_all_alike_are_no_bomb(tmp_path: Path) -> None:
    """A dictionary holds the text once; its pages are small before they are packed, too."""
    table = pyarrow.table(
        {"prompt": ["the same question"] * 20_000, "completion": ["yes"] * 20_000}
    )
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet", compression="zstd")
    assert sum(1 for _ in read_rows(tmp_path / "d.parquet")) == 20_000


def test_a_dictionary_of_one_huge_text_is_refused_after_a_few_rows(tmp_path: Path) -> None:
    """A thousand bytes that say 300 GB: every one of 20,000 rows is the same 15 MiB."""
    huge = pyarrow.array(["a" * (15 * MEBIBYTE)])
    rows = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 20_000, "int32"), huge)
    path = tmp_path / "d.parquet"
    pyarrow.parquet.write_table(
        pyarrow.table({"text": rows}), path, compression="zstd", dictionary_pagesize_limit=2**30
    )
    assert path.stat().st_size < 2000
    with pytest.raises(DataError, match=r"row 5: .* bytes have unpacked to .*compression bomb"):
        list(read_rows(path))


def test_a_long_prompt_in_every_row_is_no_bomb(tmp_path: Path) -> None:
    prompts = ["the rules of the house, in full. " * 500] * 8000
    table = pyarrow.table({"prompt": prompts, "completion": [str(n) for n in range(8000)]})
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet", compression="zstd")
    assert sum(len(row.raw["prompt"]) for row in read_rows(tmp_path / "d.parquet")) > 2**26
