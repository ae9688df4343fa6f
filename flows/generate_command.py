"""`finetune generate NAME "prompt"`: base and tuned model answer side by side.

The release comes from the local registry, its base from where release.json says; a base that is no
longer the one that was fine-tuned is refused. The work is in `tasks/exports/answer.py`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from flows.display import console
from tasks.base_model import BaseModelFiles, resolve
from tasks.errors import ModelError
from tasks.exports.spec import AnswerSpec
from tasks.processes import run_child
from tasks.recipe import ModelSection
from tasks.targets.folder import find, read_release

__all__ = ["answers", "generate"]


def generate(
    name: str,
    prompt: str,
    *,
    version: int | None = None,
    max_new_tokens: int = 200,
    registry: Path = Path("registry"),
) -> None:
    """Print both answers; of a classifier the label, and its probability as the model sees it.

    Raises:
        ModelError: No such release (the message lists those there are), or its base is gone.
    """
    folder = find(registry.expanduser().resolve(), name, version)
    about = read_release(folder)
    given = answers(folder, about, prompt, max_new_tokens)
    table = Table(title=Text(f"{name} v{about['version']}"), title_justify="left", show_lines=True)
    base = "without a model" if about.get("labels") else f"base: {about['base']['name']}"
    table.add_column(Text(base), overflow="fold", ratio=1)
    table.add_column(Text(f"tuned: {about['kind']}"), overflow="fold", ratio=1)
    table.add_row(Text(given["base"]), Text(given["tuned"]))
    console.print(table)


def answers(
    folder: Path, about: dict[str, Any], prompt: str, max_new_tokens: int
) -> dict[str, str]:
    """Return the answers of `base` and `tuned`."""
    spec = AnswerSpec(
        base_path=_base(about, folder).path,
        release_path=str(folder),
        about=about,
        prompt=prompt,
        max_new_tokens=max_new_tokens,
    )
    given: dict[str, str] = {}

    def take(event: dict[str, Any]) -> None:
        given[event["side"]] = event["text"]

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "spec.json"
        path.write_text(spec.model_dump_json(), encoding="utf-8")
        run_child("tasks.exports.answer", path, take)
    return given


def _base(about: dict[str, Any], folder: Path) -> BaseModelFiles:
    recorded = about["base"]
    section = ModelSection.model_validate(about["recipe"]["model"])
    base = resolve(section.model_copy(update={"revision": recorded["revision"]}))
    if base.sha256 != recorded["sha256"]:
        raise ModelError(
            f"{base.name}: is no longer the base model that {folder} was trained from (SHA-256 "
            f"{base.sha256[:12]}, recorded {recorded['sha256'][:12]}). Fine-tune again, or put the "
            "old files back."
        )
    return base
