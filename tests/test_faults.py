"""Faults: a run that is killed, cut off or spoilt anywhere ends, on re-run, in the same release.

Each trial draws its fault from a seed: who is killed (the whole run, the child that trains), with
which signal and when; or which stage's file is deleted, cut or altered. Two seeded trials of each
kind run in `make test`, the full counts in `make stress`, with outcomes in `bench/results/`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.running import ROOT, command, only_run, record

RESULTS = ROOT / "bench" / "results" / "faults.jsonl"
FEW, MANY = range(2), range(2, 22)
#: Each group of trials is one test process with a server of its own.
APART = [pytest.param(s, marks=pytest.mark.xdist_group(f"faults {s % 2}")) for s in MANY]

#: A whole run in well under a minute; what it learns is of no interest, only that it is the same.
SHORT = (
    *("method=lora", "training.max_steps=24", "training.save_steps=3", "training.eval_strategy=no"),
    *("dataset.max_rows=700", "validation.max_leaked_fraction=0.1", "evaluation.max_rows=8"),
    *(
        "requirements.accuracy=null",
        "requirements.metric=token_accuracy",
    ),
)


def arguments(folder: Path) -> list[str]:
    changes = (*SHORT, f"publish.registry={folder / 'registry'}")
    return ["run", "recipes/quickstart.yaml", *(x for c in changes for x in ("--set", c))]


def finish(env: dict[str, str], folder: Path) -> str:
    """Run to the end and return what was said."""
    done = command(arguments(folder), env)
    assert done.returncode in (0, 1), done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


def weights(run: Path) -> str:
    """Return the hashes of the trained weights as the stage recorded them."""
    files = json.loads((run / "train" / "manifest.json").read_text())["files"]
    return json.dumps({n: f["sha256"] for n, f in files.items() if n.endswith(".safetensors")})


@pytest.fixture(scope="module")
def unbroken(up: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the weights of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("unbroken")
    own = up | {"FINETUNE_RUNS": str(folder / "runs")}
    finish(own, folder)
    return weights(only_run(own, "quickstart"))


def finished_stages(env: dict[str, str]) -> dict[str, int]:
    """Return each finished stage's manifest and when it was written."""
    found = Path(env["FINETUNE_RUNS"]).glob("quickstart/*/*/manifest.json")
    return {str(path): path.stat().st_mtime_ns for path in found}


def note(kind: str, seed: int, what: str) -> None:
    """Add a trial's outcome to the results when this is the long run."""
    if seed in MANY:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        with RESULTS.open("a") as file:
            file.write(json.dumps({"kind": kind, "seed": seed, "fault": what, "ok": True}) + "\n")


def children_of(pid: int) -> list[int]:
    """Return the processes below one, deepest last."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *children_of(int(child))]
    return found


def start(env: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    """Start the run and come back at once."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows", *arguments(folder)],
        cwd=ROOT,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def trial_kill(seed: int, up: dict[str, str], folder: Path, unbroken: str) -> str:
    rng = random.Random(seed)
    own = up | {"FINETUNE_RUNS": str(folder / "runs")}
    who = rng.choice(["everybody", "child"])
    sign = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    delay = rng.uniform(4, 45)
    run = start(own, folder)
    deadline = time.monotonic() + delay
    while time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.05)
    below = children_of(run.pid) if run.poll() is None else []
    victims = below[-1:] if who == "child" and below else [run.pid, *below]
    for pid in victims:
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            continue
    run.wait(400)
    done_before = finished_stages(own)
    finish(own, folder)
    assert done_before.items() <= finished_stages(own).items(), "a finished stage was repeated"
    assert weights(only_run(own, "quickstart")) == unbroken
    assert record(only_run(own, "quickstart"), "publish")["version"] == 1
    return f"{sign.name} to {who} after {delay:.0f} s"


def trial_spoil(seed: int, up: dict[str, str], folder: Path, unbroken: str) -> str:
    rng = random.Random(seed)
    own = up | {"FINETUNE_RUNS": str(folder / "runs")}
    finish(own, folder)
    run = only_run(own, "quickstart")
    stage = rng.choice(["prepare", "validate", "train", "evaluate", "publish"])
    names = json.loads((run / stage / "manifest.json").read_text())["files"]
    path = run / stage / rng.choice([*sorted(names), "manifest.json"])
    how = rng.choice(["delete", "cut", "alter"])
    data = path.read_bytes()
    if how == "delete":
        path.unlink()
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    said = finish(own, folder)
    assert "finished before, but" in said
    assert weights(run) == unbroken
    return f"{how} {stage}/{path.name}"


@pytest.mark.slow
@pytest.mark.xdist_group("faults")
@pytest.mark.timeout(900)
def test_a_run_killed_in_training_goes_on_where_it_was(
    up: dict[str, str], tmp_path: Path, unbroken: str
) -> None:
    own = up | {"FINETUNE_RUNS": str(tmp_path / "runs")}
    run = start(own, tmp_path)
    deadline = time.monotonic() + 300
    while not list((tmp_path / "runs").glob("*/*/train/checkpoints/checkpoint-1[25]*")):
        assert run.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for pid in [run.pid, *children_of(run.pid)]:
        os.kill(pid, signal.SIGKILL)
    run.wait()
    done_before = finished_stages(own)
    assert len(done_before) == 3
    said = finish(own, tmp_path)
    assert "validate: nothing changed" in said
    assert done_before.items() <= finished_stages(own).items()
    # The newest checkpoint may not be whole yet; the one before it is.
    assert record(only_run(own, "quickstart"), "train")["resumed_from_step"] >= 9
    assert weights(only_run(own, "quickstart")) == unbroken


@pytest.mark.slow
@pytest.mark.xdist_group("faults")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", FEW)
def test_a_killed_run_ends_in_the_same_release(
    seed: int, up: dict[str, str], tmp_path: Path, unbroken: str
) -> None:
    trial_kill(seed, up, tmp_path, unbroken)


@pytest.mark.slow
@pytest.mark.xdist_group("faults")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", FEW)
def test_a_spoilt_output_is_made_again(
    seed: int, up: dict[str, str], tmp_path: Path, unbroken: str
) -> None:
    trial_spoil(seed, up, tmp_path, unbroken)


@pytest.mark.stress
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", APART)
def test_many_killed_runs_end_in_the_same_release(
    seed: int, up: dict[str, str], tmp_path: Path, unbroken: str
) -> None:
    note("kill", seed, trial_kill(seed, up, tmp_path, unbroken))


@pytest.mark.stress
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", APART)
def test_many_spoilt_outputs_are_made_again(
    seed: int, up: dict[str, str], tmp_path: Path, unbroken: str
) -> None:
    note("spoil", seed, trial_spoil(seed, up, tmp_path, unbroken))
