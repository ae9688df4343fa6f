"""Checkpoints: which are whole, which to resume from, which to delete.

transformers writes a checkpoint in place, file by file, and resumes silently with other weights if
optimizer.pt, scheduler.pt or rng_state.pth is missing. So a checkpoint counts only if it carries
our seal, `complete.json`, written last, with size and SHA-256 of every file. The copies of the best
weights lie beside them as `best-<step>`, sealed too, outside rotation: one stays as long as a whole
checkpoint speaks of it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.errors import FolderError
from tasks.run_folder import file_sha256, write_atomically

__all__ = ["best_copy", "facts_of", "newest_complete", "problem", "rotate", "seal"]

SEAL = "complete.json"
WEIGHTS = ("adapter_model.safetensors", "model.safetensors", "model.safetensors.index.json")
STATE = ("scheduler.pt", "trainer_state.json")
#: What accelerate and DeepSpeed leave of weights and optimizer: of all processes, each its share.
SHARES = (
    ("pytorch_model_fsdp_0/.metadata", "optimizer_0/.metadata"),
    ("latest", "zero_to_fp32.py"),
)


def best_copy(root: Path, step: int) -> Path:
    """Return where the copy of the best weights, seen at that step, lies."""
    return root / f"best-{step}"


def seal(folder: Path, facts: dict[str, Any], rng_states: int) -> None:
    """Declare a folder whole: record every file in it, and `facts`, in its seal.

    Args:
        folder: A checkpoint (`rng_states` >= 1) or a copy of weights (`rng_states` = 0).
        facts: What `facts_of` returns later.
        rng_states: How many processes left the state of their random numbers.
    """
    files = {p.relative_to(folder): p for p in sorted(folder.rglob("*")) if p.is_file()}
    names = {str(name) for name in files}
    shared = any(names >= set(share) for share in SHARES)
    assert shared or names & set(WEIGHTS), f"{folder}: no weights among {sorted(names)}"
    if rng_states:
        assert shared or "optimizer.pt" in names, f"{folder}: no optimizer among {sorted(names)}"
        assert names >= set(STATE), f"{folder}: incomplete: {sorted(names)}"
        assert sum(name.startswith("rng_state") for name in names) == rng_states, sorted(names)
    recorded = {
        str(name): {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for name, path in files.items()
        if path.name != SEAL
    }
    body = json.dumps({"facts": facts, "files": recorded}, indent=1, sort_keys=True)
    write_atomically(folder / SEAL, json.dumps({"sha256": _sha256(body), "body": body}))


def facts_of(folder: Path) -> dict[str, Any]:
    """Return what was told when the folder was sealed."""
    return _body(folder)["facts"]


def problem(folder: Path) -> str:
    """Return why a folder is not whole, or an empty text."""
    if not (folder / SEAL).is_file():
        return "it was not finished"
    try:
        body = _body(folder)
    except (ValueError, KeyError):
        return f"its {SEAL} is damaged"
    for name, recorded in body["files"].items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != recorded["bytes"] or file_sha256(path) != recorded["sha256"]:
            return f"{name} was altered or cut"
    best = body["facts"].get("best_step")
    if best is not None:
        why = problem(best_copy(folder.parent, best))
        return f"its copy of the best weights, best-{best}, is torn: {why}" if why else ""
    return ""


def newest_complete(root: Path, say: Callable[[str], None]) -> Path | None:
    """Return the newest whole checkpoint; newer torn ones are named and deleted."""
    for folder in reversed(_checkpoints(root)):
        why = problem(folder)
        if not why:
            return folder
        say(f"{folder.name} cannot be resumed from: {why}")
        shutil.rmtree(folder)
    return None


def rotate(root: Path, keep: int) -> None:
    """Delete all but the newest `keep` checkpoints, and best copies that none of them names."""
    checkpoints = _checkpoints(root)
    for folder in checkpoints[:-keep]:
        shutil.rmtree(folder)
    sealed = [folder for folder in checkpoints[-keep:] if (folder / SEAL).is_file()]
    named = {facts_of(folder).get("best_step") for folder in sealed}
    for folder in root.glob("best-*"):
        if folder.name not in {f"best-{step}" for step in named}:
            shutil.rmtree(folder)


def ensure_room(root: Path, needed_bytes: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        FolderError: Fewer than `needed_bytes` are free.
    """
    root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root).free
    if free < needed_bytes:
        raise FolderError(
            f"{root}: the checkpoints of this run need about {needed_bytes / 1e9:.2f} GB, "
            f"{free / 1e9:.2f} GB are free. Free some, or lower training.save_total_limit."
        )


def _checkpoints(root: Path) -> list[Path]:
    """Return checkpoint folders, oldest first."""
    found = [p for p in root.glob("checkpoint-*") if p.name.removeprefix("checkpoint-").isdigit()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("checkpoint-")))


def _body(folder: Path) -> dict[str, Any]:
    outer = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    if outer["sha256"] != _sha256(outer["body"]):
        raise ValueError("the seal does not match its text")
    return json.loads(outer["body"])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
