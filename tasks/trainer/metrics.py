"""What was measured while training: `metrics.jsonl`, line by line as it happens, and plots of it.

    metrics.jsonl                              one line a logged step or an evaluation
    loss.svg  learning_rate.svg  memory.svg    the same as pictures, at the end

transformers keeps its log in the checkpoint; what is measured here is added to it there, so that a
run that goes on after a kill has the whole file again. Figures in `MEASURED` differ from run to run;
all others are the same each time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.reports.line_chart import line_chart
from tasks.run_folder import write_atomically

__all__ = ["MEASURED", "add_metrics", "write_metrics", "write_plots"]

Entry = Mapping[str, float]

MEASURED = ("tokens_per_second", "memory_bytes", "wall_seconds")
KEPT = ("step", "epoch", "loss", "eval_loss", "learning_rate", "grad_norm", *MEASURED)


def write_metrics(path: Path, log: Sequence[Entry]) -> None:
    """Write the whole file: at the start of a part of the run, and at its end."""
    write_atomically(path, "".join(_line(entry) for entry in log if _counts(entry)))


def add_metrics(path: Path, entry: Entry) -> None:
    """Add one entry while the run goes on."""
    if _counts(entry):
        with path.open("a", encoding="utf-8") as file:
            file.write(_line(entry))


def write_plots(home: Path, log: Sequence[Entry]) -> None:
    """Write the three pictures."""
    training, validation = _curve(log, "loss"), _curve(log, "eval_loss")
    memory = [(step, value / 2**30) for step, value in _curve(log, "memory_bytes")]
    pictures = {
        "loss": line_chart(
            "Loss", "nats a token", {"training": training, "validation": validation}
        ),
        "learning_rate": line_chart(
            "Learning rate", "", {"learning rate": _curve(log, "learning_rate")}
        ),
        "memory": line_chart("Peak memory", "GiB", {"peak memory": memory}),
    }
    for name, picture in pictures.items():
        write_atomically(home / f"{name}.svg", picture)


def _counts(entry: Entry) -> bool:
    """The last entry of transformers' log is a summary, without a loss."""
    return "loss" in entry or "eval_loss" in entry


def _line(entry: Entry) -> str:
    return json.dumps({key: entry[key] for key in KEPT if key in entry}) + "\n"


def _curve(log: Sequence[Entry], key: str) -> list[tuple[float, float]]:
    return [(entry["step"], entry[key]) for entry in log if _counts(entry) and key in entry]
