"""Running the real commands in tests: `finetune`, `prefect`, `finetune up`, each as a child."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.server import answers

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings(folder: Path, url: str = "") -> dict[str, str]:
    """Return the environment of a command: own runs, own Prefect home, the server at `url`."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    return clean | {
        "FINETUNE_RUNS": str(folder / "runs"),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "200",
        "PYTHONPATH": str(ROOT),
    }


def command(
    arguments: Sequence[str], env: dict[str, str], *, timeout: float = 500, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run `python -m flows <arguments>` and return what it printed, both streams together."""
    return subprocess.run(
        [sys.executable, "-m", "flows", *arguments],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )


def prefect(arguments: Sequence[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `prefect <arguments>` in the checkout."""
    return subprocess.run(
        [sys.executable, "-m", "prefect", *arguments],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )


@contextmanager
def running_up(folder: Path) -> Generator[dict[str, str]]:
    """Keep `finetune up` running on a free port; yield the environment that finds it."""
    url = f"http://127.0.0.1:{free_port()}/api"
    env = settings(folder, url) | {"FINETUNE_UP_FOLDER": str(folder / "up")}
    with (folder / "up.log").open("w") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "flows", "up"],
            cwd=ROOT,
            env=env | {"PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + 240
            while "Ctrl-C" not in (folder / "up.log").read_text():
                assert child.poll() is None, (folder / "up.log").read_text()
                assert time.monotonic() < deadline, (folder / "up.log").read_text()
                time.sleep(0.5)
            assert answers(url)
            yield env
        finally:
            child.send_signal(2)
            assert child.wait(60) == 0
    assert not answers(url), "Ctrl-C left the server running"


def only_run(env: dict[str, str], name: str) -> Path:
    """Return the one run folder of a recipe's name."""
    folders = sorted((Path(env["FINETUNE_RUNS"]) / name).glob("[!.]*/"))
    assert len(folders) == 1, folders
    return folders[0]


def record(run: Path, stage: str) -> dict[str, Any]:
    """Return a stage's record as plain values."""
    return json.loads((run / stage / "manifest.json").read_text(encoding="utf-8"))["record"]
