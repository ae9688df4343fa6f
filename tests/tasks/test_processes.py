"""Children that die or hang: the parent says in one sentence why, and how to go on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.deaths import Death, explain_death, oom_kills
from tasks.errors import FinetuneError, FolderError, OutOfMemoryError, StageError
from tasks.processes import run_child
from tasks.watchdog import Watchdog
from tests.control_groups import EITHER_VERSION, control_group


def ended(folder: Path, watchdog: Watchdog | None = None, **spec: Any) -> FinetuneError:
    """Run a doomed child and return what is told of its end; it has to be gone then."""
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    alive: list[int] = []
    with pytest.raises(FinetuneError) as told:
        run_child("tests.doomed", path, lambda e: alive.append(int(e["text"].split()[1])),
                  watchdog=watchdog)  # fmt: skip
    with pytest.raises(ProcessLookupError):
        os.kill(alive[0], 0)
    return told.value


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group whose members may hold 64 MiB."""
    with control_group(64 << 20, *EITHER_VERSION) as group:
        yield group


def test_a_child_killed_for_memory_is_told_from_one_killed_by_somebody(
    tmp_path: Path, group: Path
) -> None:
    how = "out of memory in a control group"
    told = ended(tmp_path, how=how, group=str(group), bytes=256 << 20)
    assert isinstance(told, OutOfMemoryError)
    assert "memory ran out" in str(told)
    assert "Lower training.per_device_train_batch_size" in str(told)

    told = ended(tmp_path, how="killed")
    assert type(told) is StageError
    assert "SIGKILL from outside: the kernel reports no lack of memory" in str(told)
    assert "Run the same recipe again" in str(told)


def test_an_allocator_that_aborts_is_out_of_memory(tmp_path: Path) -> None:
    assert isinstance(ended(tmp_path, how="out of memory in C++"), OutOfMemoryError)


def test_a_segfault_names_the_line_of_python_it_came_from(tmp_path: Path) -> None:
    told = ended(tmp_path, how="segfault")
    assert type(told) is StageError
    sentence = str(told).splitlines()[0]
    assert "crashed in native code with SIGSEGV, at " in sentence
    assert "ctypes/__init__.py" in sentence
    assert "make install" in str(told)
    assert "SIGABRT" in str(ended(tmp_path, how="abort"))


def test_a_mapped_file_on_a_full_disk_is_named(tmp_path: Path) -> None:
    """Writing to it ends in SIGBUS, without a word."""
    disk = tmp_path / "disk"
    disk.mkdir()
    code = (
        "import subprocess, sys\n"
        f"subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'none', {str(disk)!r}], check=True)\n"
        "from pathlib import Path\n"
        "from tests.tasks.test_processes import ended\n"
        f"told = ended(Path({str(disk)!r}), how='full disk', disk={str(disk)!r})\n"
        "print(type(told).__name__, told)\n"
    )
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    done = subprocess.run(["unshare", "--mount", sys.executable, "-c", code],
                          capture_output=True, text=True, check=False)  # fmt: skip
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("this user may not mount a small file system")
    assert done.stdout.startswith(FolderError.__name__), done.stdout + done.stderr
    assert "the disk is full" in done.stdout


def test_the_first_of_several_processes_to_die_is_the_cause(tmp_path: Path) -> None:
    log = tmp_path / "spec.log"
    log.write_text(
        "Root Cause:\n  rank      : 1\n  exitcode  : -11 (pid: 7)\n  error_file: <N/A>\n"
    )
    assert "SIGSEGV" in str(explain_death(Death("tasks.trainer", 1, log)))
    log.write_text("  exitcode  : -9 (pid: 7)\n")
    assert isinstance(explain_death(Death("tasks.trainer", 1, log, oom_kills=1)), OutOfMemoryError)
    assert isinstance(explain_death(Death("tasks.trainer", 1, log)), StageError)


def test_what_an_earlier_child_wrote_into_the_log_is_not_the_cause(tmp_path: Path) -> None:
    (tmp_path / "spec.log").write_text("MemoryError\nNo space left on device\n")
    assert type(ended(tmp_path, how="abort")) is StageError


def test_the_kernel_s_count_only_grows() -> None:
    assert 0 <= oom_kills() <= oom_kills()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("silent", "gave no sign of life for 2 s"),
        ("idle", "neither computed nor wrote anything for 2 s"),
        ("endless loop", "computed for 2 s without going through a single batch"),
    ],
)
def test_a_child_that_hangs_is_ended_and_says_where(tmp_path: Path, how: str, words: str) -> None:
    began = time.monotonic()
    told = ended(tmp_path, Watchdog(2.0, active=True), how=how)
    assert words in str(told)
    assert "training.hang_timeout_minutes" in str(told)
    assert time.monotonic() - began < 20
    if how != "silent":
        assert "doomed.py" in (tmp_path / "spec.log").read_text(), "what its threads did"


@pytest.mark.slow
def test_a_slow_child_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"how": "slow but at work", "seconds": 3}))
    dog = Watchdog(None, active=True)
    run_child("tests.doomed", path, lambda _: None, watchdog=dog)
    assert dog.verdict == ""
    assert dog.held_bytes == 1 << 30


@pytest.mark.slow
def test_a_child_that_saves_outlives_a_killed_flow_until_it_has_saved(tmp_path: Path) -> None:
    path, saved = tmp_path / "spec.json", tmp_path / "saved"
    path.write_text(json.dumps({"how": "saves when asked to stop", "saved": str(saved)}))
    code = (
        "from pathlib import Path; from tasks.processes import run_child\n"
        f"run_child('tests.doomed', Path({str(path)!r}), lambda e: print(e['text'], flush=True))"
    )
    flow = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert flow.stdout is not None
    child = int(flow.stdout.readline().split()[1])
    assert flow.stdout.readline() == "ready\n"
    os.kill(child, signal.SIGTERM)
    flow.kill()
    flow.wait()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert saved.read_text() == "whole"
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.parametrize(
    ("beats", "at", "words"),
    [
        ([], 599.0, ""),
        ([], 601.0, "no sign of life"),
        ([(i * 10.0, 1, False) for i in range(61)], 605.0, "neither computed"),
        ([(i * 10.0, 1, True) for i in range(61)], 605.0, ""),
        ([(i * 10.0, 1, True) for i in range(362)], 3615.0, "without going through a single batch"),
        ([(i * 10.0, i // 30, True) for i in range(1000)], 9995.0, ""),
        # Two batches 300 s apart: twenty times as long is allowed, 6000 s.
        (
            [(0, 1, True), (300, 2, True), *((300 + i * 10, 2, True) for i in range(590))],
            6195.0,
            "",
        ),
        (
            [(0, 1, True), (300, 2, True), *((300 + i * 10, 2, True) for i in range(602))],
            6315.0,
            "without going through a single batch",
        ),
    ],
)
def test_the_limits_follow_what_the_child_does(
    monkeypatch: pytest.MonkeyPatch, beats: Any, at: float, words: str
) -> None:
    now = [0.0]
    monkeypatch.setattr("tasks.watchdog.time.monotonic", lambda: now[0])
    dog = Watchdog(None, active=True)
    for when, batches, busy in beats:
        now[0] = when
        dog.heard({"event": "heartbeat", "batches": batches, "busy": busy, "held_bytes": 1})
    found = dog.why(at)
    assert words in found
    assert bool(found) == bool(words)
