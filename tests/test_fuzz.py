"""Fuzz: whatever stands in a file, it is prepared or refused in one sentence, and no row is lost.

150 mutated files in `make test`, 10,000 in `make stress`, whose counts go to `bench/results/`.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import DataError, RecipeError
from tasks.loading import load_tokenizer
from tasks.profile.assembling import Assembler
from tasks.recipe import DatasetSection
from tests.mutations import mutated_file
from tests.preparing import POSITIONS, read_jsonl, tiny_base

RESULTS = Path(__file__).parents[1] / "bench" / "results" / "fuzz.json"
FEW, MANY = range(150), range(1_000, 11_000)
#: No trial may take more of a core; the largest file has a few hundred kilobytes.
MOST_SECONDS = 10.0


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(tiny_base().path)


def trial(folder: Path, seed: int, tokenizer: Any) -> str:
    """Prepare one mutated file; return what became of it."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "run").mkdir(parents=True)
    path = mutated_file(folder, seed)
    dataset = DatasetSection(path=str(path))
    base = Path(tiny_base().path)
    assembler = Assembler(
        dataset, tokenizer, base, POSITIONS, lambda _event: None, folder / "known"
    )
    start = time.process_time()
    try:
        splits = assembler.assemble(folder / "run")
    except (DataError, RecipeError) as error:
        told = str(error)
        assert told, seed
        outcome = type(error).__name__
    else:
        out = sum(getattr(splits, name).rows for name in ("train", "validation", "test"))
        rejected = read_jsonl(folder / "run" / "rejected.jsonl")
        assert splits.rows_in == out + sum(splits.rejected.values()), seed
        assert len(rejected) == sum(splits.rejected.values()), seed
        if path.suffix == ".jsonl":
            assert splits.rows_in == _lines(path), seed
        outcome = "prepared with rejected rows" if rejected else "prepared"
    assert time.process_time() - start < MOST_SECONDS, seed
    return outcome


def _lines(path: Path) -> int:
    """Count the lines of a file that are not blank, apart from our readers."""
    text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    return sum(1 for line in text.split("\n") if line.strip())


def test_a_sample_of_mutated_files_is_prepared_or_refused(tmp_path: Path, tokenizer: Any) -> None:
    outcomes = Counter(trial(tmp_path / "trial", seed, tokenizer) for seed in FEW)
    assert set(outcomes) >= {"DataError", "prepared", "prepared with rejected rows"}, outcomes
    assert min(outcomes.values()) > 5


@pytest.mark.stress
@pytest.mark.timeout(7200)
def test_ten_thousand_mutated_files_are_prepared_or_refused(tmp_path: Path, tokenizer: Any) -> None:
    start = time.monotonic()
    outcomes = Counter(trial(tmp_path / "trial", seed, tokenizer) for seed in MANY)
    told = {"seeds": [MANY.start, MANY.stop], "seconds": round(time.monotonic() - start)}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({**told, "outcomes": outcomes}, indent=1) + "\n")
    assert outcomes.total() == 10_000
