"""The Hub is asked once: what refuses is there, what does not answer is not, and soon."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.running import ROOT, free_port
from tests.tasks.test_base_model_files import hub

__all__ = ["hub"]  # a fixture

ASK = "import sys; from tasks.hub import hub_answers; print(hub_answers('a/b', sys.argv[1]))"
READ = """
from tasks.errors import DataError
from tasks.readers.repositories import files_on_hub
from tasks.recipe import DatasetSection
try:
    files_on_hub("dataset.path", "data/train", DatasetSection(path="data/train"))
except DataError as error:
    print(error)
"""


def said(folder: Path, *command: str, **env: str) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", *command],
        cwd=ROOT,
        env=clean | {"HF_HOME": str(folder), "PYTHONPATH": str(ROOT)} | env,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("kind", ["model", "dataset"])
@pytest.mark.parametrize("hub", [(404, "RepoNotFound"), (403, "GatedRepo")], indirect=True)
def test_a_hub_that_refuses_answers(hub: str, kind: str, tmp_path: Path) -> None:
    assert said(tmp_path, ASK, kind, HF_ENDPOINT=hub) == "True"


@pytest.mark.parametrize("switch", [{"HF_HUB_OFFLINE": "1"}, {}])
def test_no_hub_is_no_answer(switch: dict[str, str], tmp_path: Path) -> None:
    closed = f"http://127.0.0.1:{free_port()}"
    assert said(tmp_path, ASK, "model", HF_ENDPOINT=closed, **switch) == "False"


def test_a_mistyped_path_is_told_without_half_a_minute_of_trying(tmp_path: Path) -> None:
    began = time.monotonic()
    closed = f"http://127.0.0.1:{free_port()}"
    told = said(tmp_path, READ, HF_ENDPOINT=closed)
    assert told.startswith("dataset.path: data/train: no such file or folder here")
    assert time.monotonic() - began < 20
