"""Measure what fine-tuning adds on the quickstart data: `python -m bench.base_model.measure`.

Each run is the shipped recipe's, through the project's own stages, with another seed and method:
exact match of the whole JSON (greedy) with Wilson 95 % intervals, in all and by what is held out.
`--on development` trains and scores on the inner data set of `bench/quickstart_data/development.py`,
to choose settings by (`--set key=value`), `--on validation` rows of the validation split; the test
rows and, with `--fresh`, those of the second test set are for the result. Writes
bench/results/quickstart_levels.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.base_model.scoring import answers
from bench.quickstart_data.development import generate as generate_development
from bench.quickstart_data.fresh import generate as generate_fresh
from bench.stages import Trained, train_recipe

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from transformers.modeling_utils import PreTrainedModel

logger = logging.getLogger(__name__)
RECIPE = "recipes/quickstart.yaml"


def main() -> None:
    """Read the command line, measure, and write the result file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, default=Path("bench/results/quickstart_levels.json"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--methods", nargs="+", default=["lora", "full"])
    parser.add_argument("--set", dest="changes", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--on", choices=["test", "validation", "development"], default="test")
    parser.add_argument("--fresh", action="store_true", help="also score the second test set")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logger.setLevel(logging.INFO)
    result = measure(arguments)
    if arguments.on == "test":
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the levels of the base model and of every method and seed."""
    import torch

    changes = dict(item.split("=", 1) for item in arguments.changes)
    changes = {key: json.loads(value) for key, value in changes.items()}
    runs: list[dict[str, Any]] = []
    for method in arguments.methods:
        for seed in arguments.seeds:
            chosen = {"method": method, "training.seed": seed, "requirements.accuracy": None}
            runs.append(measure_one(chosen | changes, arguments))
            said = {k: runs[-1][k] for k in ("method", "seed", "all", "fields", "seconds")}
            logger.info(
                "%s %s", said, {k: runs[-1][k]["exact_match"] for k in GROUPS if k in runs[-1]}
            )
    if arguments.on == "test":
        runs.insert(0, measure_base(arguments))
    return {
        "command": " ".join(["python -m bench.base_model.measure", *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{machine()}, {torch.get_num_threads()} threads, float32",
        "versions": {name: version(name) for name in ("torch", "transformers", "trl", "peft")},
        "runs": runs,
        "pooled": pooled(runs),
    }


def measure_one(changes: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Train the recipe with these changes and return settings and levels."""
    from transformers import AutoTokenizer

    from tasks.loading import load_tuned

    with tempfile.TemporaryDirectory(prefix="bench-measure-") as folder:
        if arguments.on == "development":
            changes = changes | development_files(Path(folder))
        done = train_recipe(RECIPE, changes, Path(folder) / "run")
        record, chosen = done.checkpoint, done.recommendation.hyperparameters
        assert chosen is not None
        tuned = load_tuned(
            record.base_path, done.home / record.path, record.kind, done.recipe.model,
            dtype="float32",
        )  # fmt: skip
        tokenizer = AutoTokenizer.from_pretrained(record.base_path)
        scored = rows(arguments.on, done)
        return {
            "method": changes["method"],
            "seed": changes["training.seed"],
            "learning_rate": chosen.learning_rate,
            "batch": chosen.per_device_train_batch_size * chosen.gradient_accumulation_steps,
            "epochs": chosen.num_train_epochs,
            "steps": record.steps,
            "seconds": record.wall_seconds,
            "tokens_per_second": record.tokens_per_second,
            "validation_loss": record.validation_loss,
        } | levels(tuned, tokenizer, scored, fresh_rows(arguments))  # ty: ignore


def measure_base(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the levels of the base model."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tasks.recipe_file import load_recipe

    base = load_recipe(RECIPE).recipe.model.model_name_or_path
    model = AutoModelForCausalLM.from_pretrained(base, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(base)
    found = levels(model, tokenizer, rows("test"), fresh_rows(arguments))
    return {"method": "base", "seed": None} | found


def development_files(folder: Path) -> dict[str, Any]:
    """Write the inner data set and return the recipe's changes."""
    for name, text in generate_development().items():
        (folder / name).write_text(text, encoding="utf-8")
    return {
        "dataset.path": str(folder / "train.jsonl"),
        "dataset.test_path": str(folder / "test.jsonl"),
        "validation.max_leaked_fraction": 0.05,  # six rows are planted, of half as many
    }


def rows(which: str, done: Trained | None = None) -> list[dict[str, Any]]:
    """Return the test rows, or those of a prepared validation split (whose groups are unknown)."""
    from tasks.recipe_file import load_recipe

    if done is None or which == "test":
        path = Path(str(load_recipe(RECIPE).recipe.dataset.test_path))
    elif which == "development":
        path = Path(str(done.recipe.dataset.test_path))
    else:
        path = done.home / done.splits.validation.path
    lines = path.read_text(encoding="utf-8").splitlines()
    return [{"held_out": []} | json.loads(line) for line in lines]


def fresh_rows(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of the second test set, if they are asked for."""
    return [json.loads(line) for line in generate_fresh().splitlines()] if arguments.fresh else []


GROUPS = {
    "known": [],
    "held_out_values": ["values"],
    "held_out_wording": ["wording"],
    "held_out_template": ["template"],
    "held_out_all": ["values", "wording", "template"],
}
WHOLE = ("all", *GROUPS)


def levels(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    test: list[dict[str, Any]],
    fresh: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return the level on test.jsonl and, where there is one, on the second test set."""
    found = level(model, tokenizer, test)
    return found | ({"fresh": level(model, tokenizer, fresh)} if fresh else {})


def level(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, test: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return exact match in all and by what is held out, and the accuracy of each field."""
    found = answers(model, tokenizer, [line["messages"][:1] for line in test])
    wanted = [line["messages"][1]["content"] for line in test]
    right = [a == b for a, b in zip(found, wanted, strict=True)]
    result: dict[str, Any] = {"all": interval(sum(right), len(right))}
    for name, parts in GROUPS.items():
        chosen = [r for r, line in zip(right, test, strict=True) if line["held_out"] == parts]
        if chosen:
            result[name] = interval(sum(chosen), len(chosen))
    pairs = [(fields(a), json.loads(b)) for a, b in zip(found, wanted, strict=True)]
    keys = pairs[0][1]
    result["fields"] = {
        k: round(sum(k in a and a[k] == b[k] for a, b in pairs) / len(pairs), 3) for k in keys
    }
    return result


def fields(text: str) -> dict[str, Any]:
    """Return the JSON object in the text, or an empty one."""
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def interval(right: int, count: int) -> dict[str, Any]:
    """Return exact match with its 95 % interval (Wilson's score)."""
    from tasks.metrics.intervals import wilson

    found = wilson(right, count)
    return {
        "exact_match": round(found.value, 4),
        "wilson_95": [round(found.low, 4), round(found.high, 4)],
        "right": right,
        "rows": count,
    }


def pooled(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the levels of each method over all seeds and rows together."""
    result: dict[str, Any] = {}
    for method in dict.fromkeys(run["method"] for run in runs):
        mine = [run for run in runs if run["method"] == method]
        known = [group for group in WHOLE if group in mine[0]]
        result[method] = {group: together([run[group] for run in mine]) for group in known}
        if "fresh" in mine[0]:
            parts = {group: together([run["fresh"][group] for run in mine]) for group in known}
            result[method]["fresh"] = parts
    return result


def together(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the interval of several runs' rows together."""
    return interval(sum(part["right"] for part in parts), sum(part["rows"] for part in parts))


def machine() -> str:
    """Return the processor's name and the number of cores."""
    model = platform.processor() or platform.machine()
    source = Path("/proc/cpuinfo")
    if source.exists():
        lines = [
            line
            for line in source.read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        model = lines[0].split(":")[1].strip() if lines else model
    return f"{model}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
