"""Records for tests, made by hand: splits of a small data set, and a recommendation.

The task is learnable by a tiny model: name the colour of a thing, always the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tasks.contracts import Hyperparameters, MemoryEstimate, Recommendation, Source, Split, Splits
from tasks.encoding import Encoder, RowType
from tasks.loading import load_tokenizer
from tasks.recipe import Recipe
from tasks.run_folder import file_sha256

__all__ = ["chat_rows", "make_recipe", "make_recommendation", "make_splits", "memory_of"]

COLOURS = {
    "apple": "red", "sky": "blue", "grass": "green", "sun": "yellow", "night": "black",
    "rose": "red", "sea": "blue", "leaf": "green", "corn": "yellow", "coal": "black",
}  # fmt: skip
ASKED = ("what is the colour of the {}?", "name the colour of the {}", "the {} is", "{}:")


def chat_rows(count: int) -> list[dict[str, Any]]:
    """Return rows of different lengths; the first 40 differ, then they repeat with a number."""
    rows = []
    for i in range(count):
        thing = list(COLOURS)[i % len(COLOURS)]
        question = ASKED[i // len(COLOURS) % len(ASKED)].format(thing)
        number = f" {i}" if i >= len(COLOURS) * len(ASKED) else ""
        rows.append(
            {
                "messages": [
                    {"role": "user", "content": question + number},
                    {"role": "assistant", "content": COLOURS[thing]},
                ]
            }
        )
    return rows


def make_recipe(model: Path, source: Path, **sections: dict[str, Any]) -> Recipe:
    """Return a recipe named `tiny`; sections are merged into it."""
    whole: dict[str, Any] = {
        "name": "tiny",
        "model": {"model_name_or_path": str(model)},
        "dataset": {"path": str(source)},
    }
    for name, section in sections.items():
        whole[name] = whole.get(name, {}) | section
    return Recipe.model_validate(whole)


def make_splits(
    folder: Path,
    recipe: Recipe,
    rows: dict[str, list[dict[str, Any]]],
    row_type: RowType = "messages",
    max_length: int = 64,
) -> Splits:
    """Write `prepare/{train,validation,test}.jsonl` under a run folder and record them."""
    tokenizer = load_tokenizer(recipe.model.model_name_or_path)
    encoder = Encoder(tokenizer, recipe.dataset, row_type)
    home = folder / "prepare"
    home.mkdir(parents=True, exist_ok=True)
    splits = {}
    for name in ("train", "validation", "test"):
        path = home / f"{name}.jsonl"
        lines = [json.dumps(row) for row in rows.get(name, [])]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        encoded = [encoder.encode(row).cut(max_length) for row in rows.get(name, [])]
        splits[name] = Split(
            path=f"prepare/{name}.jsonl",
            rows=len(encoded),
            sha256=file_sha256(path),
            tokens=sum(len(e.input_ids) for e in encoded),
            loss_tokens=sum(sum(e.loss_mask) for e in encoded),
        )
    source = Path(recipe.dataset.path)
    source.write_text("the raw data", encoding="utf-8")
    return Splits(
        format="messages", format_reason="made for a test", row_type=row_type,
        sources=(Source(path=str(source), sha256=file_sha256(source), rows=1),),
        rows_in=sum(split.rows for split in splits.values()), **splits,
        rejected={}, rejected_path="prepare/rejected.jsonl", profile_path="prepare/profile.parquet",
        max_length=max_length, max_length_reason="made for a test", longest_answer_tokens=8,
        token_percentiles={}, checkable=True, template="", template_sha256="",
    )  # fmt: skip


def make_recommendation(method: str, **changes: Any) -> Recommendation:
    """Return a recommendation of `full`, `lora` or `qlora`; `changes` are hyperparameters."""
    adapter = method != "full"
    chosen: dict[str, Any] = {
        "r": 8 if adapter else None, "lora_alpha": 16 if adapter else None,
        "variant": "lora" if adapter else None, "effective_scale": 2.0 if adapter else None,
        "target_modules": "all-linear" if adapter else None,
        "learning_rate": 1e-2 if adapter else 2e-3, "num_train_epochs": 2.0, "max_steps": -1,
        "per_device_train_batch_size": 8, "gradient_accumulation_steps": 1,
        "gradient_checkpointing": False, "dtype": "float32", "steps": 10,
        "trainable_parameters": 0, "parameters": 0,
    }  # fmt: skip
    return Recommendation(
        method=method, adapters=1,  # ty: ignore[invalid-argument-type]
        hyperparameters=Hyperparameters(**(chosen | changes)),
        memory=None, cost=None, reasons=(), runner_up=None, alternatives=(), conflict=None,
        warnings=(), would_change=(), device="cpu", rules="evidence", asked_for=method,
    )  # fmt: skip


def memory_of(high_bytes: int) -> MemoryEstimate:
    """Return an estimate of which only the upper bound matters."""
    return MemoryEstimate(
        weights_bytes=0, adapter_bytes=0, gradients_bytes=0, optimizer_bytes=0,
        activations_bytes=0, logits_bytes=0, overhead_bytes=0, low_bytes=0,
        high_bytes=high_bytes, available_bytes=None, fits=True,
    )  # fmt: skip
