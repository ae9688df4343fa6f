"""Run folders: a stage is answered from its files only while every one of them is what it was."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.contracts import Source
from tasks.errors import FolderError
from tasks.run_folder import RunFolder, environment, write_atomically

ENVIRONMENT = {"source": "s1", "device": "cpu", "torch": "2.13.0"}


class Worked:
    """Counts how often a stage really worked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, folder: Path) -> Source:
        self.times += 1
        (folder / "deep").mkdir(parents=True, exist_ok=True)
        (folder / "a.txt").write_text("first")
        (folder / "deep" / "b.bin").write_bytes(b"\0" * 1000)
        return Source(path="x", sha256="y", rows=self.times)


def remember(
    path: Path, work: Worked, inputs: object = 1, **changed: str
) -> tuple[Source, list[str]]:
    said: list[str] = []
    folder = RunFolder(path, ENVIRONMENT | changed, said.append)
    return folder.remember("train", Source, inputs, work), said


def test_a_repeat_with_nothing_changed_does_not_work_again(tmp_path: Path) -> None:
    work = Worked()
    first, _ = remember(tmp_path, work)
    again, said = remember(tmp_path, work)
    assert (work.times, again) == (1, first)
    assert "nothing changed" in said[0]


def flip(path: Path) -> None:
    """Alter one digit of a hash that the record holds: still JSON, still a record."""
    text = path.read_text()
    at = text.index('"sha256": "') + 20
    path.write_text(text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda p: (p / "a.txt").unlink(), "train/a.txt is missing"),
        (lambda p: (p / "deep" / "b.bin").write_bytes(b"\0" * 999), "deep/b.bin was altered"),
        (lambda p: (p / "deep" / "b.bin").write_bytes(b"\1" + b"\0" * 999), "b.bin was altered"),
        (lambda p: (p / "manifest.json").write_text("{"), "manifest is damaged"),
        (lambda p: (p / "manifest.json").write_text("{}"), "manifest is damaged"),
        (lambda p: flip(p / "manifest.json"), "manifest is damaged"),
    ],
)
def test_a_spoilt_output_makes_the_stage_run_again_and_say_why(
    spoil: Callable[[Path], None], told: str, tmp_path: Path
) -> None:
    work = Worked()
    remember(tmp_path, work)
    spoil(tmp_path / "train")
    _, said = remember(tmp_path, work)
    assert work.times == 2
    assert told in said[0]


@pytest.mark.parametrize("name", ["source", "device", "torch"])
def test_another_environment_makes_the_stage_run_again(name: str, tmp_path: Path) -> None:
    work = Worked()
    remember(tmp_path, work)
    _, said = remember(tmp_path, work, **{name: "other"})
    assert work.times == 2
    assert f"{name} changed" in said[0]


def test_other_inputs_make_the_stage_run_again_with_an_empty_folder(tmp_path: Path) -> None:
    work = Worked()
    remember(tmp_path, work, inputs=1)
    (tmp_path / "train" / "stray.txt").write_text("from before")
    remember(tmp_path, work, inputs=2)
    assert work.times == 2
    assert not (tmp_path / "train" / "stray.txt").exists()


def test_checkpoints_survive_only_an_unchanged_input(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, ENVIRONMENT)

    def killed(stage: Path) -> Source:
        (stage / "checkpoints").mkdir(parents=True, exist_ok=True)
        (stage / "checkpoints" / "c").write_text("x")
        raise KeyboardInterrupt

    seen: list[bool] = []

    def looks(stage: Path) -> Source:
        seen.append((stage / "checkpoints" / "c").exists())
        return Source(path="x", sha256="y", rows=1)

    with pytest.raises(KeyboardInterrupt):
        folder.remember("train", Source, 1, killed, keep=("checkpoints",))
    folder.remember("train", Source, 1, looks, keep=("checkpoints",))
    with pytest.raises(KeyboardInterrupt):
        folder.remember("train", Source, 2, killed, keep=("checkpoints",))
    folder.remember("train", Source, 3, looks, keep=("checkpoints",))
    assert seen == [True, False]


def _hold(path: Path, ready: str) -> None:
    with RunFolder(path, ENVIRONMENT).locked():
        Path(ready).touch()
        time.sleep(60)


def _start_holder(tmp_path: Path) -> multiprocessing.Process:
    ready = tmp_path / "ready"
    ready.unlink(missing_ok=True)
    holder = multiprocessing.get_context("fork").Process(target=_hold, args=(tmp_path, str(ready)))
    holder.start()
    while not ready.exists():
        time.sleep(0.02)
    return holder


def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    holder = _start_holder(tmp_path)
    try:
        with (
            pytest.raises(FolderError, match=f"process {holder.pid}"),
            RunFolder(tmp_path, ENVIRONMENT).locked(),
        ):
            pass
    finally:
        holder.kill()
        holder.join()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    holder = _start_holder(tmp_path)
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    said: list[str] = []
    with RunFolder(tmp_path, ENVIRONMENT, said.append).locked():
        pass
    assert "taken over" in said[0]


def test_an_atomic_write_leaves_no_half_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "deep" / "x.json", "1")
    write_atomically(tmp_path / "deep" / "x.json", "2")
    assert (tmp_path / "deep" / "x.json").read_text() == "2"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["x.json"]


def test_the_environment_names_source_device_and_versions() -> None:
    known = environment("cpu")
    assert known["device"] == "cpu"
    assert len(known["source"]) == 64
    assert known["transformers"].startswith("5.")
