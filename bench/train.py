"""Our training stage beside TRL alone: `python -m bench.train --methods full lora qlora`.

Settings are the quickstart's, cut to some steps; its rows, and ragged ones: chats of one to twelve
turns. For each method, in turn, some times over: (a) the train stage as a flow calls it: a child
process, the gate's counts checked, progress, sealed checkpoints, memory watched; rows in the order
TRL takes them; (b) `bench/plain_trl.py`, the script a competent user writes, with the same rows,
seed and settings, saving as often; (c) the train stage as its recipe is, which may group rows of
like length. (a) and (b) reach the same loss, which is checked; (c) sees the same rows in another
order. Written to bench/results/train.json: medians, and ratios to TRL.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.plain_trl import job_of
from bench.stages import train_recipe

if TYPE_CHECKING:
    from tasks.trainer.spec import TrainSpec

logger = logging.getLogger(__name__)
GENERAL = Path("tasks/assets/general/rows.jsonl")
RESULT = Path("bench/results/train.json")
LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes")
#: Equal up to the order of sums; measured: equal to the last printed digit.
LOSS_TOLERANCE = 1e-3
#: Chats of the general set that make one ragged row; a geometric share of each.
MOST_TURNS = 12


def main() -> None:
    """Read the command line, measure, and write the result file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--methods", nargs="+", default=["full", "lora", "qlora"])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--recipe", default="recipes/quickstart.yaml")
    parser.add_argument("--rows", nargs="+", default=["quickstart", "ragged"])
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logger.setLevel(logging.INFO)
    result: dict[str, Any] = {"machine": _machine(), "steps": arguments.steps}
    for rows in arguments.rows:
        result[rows] = {}
        for method in arguments.methods:
            with tempfile.TemporaryDirectory(prefix="bench-train-") as folder:
                changes = {"method": method} | (ragged(Path(folder)) if rows == "ragged" else {})
                result[rows][method] = compare(Path(folder), arguments, changes)
            logger.info("%s %s %s", rows, method, result[rows][method]["to_theirs"])
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def ragged(folder: Path) -> dict[str, Any]:
    """Write 1,200 chats of one to twelve turns from the general set; return the recipe's changes."""
    draw = random.Random(7)
    turns = [json.loads(line)["messages"] for line in GENERAL.read_text("utf-8").splitlines()]
    path = folder / "ragged.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for _ in range(1200):
            count = min(MOST_TURNS, 1 + int(draw.expovariate(0.45)))
            chat = [message for turn in draw.sample(turns, count) for message in turn]
            file.write(json.dumps({"messages": chat}) + "\n")
    data = {"path": str(path), "test_path": None, "max_length": 512}
    # The same turns stand in rows of both splits, which a gate should stop; speed does not mind.
    return {f"dataset.{key}": value for key, value in data.items()} | {
        "validation.max_leaked_fraction": 1.0,
        "dataset.on_leakage": "warn",
    }


def compare(folder: Path, arguments: argparse.Namespace, job: dict[str, Any]) -> dict[str, Any]:
    """Return the measures of all three, their medians' ratios, and the losses they ended with."""
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "chosen": [], "theirs": []}
    same_order = {"training.train_sampling_strategy": "random"}
    for number in range(arguments.repeats):
        ours, spec = train_ours(folder / f"ours-{number}", arguments, job | same_order)
        runs["ours"].append(ours)
        runs["theirs"].append(train_plainly(folder / f"plain-{number}", spec))
        runs["chosen"].append(train_ours(folder / f"chosen-{number}", arguments, job)[0])
        logger.info("%s %d %s", job["method"], number, {k: v[-1] for k, v in runs.items()})
    median = {
        side: {key: statistics.median(run[key] for run in done) for key in done[0]}
        for side, done in runs.items()
    }
    ours, theirs = median["ours"], median["theirs"]
    apart = abs(ours["last_loss"] - theirs["last_loss"])
    assert apart <= LOSS_TOLERANCE * theirs["last_loss"], f"other losses: {median}"
    ratios = {side: _ratios(median[side], theirs) for side in ("ours", "chosen")}
    return {"to_theirs": ratios, "median": median, "runs": runs}


def _ratios(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, float]:
    return {
        "tokens_per_second": round(ours["tokens_per_second"] / theirs["tokens_per_second"], 3),
        "peak_memory": round(ours["peak_memory_bytes"] / theirs["peak_memory_bytes"], 3),
        "wall_seconds_more": round(ours["wall_seconds"] - theirs["wall_seconds"], 1),
    }


def train_ours(
    folder: Path, arguments: argparse.Namespace, job: dict[str, Any]
) -> tuple[dict[str, Any], TrainSpec]:
    """Run the stages up to training, and time the last one."""
    from tasks.trainer.spec import TrainSpec

    changes = {
        "training.max_steps": arguments.steps,
        "training.eval_strategy": "no",
        "training.save_steps": arguments.steps,
        "training.logging_steps": 10,
        "requirements.accuracy": None,
    } | job
    done = train_recipe(arguments.recipe, changes, folder)
    spec = TrainSpec.model_validate_json((done.home / "train" / "spec.json").read_text())
    history = [json.loads(line) for line in (done.home / "train" / "metrics.jsonl").open()]
    measures = {
        "wall_seconds": done.seconds,
        "tokens_per_second": done.checkpoint.tokens_per_second,
        "peak_memory_bytes": done.checkpoint.peak_memory_bytes,
        "last_loss": [entry["loss"] for entry in history if "loss" in entry][-1],
    }
    return measures, spec


def train_plainly(folder: Path, spec: TrainSpec) -> dict[str, Any]:
    """Run `bench/plain_trl.py` with the same rows and settings."""
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps(job_of(spec, folder)), encoding="utf-8")
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "bench.plain_trl", str(folder / "job.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    measures = json.loads(done.stdout.splitlines()[-1])
    return {
        "wall_seconds": time.monotonic() - began,
        "tokens_per_second": measures["tokens_per_second"],
        "peak_memory_bytes": measures["peak_memory_bytes"],
        "last_loss": measures["losses"][-1],
    }


def _machine() -> dict[str, Any]:
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "load_before": os.getloadavg()[0],
    } | {name: version(name) for name in LIBRARIES}


if __name__ == "__main__":
    main()
