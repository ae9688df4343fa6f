"""Up: server, work pool, deployments and worker with one command, and down again with Ctrl-C.

The server is started as a child with its output in a file: `prefect server start --background`
gives it pipes that nobody reads, and it dies at the first log lines (Prefect 3.8.8, measured).
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from flows.display import console
from flows.server import DEFAULT_URL, answers, configured_url
from tasks.errors import ExitCode, FolderError
from tasks.processes import CHECKOUT, quiet_environment, stop

__all__ = ["POOL", "up"]

POOL = "local"
#: As Ctrl-C would; a server or worker that does not listen is told again, then ended.
POLITELY = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
START_SECONDS = 180


def up() -> ExitCode:
    """Bring everything up and stay until Ctrl-C; a second call finds the first.

    Raises:
        FolderError: The port is taken by another program, or a part does not start.
    """
    url = configured_url() or DEFAULT_URL
    outputs = Path(os.environ.get("FINETUNE_UP_FOLDER", CHECKOUT / "outputs"))
    outputs.mkdir(parents=True, exist_ok=True)
    with _only_one(outputs / "up.lock") as first:
        if not first:
            console.print(f"already up: {url.removesuffix('/api')}")
            return ExitCode.DONE
        return _bring_up(url, outputs)


def _bring_up(url: str, outputs: Path) -> ExitCode:
    """Start what is missing, in the order of need, and stop it in the other order."""
    children: list[subprocess.Popen[bytes]] = []
    # Also SIGINT: a shell that starts a command in the background has it ignored.
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, _as_interrupt)
    try:
        if answers(url):
            console.print(f"server: already up at {url}")
        else:
            children.append(_start_server(url, outputs / "prefect-server.log"))
            console.print(f"server: {url}  (log: {outputs / 'prefect-server.log'})")
        _prefect(url, "work-pool", "create", POOL, "--type", "process", "--overwrite")
        _prefect(url, "--no-prompt", "deploy", "--all")
        children.append(_start_worker(url, outputs / "prefect-worker.log"))
        console.print(f"worker: pool {POOL}  (log: {outputs / 'prefect-worker.log'})")
        console.print(f"page:   {url.removesuffix('/api')}")
        console.print(
            "run:    prefect deployment run finetune/default "
            "--param recipe=recipes/quickstart.yaml --watch"
        )
        console.print("stop:   Ctrl-C", end="\n")
        _wait(children)
    except KeyboardInterrupt:
        console.print("\nstopping")
        return ExitCode.DONE
    finally:
        for child in reversed(children):
            stop(child, POLITELY)
    return ExitCode.DONE


def _start_server(url: str, log: Path) -> subprocess.Popen[bytes]:
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 4200
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex((host, port)) == 0:
            raise FolderError(
                f"port {port} on {host} is taken by another program, which is no Prefect server. "
                f"Stop it, or choose another port: PREFECT_API_URL=http://{host}:{port + 1}/api "
                "make up (and the same variable for `prefect deployment run`)."
            )
    command = ["server", "start", "--host", host, "--port", str(port)]
    server = _spawn(url, log, *command)
    deadline = time.monotonic() + START_SECONDS
    with console.status("starting the server"):
        while not answers(url):
            if server.poll() is not None or time.monotonic() > deadline:
                stop(server, POLITELY)
                raise FolderError(f"the Prefect server did not start; its log: {log}")
            time.sleep(0.5)
    return server


def _start_worker(url: str, log: Path) -> subprocess.Popen[bytes]:
    return _spawn(url, log, "worker", "start", "--pool", POOL, "--name", f"local-{os.getpid()}")


def _spawn(url: str, log: Path, *command: str) -> subprocess.Popen[bytes]:
    with log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "prefect", *command],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=_environment(url),
            start_new_session=True,
        )


def _environment(url: str) -> dict[str, str]:
    """Return what the children see; the worker's runs find the tools of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return quiet_environment() | {"PREFECT_API_URL": url, "PATH": path, "PYTHONUNBUFFERED": "1"}


def _prefect(url: str, *command: str) -> None:
    """Run a Prefect command to its end."""
    with console.status(f"prefect {' '.join(command)}"):
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *command],
            cwd=CHECKOUT,
            env=_environment(url),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        tail = (done.stdout + done.stderr).strip().splitlines()[-8:]
        raise FolderError(f"prefect {' '.join(command)} failed:\n" + "\n".join(tail))


@contextmanager
def _only_one(lock: Path) -> Generator[bool]:
    """Say whether we are the one `up` of this checkout; the kernel frees the lock of a dead one."""
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _wait(children: list[subprocess.Popen[bytes]]) -> None:
    while all(child.poll() is None for child in children):
        time.sleep(0.5)
    raise FolderError(f"a part stopped by itself; see the logs in {CHECKOUT / 'outputs'}")


def _as_interrupt(_sign: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
