"""How often a test set was looked at: one line a scoring, appended to `test_uses.jsonl`.

A test set wears out: choosing among many candidates by it makes its numbers too good. So each
scoring, of any run and any checkpoint in the runs folder, is counted by the test file's hash.
"""

from __future__ import annotations

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from tasks.errors import StageError
from tasks.run_folder import file_sha256, text_sha256

__all__ = ["record_use", "weights_sha256"]


def record_use(ledger: Path, test_sha256: str, run: str, checkpoint_sha256: str) -> int:
    """Append one use and return how often this test set has been used, this use included."""
    line = {
        "test_sha256": test_sha256,
        "run": run,
        "checkpoint_sha256": checkpoint_sha256,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        uses = sum(_is_of(text, test_sha256) for text in file)
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return uses + 1


def _is_of(text: str, test_sha256: str) -> bool:
    """Return whether a line counts this test set; a line torn by a crash counts nothing."""
    try:
        return json.loads(text).get("test_sha256") == test_sha256
    except (ValueError, AttributeError):
        return False


def weights_sha256(folder: Path) -> str:
    """Return one hash over the files of a checkpoint that determine the model."""
    files = sorted(p for p in folder.iterdir() if p.suffix in {".safetensors", ".json", ".jinja"})
    if not any(path.suffix == ".safetensors" for path in files):
        raise StageError(f"{folder}: holds no trained weights.")
    return text_sha256("".join(f"{path.name} {file_sha256(path)}\n" for path in files))
