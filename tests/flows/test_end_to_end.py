"""The whole path, for real: from the shipped recipe to a published model, on a laptop CPU.

One server serves all cases; each case is the `finetune` command in a child process.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.running import ROOT, command, only_run, prefect, record, settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("end to end"),  # one process, so one server
]
RECIPE = "recipes/quickstart.yaml"


def arguments(folder: Path, *overrides: str) -> list[str]:
    changes = [f"publish.registry={folder / 'registry'}", *overrides]
    return [RECIPE, *(part for change in changes for part in ("--set", change))]


def in_own_runs(env: dict[str, str], folder: Path) -> dict[str, str]:
    return env | {"FINETUNE_RUNS": str(folder / "runs")}


def row_of(run: Path, metric: str) -> dict[str, Any]:
    return next(row for row in record(run, "evaluate")["metrics"] if row["name"] == metric)


def test_the_quickstart_runs_through_server_and_worker(up: dict[str, str], tmp_path: Path) -> None:
    """One epoch by its deployment; then a repeat is answered without a flow, unless spoilt."""
    registry = tmp_path / "registry"
    less = ("training.num_train_epochs=1", "requirements.accuracy=0.02", "evaluation.max_rows=200")
    changes = json.dumps([f"publish.registry={registry}", *less])
    done = prefect(
        [
            "deployment",
            "run",
            "finetune/default",
            "--watch",
            "--param",
            f"recipe={RECIPE}",
            "--param",
            f"overrides={changes}",
        ],
        up,
    )
    assert done.returncode == 0, done.stdout
    run = only_run(up, "quickstart")
    row = row_of(run, "exact_match")
    assert row["base"]["high"] < 0.05
    assert row["difference"]["low"] > 0.03, row
    assert record(run, "evaluate")["passed"]
    assert (registry / "quickstart" / "latest" / "README.md").is_file()

    start = time.monotonic()
    again = command(["run", *arguments(tmp_path, *less)], up)
    assert again.returncode == 0, again.stdout
    assert time.monotonic() - start < 5
    assert "nothing changed: answered from" in again.stdout
    assert "Prefect:" not in again.stdout
    assert "finetune generate quickstart" in again.stdout

    samples = run / "evaluate" / "samples.jsonl"
    samples.write_bytes(samples.read_bytes()[:-1])
    mended = command(["run", *arguments(tmp_path, *less)], up)
    assert mended.returncode == 0, mended.stdout
    assert "evaluate/samples.jsonl was altered" in mended.stdout
    assert "train: nothing changed" in mended.stdout
    assert record(run, "evaluate")["test_uses"] == 2
    assert not (registry / "quickstart" / "v2").exists()


#: Enough to learn the form of the answers and some of their content, in half a minute.
BRIEF = (
    *("training.max_steps=80", "evaluation.max_rows=80", "requirements.accuracy=0.8"),
    *("requirements.metric=token_accuracy", "training.eval_strategy=no", "training.save_steps=40"),
)


@pytest.mark.parametrize("method", ["qlora", "full"])
def test_a_method_learns_the_task_and_is_published(
    method: str, up: dict[str, str], tmp_path: Path
) -> None:
    own = in_own_runs(up, tmp_path)
    kind = "merged" if method == "qlora" else "adapter"
    changes = (*BRIEF, f"method={method}", f"publish.kind={kind}")
    done = command(["run", *arguments(tmp_path, *changes)], own)
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
    run = only_run(own, "quickstart")
    assert row_of(run, "token_accuracy")["difference"]["low"] > 0.2
    assert row_of(run, "exact_match")["base"]["high"] < 0.05
    assert record(run, "evaluate")["primary"] == "token_accuracy"
    release = record(run, "publish")
    assert release["kind"] == ("model" if method == "full" else "merged")
    assert record(run, "train")["method"] == method
    answer = command(
        [
            "generate",
            "quickstart",
            "My Kelora Kettle never came",
            "--registry",
            str(tmp_path / "registry"),
            "--max-new-tokens",
            "40",
        ],
        own,
    )
    assert answer.returncode == 0, answer.stdout
    assert "queue" in answer.stdout


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
    own = in_own_runs(up, tmp_path)
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
    own = in_own_runs(up, tmp_path)
    hard = (*BRIEF, "training.max_steps=2", "requirements.accuracy=0.999", "method=lora")
    done = command(["run", *arguments(tmp_path, *hard)], own)
    assert done.returncode == 1, done.stdout
    assert "QualityRejected" in done.stdout
    assert not (tmp_path / "registry").exists()


def test_a_model_that_cannot_fit_ends_before_training_and_says_what_it_needs(
    up: dict[str, str], tmp_path: Path
) -> None:
    own = in_own_runs(up, tmp_path)
    done = command(["run", *arguments(tmp_path, "budget.vram_gb=0.1")], own)
    assert done.returncode == 3, done.stdout
    assert "Traceback" not in done.stdout
    ending = done.stdout[done.stdout.index("NothingFits") :]
    assert "needs" in ending
    assert "0.1 GiB usable" in ending
    assert not (only_run(own, "quickstart") / "train").exists()


def test_a_recipe_that_is_missing_on_the_worker_is_one_line(up: dict[str, str]) -> None:
    done = prefect(
        ["deployment", "run", "finetune/default", "--watch", "--param", "recipe=recipes/no.yaml"],
        up,
    )
    assert done.returncode == 1
    assert "InputRejected" in done.stdout, done.stdout


def test_a_schedule_makes_runs_appear(up: dict[str, str]) -> None:
    """With SQLAlchemy 2.1 the scheduler fails in silence, so only this test would notice."""
    done = prefect(
        ["deployment", "schedule", "create", "finetune/default", "--interval", "3600"], up
    )
    assert done.returncode == 0, done.stdout
    deadline = time.monotonic() + 70
    while time.monotonic() < deadline:
        listed = prefect(["flow-run", "ls", "--state", "Scheduled", "--limit", "5"], up)
        if "SCHEDULED" in listed.stdout:
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


def test_without_a_server_a_plan_uses_an_embedded_one_and_trains_nothing(tmp_path: Path) -> None:
    env = settings(tmp_path)
    done = command(["plan", *arguments(tmp_path)], env)
    assert done.returncode == 0, done.stdout
    assert "embedded" in done.stdout
    assert "Planned" in done.stdout
    assert "Error logging to API" not in done.stdout
    assert not (only_run(env, "quickstart") / "train").exists()
