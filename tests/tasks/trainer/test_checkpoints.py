"""Checkpoints: only what is whole to the byte is resumed from; rotation keeps what is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import FolderError
from tasks.trainer import checkpoints

FILES = {
    "adapter_model.safetensors": b"weights" * 50,
    "optimizer.pt": b"moments" * 90,
    "scheduler.pt": b"rate",
    "rng_state.pth": b"dice" * 9,
    "trainer_state.json": b"{}",
}


def a_checkpoint(root: Path, step: int, best_step: int | None = None) -> Path:
    folder = root / f"checkpoint-{step}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content + str(step).encode())
    if best_step is not None and not checkpoints.best_copy(root, best_step).exists():
        best = checkpoints.best_copy(root, best_step)
        best.mkdir()
        (best / "model.safetensors").write_bytes(b"best")
        checkpoints.seal(best, {}, rng_states=0)
    checkpoints.seal(folder, {"step": step, "best_step": best_step}, rng_states=1)
    return folder


def test_a_sealed_checkpoint_is_whole_and_remembers(tmp_path: Path) -> None:
    folder = a_checkpoint(tmp_path, 5)
    assert checkpoints.problem(folder) == ""
    assert checkpoints.facts_of(folder) == {"step": 5, "best_step": None}


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([*FILES, "complete.json"]), st.data())
def test_any_changed_byte_cut_or_missing_file_is_found(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    folder = a_checkpoint(tmp_path, 5)
    path = folder / name
    content = path.read_bytes()
    match data.draw(st.sampled_from(["flip", "cut", "delete", "grow"])):
        case "flip":
            at = data.draw(st.integers(0, len(content) - 1))
            flipped = content[at] ^ data.draw(st.integers(1, 127))
            path.write_bytes(content[:at] + bytes([flipped]) + content[at + 1 :])
        case "cut":
            path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        case "grow":
            path.write_bytes(content + b"x")
        case "delete":
            path.unlink()
    assert checkpoints.problem(folder)


def test_the_newest_whole_one_is_taken_and_newer_torn_ones_are_named(tmp_path: Path) -> None:
    for step in (2, 10, 9):
        a_checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-10" / "scheduler.pt").unlink()
    (tmp_path / "checkpoint-11").mkdir()
    (tmp_path / "checkpoint-final").mkdir()
    said: list[str] = []
    assert checkpoints.newest_complete(tmp_path, said.append) == tmp_path / "checkpoint-9"
    assert said == [
        "checkpoint-11 cannot be resumed from: it was not finished",
        "checkpoint-10 cannot be resumed from: scheduler.pt is missing",
    ]
    assert not (tmp_path / "checkpoint-10").exists()


def test_no_checkpoint_means_from_the_start(tmp_path: Path) -> None:
    assert checkpoints.newest_complete(tmp_path / "none", lambda _: None) is None


def test_a_checkpoint_whose_best_copy_is_torn_is_not_whole(tmp_path: Path) -> None:
    folder = a_checkpoint(tmp_path, 8, best_step=4)
    assert checkpoints.problem(folder) == ""
    (tmp_path / "best-4" / "model.safetensors").write_bytes(b"bes")
    assert "best-4, is torn" in checkpoints.problem(folder)


@given(st.integers(1, 5))
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rotation_keeps_the_newest_and_every_best_they_name(tmp_path: Path, keep: int) -> None:
    for step, best in ((1, 1), (2, 1), (3, 3), (4, 3), (5, 3), (12, 12)):
        a_checkpoint(tmp_path, step, best)
    checkpoints.rotate(tmp_path, keep)
    left = sorted(int(p.name.split("-")[1]) for p in tmp_path.glob("checkpoint-*"))
    assert left == [1, 2, 3, 4, 5, 12][-keep:]
    assert all(checkpoints.problem(tmp_path / f"checkpoint-{step}") == "" for step in left)
    bests = {json.loads(json.dumps(checkpoints.facts_of(tmp_path / f"checkpoint-{s}")))["best_step"]
             for s in left}  # fmt: skip
    assert {int(p.name.split("-")[1]) for p in tmp_path.glob("best-*")} == bests


@pytest.mark.parametrize("missing", list(FILES))
def test_a_checkpoint_without_all_its_parts_cannot_be_sealed(tmp_path: Path, missing: str) -> None:
    folder = a_checkpoint(tmp_path, 1)
    (folder / missing).unlink()
    with pytest.raises(AssertionError):
        checkpoints.seal(folder, {}, rng_states=1)


def test_a_run_that_the_disk_cannot_hold_does_not_begin(tmp_path: Path) -> None:
    checkpoints.ensure_room(tmp_path, 1)
    with pytest.raises(FolderError, match=r"need about 1000000\.00 GB"):
        checkpoints.ensure_room(tmp_path, 10**15)
