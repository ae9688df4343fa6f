"""Measure what fine-tuning adds on the quickstart data: `python -m bench.base_model.measure`.

Exact match of the whole JSON on test.jsonl (greedy) for the base model, LoRA and full fine-tuning
over several seeds, with Wilson 95 % intervals, in all and by what is held out. Writes
bench/results/quickstart_levels.json. Training rows are those that pass plain validity checks.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import platform
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.base_model.scoring import answers
from bench.quickstart_data.fresh import generate as generate_fresh

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from transformers.modeling_utils import PreTrainedModel

logger = logging.getLogger(__name__)
MAX_LENGTH = 256
BATCH = 16
RATES = {"lora": 4e-3, "full": 1e-3}


def main() -> None:
    """Read the command line, measure, and write the result file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--base", type=Path, default=Path("tasks/assets/base"))
    parser.add_argument("--data", type=Path, default=Path("tasks/assets/quickstart"))
    parser.add_argument("--output", type=Path, default=Path("bench/results/quickstart_levels.json"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--lora_rate", type=float, default=RATES["lora"])
    parser.add_argument("--full_rate", type=float, default=RATES["full"])
    parser.add_argument("--methods", nargs="+", default=["lora", "full"])
    parser.add_argument("--fresh", action="store_true", help="also score the second test set")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    result = measure(arguments)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the levels of the base model and of every method and seed."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(min(2, os.cpu_count() or 1))
    tokenizer = AutoTokenizer.from_pretrained(arguments.base)
    train, test = rows(arguments.data, tokenizer)
    base = AutoModelForCausalLM.from_pretrained(arguments.base, dtype=torch.float32)
    fresh = [json.loads(line) for line in generate_fresh().splitlines() if arguments.fresh]
    runs = [{"method": "base", "seed": None} | levels(base, tokenizer, test, fresh)]
    logger.info("base %s", runs[0]["all"])
    for method in arguments.methods:
        for seed in range(arguments.seeds):
            rate = {"lora": arguments.lora_rate, "full": arguments.full_rate}[method]
            model, figures = train_once(
                arguments.base, train, method=method, seed=seed, rate=rate, epochs=arguments.epochs
            )
            runs.append(
                {"method": method, "seed": seed} | figures | levels(model, tokenizer, test, fresh)
            )
            logger.info(
                "%s %s %s %s",
                method,
                seed,
                figures,
                {k: runs[-1][k]["exact_match"] for k in ("all", *GROUPS)},
            )
    return {
        "command": " ".join(["python -m bench.base_model.measure", *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{machine()}, {torch.get_num_threads()} threads, float32",
        "versions": {name: version(name) for name in ("torch", "transformers", "trl", "peft")},
        "train_rows": len(train),
        "test_rows": len(test),
        "settings": {
            "batch": BATCH,
            "epochs": arguments.epochs,
            "max_length": MAX_LENGTH,
            "lora": {"r": 16, "alpha": 32},
        },
        "runs": runs,
        "pooled": pooled(runs),
    }


def rows(
    data: Path, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the usable training rows and all test rows."""
    test = [
        json.loads(line) for line in (data / "test.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    seen = {line["messages"][0]["content"] for line in test}
    train = []
    for line in (data / "train.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            parsed = json.loads(line)
        except json.JSONDecodeError:
            continue
        messages = parsed["messages"]
        if [m["role"] for m in messages] != ["user", "assistant"] or not all(
            m.get("content") for m in messages
        ):
            continue
        ids = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False)
        if len(ids) > MAX_LENGTH or messages[0]["content"] in seen:
            continue
        seen.add(messages[0]["content"])
        train.append({"messages": messages})
    return train, test


def train_once(
    base: Path, train: list[dict[str, Any]], *, method: str, seed: int, rate: float, epochs: float
) -> tuple[PreTrainedModel, dict[str, float]]:
    """Return the fine-tuned model, its training seconds (wall, and CPU of all threads), steps and last loss."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    adapter = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    folder = tempfile.mkdtemp()
    config = SFTConfig(
        output_dir=folder,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        max_length=MAX_LENGTH,
        learning_rate=rate,
        lr_scheduler_type="cosine",
        warmup_steps=10,
        per_device_train_batch_size=BATCH,
        num_train_epochs=epochs,
        assistant_only_loss=True,
        logging_steps=10,
        seed=seed,
        model_init_kwargs={"dtype": "float32"},
    )
    trainer = SFTTrainer(
        model=str(base),
        args=config,
        train_dataset=Dataset.from_list(train),
        peft_config=adapter if method == "lora" else None,
    )
    started, cpu_started = time.perf_counter(), time.process_time()
    trainer.train()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    shutil.rmtree(folder)
    return trainer.model, {
        "learning_rate": rate,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "steps": trainer.state.global_step,
        "last_loss": round(losses[-1], 4),
    }


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
    """Return exact match with the Wilson score interval (1927), z = 1.96.

    Example: 9 of 10 → 0.9, interval [0.596, 0.982].
    """
    z, share = 1.96, right / count
    center = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    low, high = ((center + sign * spread) / (1 + z * z / count) for sign in (-1, 1))
    return {
        "exact_match": round(share, 4),
        "wilson_95": [round(max(low, 0), 4), round(min(high, 1), 4)],
        "right": right,
        "rows": count,
    }


def pooled(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the levels of each method over all seeds and rows together."""
    result: dict[str, Any] = {}
    for method in dict.fromkeys(run["method"] for run in runs):
        mine = [run for run in runs if run["method"] == method]
        result[method] = {group: together([run[group] for run in mine]) for group in WHOLE}
        if "fresh" in mine[0]:
            parts = {group: together([run["fresh"][group] for run in mine]) for group in WHOLE}
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
