"""What holds in every test: no network but loopback, nothing written outside a temporary folder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import running_up

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Two workers on two cores (`make test`): two threads each would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A worker of pytest-xdist has no terminal: tables would be folded to 80 columns.
os.environ.setdefault("COLUMNS", "200")

LOOPBACK = ("127.", "localhost", "::1", "0.0.0.0")


@pytest.fixture(autouse=True, scope="session")
def _only_loopback() -> Iterator[None]:
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])
            assert host.startswith(LOOPBACK), f"a test reached for the network: {address}"
        return connect(self, address)

    socket.socket.connect = guarded  # ty: ignore[invalid-assignment]
    yield
    socket.socket.connect = connect  # ty: ignore[invalid-assignment]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send run folders to the test's own folder."""
    monkeypatch.setenv("FINETUNE_RUNS", str(tmp_path / "runs"))


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server, pool, deployments and worker, as `make up` starts them; one a test process."""
    with running_up(tmp_path_factory.mktemp("up")) as env:
        yield env
