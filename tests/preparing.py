"""Preparing small data sets in tests: a tokenizer without weights, rows in, records out."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tasks.base_model import BaseModelFiles
from tasks.contracts import DataReport, Splits
from tasks.preparation import prepare
from tasks.recipe import Recipe
from tasks.run_folder import RunFolder
from tasks.validation import validate
from tests.tiny import build_tiny_tokenizer

__all__ = ["chats", "pairs", "prepared", "read_jsonl", "tiny_base", "validated", "write_jsonl"]

POSITIONS = 256


@cache
def tiny_base(*, template: bool = True) -> BaseModelFiles:
    """Return a base model's folder with all that prepare reads: configuration and tokenizer."""
    folder = Path(mkdtemp(prefix="tiny-base-"))
    tokenizer = build_tiny_tokenizer()
    if not template:
        tokenizer.chat_template = None
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": POSITIONS}))
    return BaseModelFiles(name="tiny", path=str(folder), revision=None, sha256="tiny")


def recipe_of(
    path: Path | list[Any], dataset: dict[str, Any], validation: dict[str, Any]
) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "trial",
            "model": {"model_name_or_path": "tiny"},
            "dataset": {"path": str(path) if isinstance(path, Path) else path, **dataset},
            "validation": {"min_train_rows": 1, **validation},
        }
    )


def prepared(
    path: Path | list[Any],
    folder: Path,
    *,
    template: bool = True,
    said: list[str] | None = None,
    **dataset: Any,
) -> Splits:
    """Prepare a data file into a run folder and return the record; errors are raised."""
    run = RunFolder(folder, {"device": "cpu"}, say=(said if said is not None else []).append)
    work = prepare.fn.__wrapped__
    return work(recipe_of(path, dataset, {}), tiny_base(template=template), run)


def validated(path: Path, folder: Path, validation: dict[str, Any], **dataset: Any) -> DataReport:
    """Prepare and validate a data file and return the report."""
    splits = prepared(path, folder, **dataset)
    run = RunFolder(folder, {"device": "cpu"})
    return validate.fn.__wrapped__(recipe_of(path, dataset, validation), splits, run)


def chats(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Return chats of one turn, each with its own prompt."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"what is the colour of thing {number}"},
                {"role": "assistant", "content": ("red", "green", "blue")[number % 3]},
            ]
        }
        for number in range(start, start + count)
    ]


def pairs(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Return prompts with completions, each prompt its own."""
    return [
        {"prompt": f"colour of thing {number} :", "completion": ("red", "blue")[number % 2]}
        for number in range(start, start + count)
    ]


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    """Write rows, objects as JSON and texts as they are, one a line."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
