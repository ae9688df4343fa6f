"""A run as it stands before evaluation: a tiny base, a random adapter or model, three splits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks.base_model import BaseModelFiles, resolve
from tasks.contracts import (
    Checkpoint,
    DataReport,
    Evidence,
    Hyperparameters,
    LabelCount,
    Recommendation,
    Recovery,
    Review,
    RowType,
    Scorecard,
    Split,
    Splits,
)
from tasks.loading import head_settings
from tasks.recipe import Recipe
from tasks.run_folder import RunFolder, file_sha256
from tests.tiny import build_tiny_model

__all__ = ["Candidate", "build_candidate"]

COLOURS = ("red", "green", "blue", "yellow", "black")
THINGS = ("apple", "sky", "grass", "sun", "night", "rose", "sea")

WAIVER = Review(
    decision="accept", check="empty-answers", reason="the <b>form</b>'s last page",
    reviewer="Ann", until="2099-01-31", at="2026-11-23T20:00:00+0000", run="abc",
    data_sha256="d", suite_sha256="s", threshold=0.01,
)  # fmt: skip


def chat(index: int) -> dict[str, Any]:
    question = f"what is the colour of the {THINGS[index % 7]} {index}?"
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": COLOURS[index % 5]},
        ]
    }


@dataclass(frozen=True)
class Candidate:
    """What `evaluate` and `publish` are called with."""

    recipe: Recipe
    base: BaseModelFiles
    recommendation: Recommendation
    checkpoint: Checkpoint
    splits: Splits
    folder: RunFolder

    def evidence(self, scorecard: Scorecard) -> Evidence:
        report = DataReport(
            verdict="warn",
            rows_in=40,
            rows_out=36,
            rejected={"empty_answer": 4},
            splits={"train": 20, "validation": 4, "test": 12},
            checks=(),
            token_percentiles={"50": 30},
            loss_token_fraction=0.2,
            report_path="validate/report.html",
            reviews=(WAIVER, WAIVER.model_copy(update={"check": "old", "void": "it changed"})),
        )
        return Evidence(
            splits=self.splits,
            report=report,
            recommendation=self.recommendation,
            checkpoint=self.checkpoint,
            scorecard=scorecard,
        )


def build_candidate(
    place: Path,
    method: Literal["full", "lora", "qlora"] = "lora",
    row_type: RowType = "messages",
    **changes: Any,
) -> Candidate:
    """Lay a run folder under `place`; `changes` are recipe sections."""
    base_folder = build_tiny_model(place / "base")
    folder = RunFolder(place / "runs" / "colours" / "abc123", {"source": "test", "device": "cpu"})
    (folder.path / "prepare").mkdir(parents=True)
    recipe = Recipe.model_validate(
        {
            "name": "colours",
            "model": {"model_name_or_path": str(base_folder)},
            "method": method,
            "dataset": {"path": "colours.jsonl"},
            "evaluation": {"bootstrap_samples": 1000},
            "publish": {"registry": str(place / "registry")},
        }
        | changes
    )
    labels = COLOURS if row_type == "labelled" else ()
    _train(base_folder, folder.path / "train", method, labels)
    base = resolve(recipe.model)
    return Candidate(
        recipe=recipe,
        base=base,
        recommendation=_recommendation(method),
        checkpoint=_checkpoint(method, base),
        splits=_splits(folder.path, row_type),
        folder=folder,
    )


def _row(index: int, row_type: str) -> dict[str, Any]:
    row = chat(index)
    question, answer = (message["content"] for message in row["messages"])
    if row_type == "labelled":
        return {"prompt": question, "completion": answer}
    if row_type == "prompt_completion":
        return {"prompt": question, "completion": " " + answer}
    return row if row_type == "messages" else {"text": f"{question} {answer}"}


def _splits(folder: Path, row_type: Any) -> Splits:
    found = {}
    for name, indices in (
        ("train", range(20)),
        ("validation", range(20, 24)),
        ("test", range(24, 36)),
    ):
        path = folder / "prepare" / f"{name}.jsonl"
        rows = [json.dumps(_row(index, row_type)) for index in indices]
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        found[name] = Split(
            path=f"prepare/{name}.jsonl",
            rows=len(rows),
            sha256=file_sha256(path),
            tokens=30 * len(rows),
            loss_tokens=4 * len(rows),
        )
    return Splits(
        format=row_type,
        format_reason="named in the recipe",
        row_type=row_type,
        sources=(),
        rows_in=40,
        rejected={"empty_answer": 4},
        rejected_path="prepare/rejected.jsonl",
        profile_path="prepare/profile.parquet",
        max_length=64,
        max_length_reason="the longest row",
        longest_answer_tokens=4,
        token_percentiles={"50": 30},
        checkable=row_type != "text",
        template="",
        template_sha256="",
        labels=tuple(LabelCount(name=name, rows=4) for name in COLOURS)
        if row_type == "labelled"
        else (),
        **found,
    )


def _train(base: Path, out: Path, method: str, labels: Sequence[str]) -> None:
    """Write weights that differ from the base's: a random adapter, or a disturbed whole model.

    With labels it has a random classification head, which reads the last token but for padding.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )

    torch.manual_seed(1)
    kind = AutoModelForSequenceClassification if labels else AutoModelForCausalLM
    more = head_settings(labels)
    model = kind.from_pretrained(base, dtype=torch.float32, **more)
    if method == "full":
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
        model.save_pretrained(out)
        AutoTokenizer.from_pretrained(base).save_pretrained(out)
        return
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules="all-linear",
        init_lora_weights=False,
        task_type="SEQ_CLS" if labels else None,
    )
    get_peft_model(model, config).save_pretrained(out)


def _recommendation(method: Any) -> Recommendation:
    return Recommendation(
        method=method,
        adapters=1,
        hyperparameters=Hyperparameters(
            r=4,
            lora_alpha=8,
            variant="lora",
            effective_scale=2.0,
            target_modules="all-linear",
            learning_rate=1e-3,
            num_train_epochs=1,
            max_steps=-1,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=1,
            gradient_checkpointing=False,
            dtype="float32",
            steps=5,
            trainable_parameters=1000,
            parameters=100_000,
        ),
        memory=None,
        cost=None,
        reasons=(),
        runner_up=None,
        alternatives=(),
        conflict=None,
        warnings=(),
        would_change=(),
        device="cpu",
        rules="evidence",
        asked_for=method,
    )


def _checkpoint(method: Any, base: BaseModelFiles) -> Checkpoint:
    return Checkpoint(
        kind="model" if method == "full" else "adapter",
        method=method,
        path="train",
        base_path=base.path,
        base_sha256=base.sha256,
        train_loss=1.0,
        validation_loss=1.1,
        best_step=5,
        steps=5,
        resumed_from_step=None,
        trainable_parameters=1000,
        parameters=100_000,
        tokens_per_second=1000.0,
        wall_seconds=2.0,
        peak_memory_bytes=2**29,
        device="cpu",
        dtype="float32",
        seed=42,
        versions={"torch": "2.13.0"},
        history_path="train/history.json",
        recoveries=(
            Recovery(
                cause="memory ran out",
                settings={"training.per_device_train_batch_size": 2},
                sentence="smaller micro-batch: 2 sequences instead of 4",
                restarts=False,
            ),
        ),
    )
