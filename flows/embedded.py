"""A Prefect server of our own for one `finetune run`, where none is configured or none answers.

A child of this process on a free port, with its words in a file. Prefect's own ephemeral mode is
not used: with an address in `prefect.toml` some of its threads still speak to that address, and a
killed run would leave the server behind. The child ends when its parent does.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from flows.server import answers
from tasks.errors import FolderError
from tasks.processes import CHECKOUT, quiet_environment, stop, watch_parent

__all__ = ["embedded_server"]

START_SECONDS = float(os.environ.get("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120"))


@contextmanager
def embedded_server() -> Generator[str]:
    """Run a server while the body runs; yield its address, which is also set for Prefect.

    Raises:
        FolderError: It does not answer within 120 s; the message names its log.
    """
    with tempfile.TemporaryDirectory(prefix="finetune-prefect-") as folder:
        log = Path(folder) / "server.log"
        port = _free_port()
        url = f"http://127.0.0.1:{port}/api"
        with log.open("wb") as sink:
            child = subprocess.Popen(
                [sys.executable, "-m", "flows.embedded", str(port)],
                cwd=CHECKOUT,
                env=quiet_environment()
                | {"PREFECT_API_URL": url, "PREFECT__SERVER_EPHEMERAL": "1"},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
            )
        try:
            _wait_until_it_answers(child, url, log)
            os.environ["PREFECT_API_URL"] = url
            yield url
        finally:
            stop(child, patience_seconds=10)


def _wait_until_it_answers(child: subprocess.Popen[str], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(url):
        if child.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
            raise FolderError(
                f"the embedded Prefect server did not answer within {START_SECONDS:.0f} s. Start one "
                "with `make up` in another terminal, or give it longer: "
                "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS=300\n" + "\n".join(tail)
            )
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(port: int) -> None:
    """Be the server; in ephemeral mode it runs only the services that a run needs."""
    import uvicorn

    watch_parent()
    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="error",
        lifespan="on",
    )


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
