"""A child that ends badly, or not at all, in the way its spec names: for tests of the parent.

{"how": "segfault"}      run as `python -m tests.doomed spec.json`, as any child of ours
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tasks.processes import asked_to_stop, child_main, emit


def be_doomed(spec: dict[str, Any]) -> None:
    emit("log", text=f"alive {os.getpid()}")
    match spec["how"]:
        case "segfault":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "out of memory in a control group":
            Path(spec["group"], "cgroup.procs").write_text(str(os.getpid()))
            bytearray(spec["bytes"])
        case "out of memory in C++":
            sys.stderr.write("terminate called after throwing an instance of 'std::bad_alloc'\n")
            sys.stderr.flush()
            os.abort()
        case "full disk":
            with Path(spec["disk"], "file").open("w+b") as file:
                file.truncate(1 << 24)
                mapped = mmap.mmap(file.fileno(), 1 << 24)
                for page in range(0, 1 << 24, mmap.PAGESIZE):
                    mapped[page] = 1
        case "saves when asked to stop":
            signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.set())
            emit("log", text="ready")
            asked_to_stop.wait()
            time.sleep(3)  # longer than it takes to notice that the parent is gone
            emit("log", text="nobody listens")
            Path(spec["saved"]).write_text("whole")
        case "silent":  # the interpreter's lock is held: no thread of Python can speak
            ctypes.PyDLL(None).sleep(600)
        case "idle":
            _beat(busy=False)
            lock = threading.Lock()
            with lock:
                lock.acquire()
        case "slow but at work":
            _beat(busy=True)
            time.sleep(spec["seconds"])
        case "endless loop":
            _beat(busy=True)
            while True:
                pass


def _beat(*, busy: bool) -> None:
    def beat() -> None:
        while True:
            emit("heartbeat", batches=3, busy=busy, held_bytes=1 << 30)
            time.sleep(0.2)

    threading.Thread(target=beat, daemon=True).start()


if __name__ == "__main__":
    child_main(be_doomed)
