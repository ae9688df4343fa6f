"""Memory of this process: what was there, what the peak was.

On a GPU the peak is what the allocator reserved; on a CPU it is the resident set of the process,
libraries included (about 0.5 GB), so the size before the model was loaded is reported beside it.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.contracts import MemoryEstimate

__all__ = ["available_bytes", "gib", "peak_bytes", "resident_bytes", "sentence"]

GIB = 2**30


def gib(count: int) -> str:
    """Return bytes as GiB in words: 1.5e9 is `1.40 GiB`."""
    return f"{count / GIB:.2f} GiB"


def resident_bytes() -> int:
    """Return the memory this process holds now (the peak so far where there is no /proc)."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return _peak_resident()


def peak_bytes() -> int:
    """Return the most memory taken so far: reserved on the GPU, else resident."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved()
    return _peak_resident()


def available_bytes() -> int:
    """Return what is free for training now: on the GPU, else in main memory."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0]
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def sentence(estimate: MemoryEstimate | None) -> str:
    """Return the estimate in words."""
    if estimate is None:
        return "no estimate"
    return f"estimated {gib(estimate.low_bytes)} to {gib(estimate.high_bytes)}"


def _peak_resident() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
