"""Hardware: a card of the catalogue, a card by its size, or this machine, without importing torch.

Memory decides what fits; the peak and the price only give ranges of time and money. What is not
known (the price of an own machine, the peak of an unknown card) stays a range or None.
"""

from __future__ import annotations

import difflib
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Literal

from tasks.contracts import Record
from tasks.errors import RecipeError
from tasks.estimates.cards import (
    USABLE_SHARE,
    Card,
    cards,
    find,
    list_gpus,
    names,
    normal,
    peaks,
    price,
    which_size,
)
from tasks.estimates.memory import GIB
from tasks.estimates.ownership import owned_price
from tasks.recipe import BudgetSection

__all__ = [
    "Card",
    "Hardware",
    "card",
    "cards",
    "detect",
    "free_ram_bytes",
    "from_listing",
    "hardware_for",
    "list_gpus",
    "this_cpu",
]

#: Heuristic: what training may use of a computer's memory; the rest is the system's.
USABLE_RAM_SHARE = 0.8
#: A card whose driver reports a memory that differs by more is one of another size of that name.
ANOTHER_SIZE = 0.15
#: Heuristic: float32 TFLOP/s of a core in matrix products (stack.md: 220 GFLOP/s on 2 cores).
TFLOPS_PER_CORE = 0.1


class Hardware(Record):
    """What the run is computed on; `usable_gib` is what a process can use of one device.

    `tflops` bounds one device's peak; both ends are equal where it is known. `kind` is the class
    of question 2; `taken` says which memory was taken where the name leaves it open.
    """

    name: str
    kind: Literal["cpu", "consumer", "single", "unknown"]
    usable_gib: float
    count: int = 1
    bf16: bool
    tflops: tuple[float, float]
    usd_per_hour: tuple[float, float] | None
    price_source: str
    taken: str | None = None

    @property
    def device_class(self) -> str:
        """`cpu`, or `cuda:` and the card's name."""
        return "cpu" if self.kind == "cpu" else f"cuda:{self.name}"

    @property
    def usable_bytes(self) -> int:
        """What a process can use of one device, in bytes."""
        return int(self.usable_gib * GIB)

    @property
    def title(self) -> str:
        """The hardware in words: `8 x a100-80`."""
        if self.kind == "cpu":
            return "this machine's CPU"
        return self.name if self.count == 1 else f"{self.count} x {self.name}"


def hardware_for(budget: BudgetSection) -> Hardware:
    """Return the hardware that a recipe's budget names; without one, this machine.

    Raises:
        RecipeError: The name is no known card and `vram_gb` does not say what it has.
    """
    if budget.gpu is None and budget.vram_gb is None:
        found = detect()
    elif budget.gpu is not None and budget.gpu.strip().lower() == "cpu":
        found = this_cpu()
    elif budget.vram_gb is not None:
        found = _unknown(budget.gpu or "gpu", budget.vram_gb)
    else:
        found = card(str(budget.gpu), budget.gpu_count)
    if found.kind != "cpu" and budget.gpu_count > 1:
        found = found.model_copy(update={"count": budget.gpu_count})
    if budget.owned:
        rate, made_of = owned_price(found.name)
        found = found.model_copy(update={"usd_per_hour": rate, "price_source": made_of})
    if budget.usd_per_gpu_hour is not None:
        price = (budget.usd_per_gpu_hour, budget.usd_per_gpu_hour)
        update = {"usd_per_hour": price, "price_source": "budget.usd_per_gpu_hour"}
        found = found.model_copy(update=update)
    return found


def card(name: str, count: int = 1) -> Hardware:
    """Return a card of the catalogue by name or alias.

    Raises:
        RecipeError: No such card; the message has the nearest name.
    """
    key = find(name)
    if key is None:
        aliases = {alias: k for k, entry in cards().items() for alias in names(k, entry)}
        near = difflib.get_close_matches(normal(name), aliases, 1)
        raise RecipeError(
            f"budget.gpu = {name!r}: not a card of the catalogue. "
            + (f"Did you mean {aliases[near[0]]}? " if near else "")
            + f"Cards: cpu, {', '.join(cards())}. For another one set budget.vram_gb."
        )
    entry = cards()[key]
    usd, source = price(entry)
    return Hardware(
        name=key,
        kind=entry["kind"],
        usable_gib=entry["usable_gib"],
        count=count,
        bf16=entry.get("bf16", True),
        tflops=(entry["tflops"], entry["tflops"]) if "tflops" in entry else peaks(),
        usd_per_hour=usd,
        price_source=source,
        taken=which_size(name),
    )


def _unknown(name: str, gib: float) -> Hardware:
    """A card by its memory; its peak is somewhere between the catalogue's slowest and fastest."""
    return Hardware(
        name=normal(name),
        kind="unknown",
        usable_gib=round(gib * USABLE_SHARE, 2),
        bf16=True,
        tflops=peaks(),
        usd_per_hour=None,
        price_source="no price known",
    )


@cache
def detect() -> Hardware:
    """Return this machine: its NVIDIA cards if `nvidia-smi` lists any, else its CPU."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
    except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        return this_cpu()
    lines = [line for line in answer.stdout.splitlines() if "," in line]
    return from_listing(lines) if answer.returncode == 0 and lines else this_cpu()


def from_listing(lines: list[str]) -> Hardware:
    """Return the cards that `nvidia-smi` lists, as `name, MiB`; of mixed ones the first kind.

    An own machine costs nothing by the hour, so there is no price.
    """
    first, _, mebibytes = lines[0].rpartition(",")
    same = sum(line.rpartition(",")[0] == first for line in lines)
    key = find(first)
    size = float(mebibytes) / 1024
    found = card(key) if key else _unknown(first, size)
    if abs(size / found.usable_gib - 1) > ANOTHER_SIZE:
        found = found.model_copy(update={"usable_gib": round(size * USABLE_SHARE, 2)})
    own: dict[str, object] = {
        "taken": None,
        "count": same,
        "usd_per_hour": None,
        "price_source": "this machine",
    }
    return found.model_copy(update=own)


@cache
def this_cpu() -> Hardware:
    """Return this machine's CPU; memory from the total, which does not change between calls."""
    cores = _cores()
    flags = _first_line("/proc/cpuinfo", "flags")
    return Hardware(
        name="cpu",
        kind="cpu",
        usable_gib=int(_memory_bytes() * USABLE_RAM_SHARE / GIB * 2) / 2,
        bf16="amx_bf16" in flags,
        tflops=(cores * TFLOPS_PER_CORE, cores * TFLOPS_PER_CORE),
        usd_per_hour=None,
        price_source="this machine",
    )


def _cores() -> int:
    """Return the cores this process may use; a container's quota counts."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _read("/sys/fs/cgroup/cpu.max").split()
    if len(quota) == 2 and quota[0].isdigit():
        cores = min(cores, max(1, round(int(quota[0]) / int(quota[1]))))
    return cores


def _memory_bytes() -> int:
    """Return the machine's memory, or the container's limit if that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read("/sys/fs/cgroup/memory.max").strip()
    return min(total, int(limit)) if limit.isdigit() else total


def free_ram_bytes() -> int | None:
    """Return how much of this machine's memory is free right now; None where it cannot be read."""
    words = _first_line("/proc/meminfo", "MemAvailable").split()
    return int(words[1]) * 1024 if len(words) > 1 else None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _first_line(path: str, key: str) -> str:
    return next((line for line in _read(path).splitlines() if line.startswith(key)), "")
