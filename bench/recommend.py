"""How fast the recommendation is: the command from cold, and a thousand decisions from Python.

python -m bench.recommend        prints one JSON object; figures are the best of some tries
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from tasks.decision import Facts, decide
from tasks.estimates.architecture import architecture
from tasks.estimates.hardware import card
from tasks.recipe import RequirementsSection

ROOT = Path(__file__).resolve().parents[1]
COMMAND = ("recommend", "--model", "llama3.1-8b", "--gpu", "rtx-4090", "--accuracy", "96%")


def cold(tries: int = 7) -> tuple[float, float]:
    """Return CPU and wall seconds of the whole command, the best of some tries."""
    best = [float("inf"), float("inf")]
    for _ in range(tries):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "flows", *COMMAND], cwd=ROOT, check=True, capture_output=True
        )
        wall = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = [min(best[0], cpu), min(best[1], wall)]
    return best[0], best[1]


def sweep(count: int = 1000) -> list[Facts]:
    """Return different facts, as a planner asks them: models, cards, lengths, ranks of accuracy."""
    models = ("llama3.2-1b", "llama3.1-8b", "qwen2.5-7b", "llama2-13b", "llama3.1-70b")
    machines = ("t4", "rtx-4090", "l40s", "a100-80", "h200")
    found = []
    for i in range(count):
        length, rows = (512, 1024, 2048, 4096)[i // 25 % 4], 5_000 + 100 * (i // 100)
        asked = {"accuracy": (None, 0.9, 0.96, 0.99)[i % 4], "tasks": 1 + i % 6}
        found.append(
            Facts(
                architecture=architecture(models[i % 5]),
                hardware=card(machines[i // 5 % 5], (1, 2, 8)[i % 3]),
                rows=rows,
                train_tokens=rows * length,
                length=length,
                requirements=RequirementsSection.model_validate(asked),
            )
        )
    return found


def thousand(tries: int = 3) -> float:
    """Return CPU seconds of a thousand decisions, the best of some tries."""
    facts, best = sweep(), float("inf")
    for _ in range(tries):
        start = time.process_time()
        for one in facts:
            decide(one)
        best = min(best, time.process_time() - start)
    return best


if __name__ == "__main__":
    cpu, wall = cold()
    told = {"command_cpu_seconds": cpu, "command_wall_seconds": wall}
    told["thousand_decisions_seconds"] = thousand()
    sys.stdout.write(json.dumps({k: round(v, 3) for k, v in told.items()}, indent=1) + "\n")
