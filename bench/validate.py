"""How fast the data gate is, and what it finds: `python -m bench.validate --rows 10000 100000`.

For each size, synthetic chats with planted defects (`bench/gate_data.py`) go through `prepare` and
`validate` in a process of their own: rows a second, peak memory of it and its children, CPU seconds
by phase, what was found of what was planted, a repeat with nothing changed and one with 1 % more
rows. Beside it, on the smallest size, (a) Great Expectations on the text columns and (b) a plain
`datasets.map` of the same measurements in one process. Writes bench/results/validate.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from bench.gate_data import DEFECTS, write_rows
from bench.gate_works import WORKS

logger = logging.getLogger(__name__)
RESULT = Path("bench/results/validate.json")
LIBRARIES = ("numpy", "tokenizers", "transformers", "great-expectations", "datasets", "pyarrow")


def main() -> None:
    """Read the command line; measure each size, or be the process that is measured."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--skip_baselines", action="store_true")
    parser.add_argument("--work", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logger.setLevel(logging.INFO)
    if arguments.work:
        what, folder = arguments.work
        print(json.dumps(WORKS[what](Path(folder))))  # noqa: T201 - read by the parent
        return
    known = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    sizes = known.get("sizes", {})
    for count in sorted(arguments.rows):
        with tempfile.TemporaryDirectory(prefix="bench-validate-") as folder:
            first = count == min(arguments.rows) and not arguments.skip_baselines
            sizes[str(count)] = measure(count, Path(folder), baselines=first)
        result = {"machine": _machine(), "defects": DEFECTS, "sizes": sizes}
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(count: int, folder: Path, *, baselines: bool) -> dict[str, Any]:
    """Return everything that is measured of one size."""
    planted = write_rows(folder / "data.jsonl", count)
    (folder / "planted.json").write_text(json.dumps(planted))
    result: dict[str, Any] = {"bytes": (folder / "data.jsonl").stat().st_size}
    result["gate"] = _watched("gate", folder)
    result["gate"]["rows_per_second"] = round(count / result["gate"]["wall_seconds"])
    result["unchanged"] = _watched("gate", folder)
    result["phases_cpu_seconds"] = _watched("phases", folder)["result"]
    write_rows(folder / "more.jsonl", count // 100, seed=1)
    with (folder / "data.jsonl").open("a") as file:
        file.write((folder / "more.jsonl").read_text())
    result["one_percent_more"] = _watched("gate", folder)
    if baselines:
        for name in ("great_expectations_on_text", "datasets_map"):
            result[name] = _watched(name, folder)
    logger.info("%s", json.dumps({str(count): result}))
    return result


def _watched(what: str, folder: Path) -> dict[str, Any]:
    """Run one work in a process of its own; return its result, wall time and peak memory."""
    start, peak = time.monotonic(), 0
    command = [sys.executable, "-m", "bench.validate", "--work", what, str(folder)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    tree = psutil.Process(child.pid)
    while child.poll() is None:
        peak = max(peak, _memory_bytes(tree))
        time.sleep(0.1)
    assert child.stdout is not None
    output = child.stdout.read()
    if child.returncode:
        raise SystemExit(f"{what} exited with {child.returncode}")
    result = json.loads(output.splitlines()[-1])
    wall = result.pop("wall_seconds", None) or time.monotonic() - start
    return {
        "wall_seconds": round(wall, 2),
        "with_start_seconds": round(time.monotonic() - start, 2),
        "peak_bytes": peak,
        "result": result,
    }


def _memory_bytes(tree: psutil.Process) -> int:
    """Return the memory of a process and its children; pages they share count once each."""
    total = 0
    try:
        for process in (tree, *tree.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.Error:
        pass
    return total


def _machine() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


if __name__ == "__main__":
    main()
