"""Which near-duplicate finder: recall at changed words, false alarms and CPU seconds of each.

`python -m bench.near_duplicates` writes bench/results/near_duplicates.json. Rows have 60 words; of
2,000 of 10,000 a copy with 1, 3 or 6 words replaced is added. datasketch and rensa are measured if
they are installed (`pip install datasketch rensa`); neither is a dependency. Their MinHash estimates
the similarity that ours then computes exactly; all have 64 functions and runs of three words.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import random
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy

from bench.gate_data import vocabulary
from tasks.profile.keys import row_keys
from tasks.profile.near import find_clusters
from tasks.profile.shingles import Texts
from tasks.profile.words import word_hashes

logger = logging.getLogger(__name__)
RESULT = Path("bench/results/near_duplicates.json")
ROWS, COPIES, WORDS = 10_000, 2_000, 60
FUNCTIONS, THRESHOLD = 64, 0.7

#: Texts -> for each the number of the row it is joined to, its own if to none.
Finder = Callable[[list[list[str]]], list[int]]


def main() -> None:
    """Measure every finder that is installed and write the result file."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    finders: dict[str, Finder] = {"ours": ours}
    for name, finder in (("datasketch", datasketch), ("rensa", rensa)):
        if importlib.util.find_spec(name):
            finders[f"{name} {version(name)}"] = finder
    result = {name: measure(finder) for name, finder in finders.items()}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    logger.info("%s", json.dumps(result))


def measure(finder: Finder) -> dict[str, float]:
    """Return recall at each number of changed words, false alarms and CPU seconds."""
    words = vocabulary(random.Random(0))
    found: dict[str, float] = {}
    for changed in (1, 3, 6):
        rng = random.Random(changed)
        rows = [rng.choices(words, k=WORDS) for _ in range(ROWS)]
        for row in rows[:COPIES]:
            copy = list(row)
            for place in rng.sample(range(WORDS), changed):
                copy[place] = rng.choice(words)
            rows.append(copy)
        start = time.process_time()
        joined = finder(rows)
        found[f"cpu_seconds_{changed}"] = round(time.process_time() - start, 2)
        hits = sum(joined[ROWS + at] == joined[at] for at in range(COPIES))
        found[f"recall_{changed}"] = hits / COPIES
        false = sum(joined[at] != at for at in range(COPIES, ROWS))
        found[f"false_alarms_{changed}"] = false / (ROWS - COPIES)
    return found


def ours(rows: list[list[str]]) -> list[int]:
    """Our own: bands of numpy minima, then the exact similarity."""
    words = [word_hashes(" ".join(row)) for row in rows]
    ends = numpy.cumsum([0, *map(len, words)])
    content = [row_keys({"text": " ".join(row)}).content for row in rows]
    apart = numpy.zeros(len(rows), numpy.uint64)
    texts = Texts(numpy.concatenate(words), ends, numpy.array(content, numpy.uint64), apart)
    return find_clusters(texts, numpy.arange(len(rows))).tolist()


def datasketch(rows: list[list[str]]) -> list[int]:
    """Datasketch's MinHash and MinHashLSH."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=THRESHOLD, num_perm=FUNCTIONS)
    joined = []
    for number, row in enumerate(rows):
        sketch = MinHash(num_perm=FUNCTIONS)
        sketch.update_batch([shingle.encode() for shingle in _shingles(row)])
        near = [int(key) for key in index.query(sketch)]
        joined.append(min((joined[at] for at in near), default=number))
        index.insert(str(number), sketch)
    return joined


def rensa(rows: list[list[str]]) -> list[int]:
    """Rensa's RMinHash and RMinHashLSH."""
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold=THRESHOLD, num_perm=FUNCTIONS, num_bands=16)
    joined, sketches = [], []
    for number, row in enumerate(rows):
        sketch = RMinHash(num_perm=FUNCTIONS, seed=1)
        sketch.update(_shingles(row))
        near = [at for at in index.query(sketch) if sketch.jaccard(sketches[at]) >= THRESHOLD]
        joined.append(min((joined[at] for at in near), default=number))
        index.insert(number, sketch)
        sketches.append(sketch)
    return joined


def _shingles(row: list[str]) -> list[str]:
    return [" ".join(row[at : at + 3]) for at in range(len(row) - 2)]


if __name__ == "__main__":
    main()
