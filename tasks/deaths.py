"""Why a child process died: one sentence and the mend, from its exit code, its log, the kernel.

A user's own mistake is reported by the child itself; this is for children that could not speak any
more. SIGKILL alone proves nothing: a job scheduler and a person send it, too. The kernel counts the
processes it kills for want of memory, in /proc/vmstat and in the control group's own file.
"""

from __future__ import annotations

import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import FinetuneError, FolderError, OutOfMemoryError, StageError

__all__ = ["NO_MEMORY", "Death", "explain_death", "oom_kills"]

#: What allocators print before they give up, in Python, torch, C++ and CUDA.
NO_MEMORY = ("std::bad_alloc", "allocate memory", "MemoryError", "CUDA out of memory")
NO_MEMORY += ("CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory")
NO_ROOM = ("No space left on device", "Disk quota exceeded")
NATIVE = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT}

#: Below this a disk counts as full: a mapped file that cannot grow ends in SIGBUS, without a word.
FULL_BYTES = 1 << 20
#: Lines of the log that are quoted, and lines that are searched: a crash adds its stacks.
TAIL_LINES, LAST_LINES = 12, 100
AGAIN = "Run the same recipe again: finished stages and whole checkpoints are kept."


@dataclass(frozen=True)
class Death:
    """How a child ended.

    Args:
        module: What it was running.
        code: Its exit code; negative: the signal.
        log: Its log file.
        log_begins: Where in it this child's part begins, in bytes; others wrote there before.
        oom_kills: How many processes the kernel killed for memory while it lived.
        held_bytes: What it held when it was last heard of; 0: unknown.
    """

    module: str
    code: int
    log: Path
    log_begins: int = 0
    oom_kills: int = 0
    held_bytes: int = 0


def oom_kills() -> int:
    """Return how many processes the kernel has killed for want of memory, as far as we may see."""
    return max(_count(Path("/proc/vmstat")), *(_count(path) for path in _own_groups()))


def explain_death(death: Death) -> FinetuneError:
    """Return the error that says what ended the child, and what to do."""
    text = death.log.read_bytes()[death.log_begins :].decode("utf-8", "replace")
    lines = text.splitlines()
    tail, last = lines[-TAIL_LINES:], "\n".join(lines[-LAST_LINES:])
    code = _worker_code(lines[-LAST_LINES:], death.code)
    quoted = "".join(f"\n    {line}" for line in tail)
    ended_by_kernel = code == -signal.SIGKILL and death.oom_kills > 0
    if ended_by_kernel or any(words in last for words in NO_MEMORY):
        held = death.held_bytes / 2**30
        told = f", {held:.2f} GiB when last heard of" if held else ""
        return OutOfMemoryError(
            f"{death.module}: memory ran out and it was ended{told}. Lower "
            "training.per_device_train_batch_size or dataset.max_length, or free memory on this "
            f"machine. Its log: {death.log}"
        )
    no_room = any(words in last for words in NO_ROOM)
    if no_room or (code == -signal.SIGBUS and _full(death.log)):
        return FolderError(
            f"{death.log.parent}: the disk is full and {death.module} was ended. Free some space, "
            "then run the same recipe again: it goes on from the last whole checkpoint."
        )
    return StageError(f"{death.module} {_sentence(code, text)} Its log: {death.log}{quoted}")


def _sentence(code: int, log: str) -> str:
    if code >= 0:
        return f"exited with {code}."
    sign = signal.Signals(-code)
    if sign == signal.SIGKILL:
        return (
            "was killed by SIGKILL from outside: the kernel reports no lack of memory, so a person "
            f"or a job scheduler ended it. {AGAIN}"
        )
    if sign in NATIVE:
        crashed = log.rpartition("Current thread")[2]
        frames = re.findall(r'File "([^"]+)", line (\d+) in (\S+)', crashed)
        where = f", at {frames[0][0]}:{frames[0][1]} in {frames[0][2]}" if frames else ""
        return (
            f"crashed in native code with {sign.name}{where}. {AGAIN} If it crashes there again, "
            "the installed libraries do not fit this machine: run `make install` anew, which takes "
            "the versions of constraints.txt."
        )
    return f"was ended by {sign.name}. {AGAIN}"


def _worker_code(tail: list[str], code: int) -> int:
    """Return the exit code of the process that died first, as a launcher of several tells it."""
    found = [int(m[1]) for line in tail if (m := re.search(r"exitcode\s*:\s*(-?\d+)", line))]
    return found[0] if found and code > 0 else code


def _full(log: Path) -> bool:
    return shutil.disk_usage(log.parent).free < FULL_BYTES


def _own_groups() -> list[Path]:
    """Return the files of our control groups that count kills: version 2, version 1."""
    groups, found = Path("/proc/self/cgroup"), [Path("/sys/fs/cgroup/memory.events")]
    for line in groups.read_text().splitlines() if groups.exists() else ():
        _number, kinds, path = line.split(":", 2)
        if "memory" in kinds.split(","):
            found.append(Path(f"/sys/fs/cgroup/memory{path}/memory.oom_control"))
        elif not kinds:
            found.append(Path(f"/sys/fs/cgroup{path}/memory.events"))
    return found


def _count(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
