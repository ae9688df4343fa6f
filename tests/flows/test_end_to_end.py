"""The whole path, for real: from the shipped recipe to a published model, on a laptop CPU.

One server serves all cases; each case is the `finetune` command in a child process.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.running import QUICK, ROOT, command, only_run, prefect, record, running_up, settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
RECIPE = "recipes/quickstart.yaml"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, str]]:
    """A server, pool, deployments and worker, as `make up` starts them."""
    with running_up(tmp_path_factory.mktemp("up")) as env:
        yield env


def arguments(folder: Path, *overrides: str) -> list[str]:
    changes = [*QUICK, f"publish.registry={folder / 'registry'}", *overrides]
    return [RECIPE, *(part for change in changes for part in ("--set", change))]


def run_method(env: dict[str, str], folder: Path, *overrides: str) -> tuple[str, dict[str, str]]:
    own = env | {"FINETUNE_RUNS": str(folder / "runs")}
    done = command(["run", *arguments(folder, *overrides)], own)
    assert done.returncode == 0, done.stdout
    return done.stdout, own


def exact_match(scorecard: dict) -> dict:
    return next(row for row in scorecard["metrics"] if row["name"] == "exact_match")


@pytest.mark.parametrize("method", ["lora", "qlora", "full"])
def test_a_method_learns_the_task_and_is_published(
    method: str, up: dict[str, str], tmp_path: Path
) -> None:
    said, own = run_method(up, tmp_path, f"method={method}")
    run = only_run(own, "quickstart")
    scorecard = record(run, "evaluate")
    row = exact_match(scorecard)
    assert row["base"]["high"] < 0.2
    assert row["tuned"]["low"] >= 0.8, row
    assert row["difference"]["low"] > 0.5
    assert scorecard["passed"]
    release = record(run, "publish")
    assert release["kind"] == ("model" if method == "full" else "adapter")
    assert (tmp_path / "registry" / "quickstart" / "latest" / "README.md").is_file()
    assert "finetune generate quickstart" in said
    assert "Traceback" not in said


def test_a_repeat_is_answered_from_the_folder_without_a_flow(
    up: dict[str, str], tmp_path: Path
) -> None:
    _, own = run_method(up, tmp_path, "method=lora")
    start = time.monotonic()
    again = command(["run", *arguments(tmp_path, "method=lora")], own)
    assert again.returncode == 0, again.stdout
    assert time.monotonic() - start < 5
    assert "nothing changed: answered from" in again.stdout
    assert "Prefect:" not in again.stdout
    weights = next((only_run(own, "quickstart") / "train").rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    mended = command(["run", *arguments(tmp_path, "method=lora")], own)
    assert mended.returncode == 0, mended.stdout
    assert "was altered" in mended.stdout
    assert "prepare: nothing changed" in mended.stdout


def test_a_run_killed_in_training_goes_on_where_it_was(up: dict[str, str], tmp_path: Path) -> None:
    own = up | {"FINETUNE_RUNS": str(tmp_path / "runs")}
    changes = arguments(tmp_path, "method=lora", "training.save_steps=10")
    child = subprocess.Popen(
        [sys.executable, "-m", "flows", "run", *changes],
        cwd=ROOT,
        env=own,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not list((tmp_path / "runs").glob("*/*/train/checkpoints/checkpoint-[2-9]0*/*.json")):
        assert child.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    run = only_run(own, "quickstart")
    done_before = {
        s: (run / s / "manifest.json").stat().st_mtime_ns for s in ("prepare", "validate")
    }
    again = command(["run", *changes], own)
    assert again.returncode == 0, again.stdout
    for stage, when in done_before.items():
        assert (run / stage / "manifest.json").stat().st_mtime_ns == when
        assert f"{stage}: nothing changed" in again.stdout
    assert record(run, "train")["resumed_from_step"] >= 10
    assert exact_match(record(run, "evaluate"))["tuned"]["low"] > 0.7


def test_a_defective_data_set_is_stopped_before_training(
    up: dict[str, str], tmp_path: Path
) -> None:
    rows = (ROOT / "tasks/assets/quickstart/train.jsonl").read_text().splitlines()
    for line in range(0, len(rows), 10):
        row = (
            json.loads(rows[line])
            if rows[line].startswith("{") and rows[line].endswith("}")
            else None
        )
        if row and "messages" in row:
            row["messages"][-1]["content"] = ""
            rows[line] = json.dumps(row)
    spoilt = tmp_path / "spoilt.jsonl"
    spoilt.write_text("\n".join(rows) + "\n")
    own = up | {"FINETUNE_RUNS": str(tmp_path / "runs")}
    done = command(["run", *arguments(tmp_path, f"dataset.path={spoilt}")], own)
    assert done.returncode == 1, done.stdout
    assert "DataRejected" in done.stdout
    assert "Traceback" not in done.stdout
    run = only_run(own, "quickstart")
    assert not (run / "train").exists()
    report = record(run, "validate")
    assert report["verdict"] == "fail"
    named = {row for check in report["checks"] if not check["passed"] for row in check["rows"]}
    assert {1, 11, 21} <= named


def test_a_requirement_out_of_reach_ends_without_a_release(
    up: dict[str, str], tmp_path: Path
) -> None:
    own = up | {"FINETUNE_RUNS": str(tmp_path / "runs")}
    hard = ("method=lora", "training.max_steps=2", "requirements.accuracy=0.999")
    done = command(["run", *arguments(tmp_path, *hard)], own)
    assert done.returncode == 1, done.stdout
    assert "QualityRejected" in done.stdout
    assert not (tmp_path / "registry").exists()


def test_plan_loads_nothing_and_trains_nothing(up: dict[str, str], tmp_path: Path) -> None:
    own = up | {"FINETUNE_RUNS": str(tmp_path / "runs")}
    done = command(["plan", *arguments(tmp_path)], own)
    assert done.returncode == 0, done.stdout
    assert not (only_run(own, "quickstart") / "train").exists()


def test_the_deployment_runs_through_server_and_worker(up: dict[str, str], tmp_path: Path) -> None:
    """And a gate's no is a failed run with the gate's name; a missing recipe is one line."""
    overrides = json.dumps([*QUICK, "method=lora", f"publish.registry={tmp_path / 'registry'}"])
    run = ["deployment", "run", "finetune/default", "--watch"]
    done = prefect([*run, "--param", f"recipe={RECIPE}", "--param", f"overrides={overrides}"], up)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "registry" / "quickstart" / "latest").exists()
    missing = prefect([*run, "--param", "recipe=recipes/nothing.yaml"], up)
    assert missing.returncode == 1
    assert "InputRejected" in missing.stdout, missing.stdout


def test_a_schedule_makes_runs_appear(up: dict[str, str]) -> None:
    """With SQLAlchemy 2.1 the scheduler fails in silence, so only this test would notice."""
    done = prefect(
        ["deployment", "schedule", "create", "finetune/default", "--interval", "3600"], up
    )
    assert done.returncode == 0, done.stdout
    deadline = time.monotonic() + 70
    while time.monotonic() < deadline:
        listed = prefect(["flow-run", "ls", "--state", "Scheduled", "--limit", "5"], up)
        if "Scheduled" in listed.stdout:
            break
        time.sleep(3)
    else:
        pytest.fail(f"no scheduled run appeared: {listed.stdout}")
    prefect(["deployment", "schedule", "clear", "finetune/default", "-y"], up)


def test_a_second_up_finds_the_first(up: dict[str, str]) -> None:
    done = command(["up"], up)
    assert done.returncode == 0
    assert "already up" in done.stdout


def test_up_names_a_port_that_another_program_has(tmp_path: Path) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        url = f"http://127.0.0.1:{other.getsockname()[1]}/api"
        env = settings(tmp_path, url) | {"FINETUNE_UP_FOLDER": str(tmp_path / "up")}
        done = command(["up"], env)
    assert done.returncode == 2
    assert "is taken by another program" in done.stdout


def test_without_a_server_a_run_uses_an_ephemeral_one(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "prefect", ignore_errors=True)
    env = settings(tmp_path)
    done = command(["plan", *arguments(tmp_path)], env)
    assert done.returncode == 0, done.stdout
    assert "ephemeral" in done.stdout
