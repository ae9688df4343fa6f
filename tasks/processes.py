"""Child processes: a stage's heavy work, apart from the flow that watches it.

A child is `python -m <module> <spec.json>`. It writes one JSON object a line to stdout (events);
anything else it prints goes to its log file. Events: {"event": "progress", ...}, {"event": "log",
"text": ...}, {"event": "error", "kind": <class of tasks.errors>, "message": ...}, and for the
watchdog {"event": "heartbeat", ...}. Memory is really freed between stages, and a crash or the
out-of-memory killer does not take the flow down; why a child died says `tasks/deaths.py`.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from tasks import errors
from tasks.deaths import Death, explain_death, oom_kills
from tasks.watchdog import Watchdog

__all__ = [
    "CHECKOUT",
    "asked_to_stop",
    "child_main",
    "emit",
    "quiet_environment",
    "run_child",
    "stop",
    "watch_parent",
]

#: The process whose end ends a child, also when a launcher stands between them.
WATCHED = "FINETUNE_WATCHED_PROCESS"
#: Set in a child that was asked to stop and is saving its work; it ends by itself.
asked_to_stop = threading.Event()
#: What it may take for that when the flow, killed meanwhile, no longer waits for it.
GRACE_SECONDS = 120.0
CHECKOUT = Path(__file__).resolve().parents[1]

#: Nothing phones home, nothing draws bars into a log. Sources: each library's documentation.
QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "WANDB_DISABLE_CODE": "true",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "ACCELERATE_DISABLE_RICH": "1",
}


#: glibc gives large blocks back to the kernel at every free and takes them again as zeroed pages.
#: Keeping them: 25 % more tokens a second and a fifth of the system time in the quickstart's LoRA
#: training (2 cores, torch 2.13 CPU, 2026-11-23). Other C libraries ignore it.
ALLOCATION = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
}


def quiet_environment() -> dict[str, str]:
    """Return the environment of this process with telemetry and progress bars off."""
    return {**ALLOCATION, **os.environ, **QUIET}


def emit(event: str, **fields: Any) -> None:  # noqa: ANN401 - JSON values
    """Write one event to the parent, in one piece: several threads may speak."""
    out = sys.__stdout__
    assert out is not None
    with suppress(BrokenPipeError):  # nobody listens any more: `watch_parent` sees to our end
        out.write(json.dumps({"event": event, **fields}) + "\n")
        out.flush()


def child_main(work: Callable[[dict[str, Any]], None]) -> None:
    """Be a child: read the spec named on the command line, do the work, report errors as events."""
    watch_parent()
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        work(spec)
    except errors.FinetuneError as error:
        emit("error", kind=type(error).__name__, message=str(error))
        sys.exit(int(error.exit_code))


def watch_parent() -> None:
    """End this process when the one that started it is gone."""
    flow = int(os.environ.get(WATCHED, os.getppid()))
    threading.Thread(target=_die_with_parent, args=(os.getppid(), flow), daemon=True).start()


def _die_with_parent(parent: int, flow: int) -> None:
    """A killed flow leaves no training behind that nobody watches, nor a launcher in between."""
    while os.getppid() == parent and _alive(flow):
        time.sleep(1)
    if asked_to_stop.is_set():
        time.sleep(GRACE_SECONDS)
    os._exit(int(errors.ExitCode.INTERRUPTED))


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def run_child(
    module: str,
    spec: Path,
    on_event: Callable[[dict[str, Any]], None],
    launcher: Sequence[str] = (),
    watchdog: Watchdog | None = None,
) -> None:
    """Run `python -m module spec` to its end and hand its events to `on_event`.

    Args:
        module: A module with a `__main__` part.
        spec: Its JSON input; stderr and loose output go to `<spec>.log` beside it.
        on_event: Called for each event, in order.
        launcher: What to put before `-m`, for instance `accelerate launch ...`.
        watchdog: Ends a child that stands still; it has to emit heartbeats.

    Raises:
        FinetuneError: The child reported a user's error (of the class it named), or died without
            one for a reason that is known (`tasks/deaths.py`).
        StageError: It stood still, or died for no known reason; the end of its log is quoted.
    """
    log = spec.with_suffix(".log")
    command = [*(launcher or (sys.executable,)), "-m", module, str(spec)]
    dog = watchdog or Watchdog(None)
    kills = oom_kills()
    with log.open("a", encoding="utf-8") as sink:
        written_before = log.stat().st_size
        child = _start(command, sink)
        try:
            with dog.watching(lambda: _put_down(child)):
                failure = _listen(child, sink, dog, on_event)
                child.wait()
        finally:
            stop(child, patience_seconds=dog.patience_seconds)
            assert child.stdout is not None
            child.stdout.close()  # not before: what it still says must not fail for want of a reader
    if dog.verdict:
        raise errors.StageError(f"{module} {dog.verdict} Its log: {log}")
    if failure is not None:
        raise failure
    if child.returncode:
        killed = oom_kills() - kills
        died = Death(module, child.returncode, log, written_before, killed, dog.held_bytes)
        raise explain_death(died)


def _start(command: Sequence[str], sink: IO[str]) -> subprocess.Popen[str]:
    """Start a child in a session of its own: a signal to the terminal is not one to it."""
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=sink,
        text=True,
        env=quiet_environment() | {"PYTHONPATH": _path(), WATCHED: str(os.getpid())},
        start_new_session=True,
    )


def _listen(
    child: subprocess.Popen[str],
    sink: IO[str],
    dog: Watchdog,
    on_event: Callable[[dict[str, Any]], None],
) -> errors.FinetuneError | None:
    """Hand on what the child says until it says no more; return the error it told."""
    failure: errors.FinetuneError | None = None
    for line in child.stdout or ():
        event = _parse(line)
        dog.heard(event)
        if event is None:
            sink.write(line)
        elif event["event"] == "error":
            kind = getattr(errors, str(event["kind"]), errors.StageError)
            failure = kind(event["message"])
        elif event["event"] != "heartbeat":
            on_event(event)
    return failure


def _path() -> str:
    """Return where the child finds our modules first, then what this process was given."""
    given = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(filter(None, (str(CHECKOUT), given)))


def _put_down(child: subprocess.Popen[Any]) -> None:
    """End a child that stands still, after it wrote to its log what each of its threads did."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGUSR1)
        time.sleep(1)
        os.killpg(child.pid, signal.SIGKILL)


def stop(
    child: subprocess.Popen[Any],
    signs: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGKILL),
    patience_seconds: float = 20,
) -> None:
    """End the child and everything it started, signal by signal, with patience after each."""
    for sign in signs:
        if child.poll() is not None:
            return
        os.killpg(child.pid, sign)
        try:
            child.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            continue


def _parse(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
