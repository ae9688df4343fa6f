"""A flow run cancelled in Prefect while it trains: it saves, leaves no process, and goes on later."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from tests.running import command, only_run, prefect, record
from tests.test_faults import SHORT, unbroken, weights

__all__ = ["unbroken"]  # a fixture

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def processes_with(words: str) -> list[str]:
    """Return the command lines of running processes that have these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found += [line] if words in line else []
    return found


def wait_until(seconds: float, holds: object, told: str) -> None:
    """Look again and again until `holds()` is true."""
    assert callable(holds)
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, told
        time.sleep(0.2)


@pytest.mark.stress
@pytest.mark.xdist_group("faults 0")
@pytest.mark.timeout(1200)
def test_a_cancelled_flow_run_saves_and_its_next_one_ends_the_same(
    up: dict[str, str], tmp_path: Path, unbroken: str
) -> None:
    changes = [*SHORT, "name=cancelled", f"publish.registry={tmp_path / 'registry'}"]
    parameters = ["recipe=recipes/quickstart.yaml", f"overrides={json.dumps(changes)}"]
    asked = prefect(
        ["deployment", "run", "finetune/default", *(x for p in parameters for x in ("--param", p))],
        up,
    )
    assert asked.returncode == 0, asked.stdout
    found = UUID.search(asked.stdout)
    assert found is not None, asked.stdout
    flow_run = found.group()

    runs = Path(up["FINETUNE_RUNS"]) / "cancelled"
    checkpoint = "*/train/checkpoints/checkpoint-[69]*"
    wait_until(300, lambda: list(runs.glob(checkpoint)), "it did not begin to train")
    cancelled = prefect(["flow-run", "cancel", flow_run], up)
    assert cancelled.returncode == 0, cancelled.stdout
    run = only_run(up, "cancelled")
    wait_until(90, lambda: not processes_with(str(run / "train")), "the child still runs")
    wait_until(90, lambda: "Cancelled" in prefect(["flow-run", "inspect", flow_run], up).stdout,
               "the flow run is not cancelled")  # fmt: skip
    assert not (run / "train" / "manifest.json").exists()

    settings = [x for change in changes for x in ("--set", change)]
    done = command(["run", "recipes/quickstart.yaml", *settings], up)
    assert done.returncode in (0, 1), done.stdout
    assert "Traceback" not in done.stdout
    assert record(run, "train")["resumed_from_step"] >= 6
    assert weights(run) == unbroken
