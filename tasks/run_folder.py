"""The run folder: where everything a run makes lies, and what of it is still good.

    runs/<name>/reviews.jsonl                        what people decided about findings
    runs/<name>/<identity>/
        recipe.resolved.yaml  snapshot.json          what was asked for, and of which files
        <stage>/manifest.json <stage>/...            what each stage made, with hashes
        outcome.json                                 how the run ended; written last

The identity is a hash of the resolved recipe, the data files and the base model, so a repeat with
nothing changed finds its folder. A stage is answered from its manifest only if its key is the same
(inputs, source hash, library versions, device class) and every file it recorded is there with its
hash; else it runs again and says why. This is the only file that decides paths.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from tasks.contracts import Record
from tasks.errors import FolderError
from tasks.manifests import canonical, manifest_text, read_manifest, text_sha256
from tasks.processes import CHECKOUT
from tasks.raw_rows import protect

__all__ = ["STAGES", "RunFolder", "environment", "file_sha256", "text_sha256", "write_atomically"]

STAGES = ("prepare", "validate", "recommend", "train", "evaluate", "publish")

#: Libraries whose version can change a result.
LIBRARIES = (
    *("torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes"),
    *("datasets", "great-expectations", "evaluate", "tokenizers", "numpy", "pandas"),
)

R = TypeVar("R", bound=Record)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Write a text so that readers see the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    with half.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


@cache
def source_sha256() -> str:
    """Return one hash over every Python and data file that can change a result."""
    files = sorted(
        path
        for room in ("tasks", "expectations")
        for path in (CHECKOUT / room).rglob("*")
        if path.is_file() and path.suffix in {".py", ".yaml", ".jinja", ".html", ".css"}
    )
    return text_sha256("".join(f"{p.relative_to(CHECKOUT)} {file_sha256(p)}\n" for p in files))


@cache
def library_versions() -> dict[str, str]:
    """Return the installed version of each library that can change a result."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def environment(device: str) -> dict[str, str]:
    """Return what a stage's key covers beside its inputs; `device` is a class such as `cpu`."""
    return {"source": source_sha256(), "device": device, **library_versions()}


@dataclass(frozen=True)
class RunFolder:
    """One run's folder.

    Args:
        path: The folder itself, absolute.
        environment: What `environment()` returned for this machine.
        say: Where a line for the user goes ("train: answered from ...").
        progress: Where a child's progress events go: {"event": "progress", "stage": "train",
            "done": 30, "total": 600, "text": "loss 0.31"}.
    """

    path: Path
    environment: dict[str, str]
    say: Callable[[str], None] = lambda _line: None
    progress: Callable[[dict[str, Any]], None] = lambda _event: None

    @property
    def reviews_path(self) -> Path:
        """The file of reviews: beside the runs of this name, for a review outlives a run."""
        return self.path.parent / "reviews.jsonl"

    def stage(self, stage: str) -> Path:
        """Return the folder of a stage."""
        assert stage in STAGES, stage
        return self.path / stage

    def remembered(self, made_with: object) -> Path:
        """Return the folder for what one run of a recipe leaves to the next of the same making."""
        return self.path.parent / ".remembered" / text_sha256(canonical(made_with))[:16]

    def answer(self, stage: str, kind: type[R], inputs: object) -> tuple[R | None, str]:
        """Return the stage's record if it is still good, else None and why it is not."""
        manifest_path = self.stage(stage) / "manifest.json"
        try:
            manifest = read_manifest(manifest_path)
            record = kind.model_validate(manifest["record"])
        except FileNotFoundError:
            return None, "not done before"
        except (ValueError, KeyError, OSError):
            return None, "its manifest is damaged"
        why = self._why_stale(stage, manifest, inputs)
        return (None, why) if why else (record, "")

    def _why_stale(self, stage: str, manifest: dict[str, Any], inputs: object) -> str:
        for name, value in self.environment.items():
            if manifest["environment"].get(name) != value:
                return f"{name} changed"
        if manifest["inputs"] != text_sha256(canonical(inputs)):
            return "its inputs changed"
        return self.damage(stage, manifest)

    def damage(self, stage: str, manifest: dict[str, Any]) -> str:
        """Return what is wrong with the files a stage recorded, or an empty text."""
        for name, recorded in manifest["files"].items():
            path = self.stage(stage) / name
            if not path.is_file():
                return f"{stage}/{name} is missing"
            if path.stat().st_size != recorded["bytes"] or file_sha256(path) != recorded["sha256"]:
                return f"{stage}/{name} was altered"
        return ""

    def spoiled(self, stages: tuple[str, ...]) -> str:
        """Return why the records of these stages can no longer answer a repeat, or nothing."""
        for stage in stages:
            try:
                manifest = read_manifest(self.stage(stage) / "manifest.json")
                changed = [
                    k for k, v in self.environment.items() if manifest["environment"].get(k) != v
                ]
                why = f"{changed[0]} changed" if changed else self.damage(stage, manifest)
            except FileNotFoundError:
                why = f"{stage} was not finished"
            except (ValueError, KeyError):
                why = f"{stage}/manifest.json is damaged"
            if why:
                return why
        return ""

    def record(self, stage: str, kind: type[R]) -> R:
        """Return the record a finished stage left, without checking whether it is still good."""
        text = (self.stage(stage) / "manifest.json").read_text(encoding="utf-8")
        return kind.model_validate(json.loads(text)["record"])

    def seconds(self, stage: str) -> float:
        """Return how long a finished stage took when its work was done."""
        text = (self.stage(stage) / "manifest.json").read_text(encoding="utf-8")
        return float(json.loads(text)["seconds"])

    def remember(
        self,
        stage: str,
        kind: type[R],
        inputs: object,
        work: Callable[[Path], R],
        *,
        keep: tuple[str, ...] = (),
    ) -> R:
        """Return the stage's record: from its manifest if that is good, else by doing the work.

        Args:
            stage: One of `STAGES`.
            kind: The class of its record.
            inputs: Everything the result depends on (records, sections); JSON-able.
            work: Gets the stage's folder and returns the record; every file it leaves is recorded.
            keep: Names in the folder that survive a re-run with the same inputs (checkpoints).
        """
        record, why = self.answer(stage, kind, inputs)
        if record is not None:
            self.say(f"{stage}: nothing changed, answered from {self.stage(stage)}")
            return record
        if why != "not done before":
            self.say(f"{stage}: runs again, {why}")
        folder = self.stage(stage)
        self._clear(folder, inputs, keep)
        start = time.monotonic()
        record = work(folder)
        protect(self.path)
        self._write_manifest(folder, record, inputs, time.monotonic() - start, keep)
        return record

    def _clear(self, folder: Path, inputs: object, keep: tuple[str, ...]) -> None:
        """Empty the folder; what is kept was made from these very inputs, in this environment."""
        mark = text_sha256(canonical([inputs, self.environment]))
        begun = folder / "begun"
        same = begun.is_file() and begun.read_text(encoding="utf-8") == mark
        (folder / "manifest.json").unlink(missing_ok=True)
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not (same and path.name in keep):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        write_atomically(begun, mark)

    def _write_manifest(
        self, folder: Path, record: Record, inputs: object, seconds: float, keep: tuple[str, ...]
    ) -> None:
        files = {
            str(path.relative_to(folder)): {
                "bytes": path.stat().st_size,
                "sha256": file_sha256(path),
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix != ".log"
            if _first(path, folder) not in (*keep, "begun")
        }
        manifest = {
            "inputs": text_sha256(canonical(inputs)),
            "environment": self.environment,
            "seconds": round(seconds, 2),
            "record": record.model_dump(mode="json"),
            "files": files,
        }
        write_atomically(folder / "manifest.json", manifest_text(manifest))

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the folder's lock; the kernel frees it when the holder dies, however it dies.

        Raises:
            FolderError: Another process works in this folder; the message names it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = self.path / "lock"
        with lock.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise FolderError(
                    f"{self.path}: in use by {file.read().strip() or 'another process'}. "
                    "Wait for it, or stop it; this run would do the same work."
                ) from None
            file.seek(0)
            if file.read().strip():
                self.say("lock: the process that held this folder is gone; its lock is taken over")
            file.truncate(0)
            file.write(f"process {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)


def _first(path: Path, folder: Path) -> str:
    return path.relative_to(folder).parts[0]
