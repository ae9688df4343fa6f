"""The ledger: what each run was expected to take, what it took, and what is left of a budget.

    runs/ledger.jsonl      one JSON object a line, appended, never rewritten

A run reserves the upper end of its predicted cost before it starts and settles what it really cost
when it ends, however it ends. Both happen under one lock, so runs beside each other cannot spend
more than `budget.max_usd` together: all runs of one recipe name share that budget. A reservation
whose run was killed stands until the run goes on (it is the same reservation) or settles. Where no
price is known, as on an own machine, nothing is refused and money stays null.

The lock is that of the kernel (`flock`), which frees it however its holder dies; a line torn by a
crash counts nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

from pydantic import ValidationError

from tasks.contracts import Checkpoint, CostEstimate, Method, Recommendation
from tasks.errors import BudgetError
from tasks.recipe import Recipe
from tasks.record import Record

__all__ = [
    *("Entry", "Figures", "Ratios", "booked", "booking", "entries", "ledger_of", "measured_before"),
    *("reserve", "settle", "spent_usd"),
]


class Figures(Record):
    """Memory, time and money, each a range; both ends are equal where it was measured."""

    memory_bytes: tuple[int, int] | None
    seconds: tuple[float, float] | None
    usd: tuple[float, float] | None


class Entry(Record):
    """One line. `budget` is the recipe's name; `rung` the step of a ladder or sweep, or `train`."""

    kind: Literal["reserved", "settled"]
    id: str
    time: str
    month: str
    budget: str
    run: str
    rung: str
    machine: str
    device: str
    process: int
    model: str
    method: Method
    predicted: Figures
    measured: Figures | None = None
    outcome: Literal["done", "failed"] | None = None

    @property
    def counted_usd(self) -> float:
        """What the line takes from its budget: the upper end of what was spent or reserved."""
        figures = self.predicted if self.measured is None else self.measured
        return 0.0 if figures.usd is None else figures.usd[1]


class Ratios(Record):
    """Measured over predicted, of earlier runs: time against the middle, memory against the top."""

    runs: int
    seconds: tuple[float, float]
    memory: tuple[float, float] | None


def ledger_of(run: Path) -> Path:
    """Return the ledger that a run folder's costs go to: that of its runs folder."""
    return run.parents[1] / "ledger.jsonl"


def booking(recipe: Recipe, choice: Recommendation, run: Path, rung: str = "train") -> Entry:
    """Return the reservation that a run's recommendation asks for.

    Args:
        recipe: Its name is the budget that pays.
        choice: Its predicted memory, time and cost.
        run: The run folder, `runs/<name>/<identity>`.
        rung: The step of a ladder or sweep.
    """
    assert choice.method in ("full", "lora", "qlora"), choice.method
    memory, cost, now = choice.memory, choice.cost, datetime.now(UTC)
    return Entry(
        kind="reserved",
        id=f"{run.parent.name}/{run.name}/{rung}",
        time=now.isoformat(timespec="seconds"),
        month=now.strftime("%Y-%m"),
        budget=recipe.name,
        run=f"{run.parent.name}/{run.name}",
        rung=rung,
        machine=platform.node(),
        device=choice.device,
        process=os.getpid(),
        model=recipe.model.model_name_or_path,
        method=choice.method,
        predicted=Figures(
            memory_bytes=(memory.low_bytes, memory.high_bytes) if memory else None,
            seconds=(cost.low_seconds, cost.high_seconds) if cost else None,
            usd=_usd(cost),
        ),
    )


def _usd(cost: CostEstimate | None) -> tuple[float, float] | None:
    if cost is None or cost.low_usd is None or cost.high_usd is None:
        return None
    return cost.low_usd, cost.high_usd


@contextmanager
def booked(
    ledger: Path, wanted: Entry, limit_usd: float | None
) -> Generator[Callable[[Checkpoint], None]]:
    """Reserve before the work and settle after it, also when it fails or is stopped.

    The function it gives notes what the checkpoint measured.

    Raises:
        BudgetError: The budget does not hold what would be reserved; nothing is reserved.
    """
    reserve(ledger, wanted, limit_usd)
    start, memory = time.monotonic(), []
    try:
        yield lambda checkpoint: memory.append(checkpoint.peak_memory_bytes)
    finally:
        took = time.monotonic() - start
        peak = (memory[0], memory[0]) if memory else None
        settle(ledger, wanted, took, peak, failed=not memory)


def reserve(ledger: Path, wanted: Entry, limit_usd: float | None) -> None:
    """Append a reservation if the budget holds it; one of the same id that is open is replaced.

    Raises:
        BudgetError: It does not; the message says what was spent and reserved, by which runs.
    """
    with _locked(ledger) as file:
        others = [e for e in _counting(_read(file)) if e.budget == wanted.budget]
        others = [e for e in others if e.kind == "settled" or e.id != wanted.id]
        taken = sum(entry.counted_usd for entry in others)
        if limit_usd is not None and wanted.predicted.usd is not None:
            needed = wanted.predicted.usd[1]
            if taken + needed > limit_usd:
                raise BudgetError(_refusal(wanted, others, needed, taken, limit_usd))
        _append(file, wanted)


def settle(
    ledger: Path,
    reserved: Entry,
    seconds: float,
    memory_bytes: tuple[int, int] | None,
    *,
    failed: bool = False,
) -> Entry:
    """Append what a reserved run really took; its price an hour is that of the prediction."""
    now = datetime.now(UTC)
    predicted = reserved.predicted
    usd = None
    if predicted.usd is not None and predicted.seconds is not None:
        rates = [predicted.usd[i] / predicted.seconds[i] for i in (0, 1)]
        usd = (seconds * min(rates), seconds * max(rates))
    done = reserved.model_copy(
        update={
            "kind": "settled",
            "time": now.isoformat(timespec="seconds"),
            "month": now.strftime("%Y-%m"),
            "measured": Figures(memory_bytes=memory_bytes, seconds=(seconds, seconds), usd=usd),
            "outcome": "failed" if failed else "done",
        }
    )
    with _locked(ledger) as file:
        _append(file, done)
    return done


def entries(ledger: Path) -> tuple[Entry, ...]:
    """Return every whole line, oldest first; none where there is no ledger yet."""
    try:
        return tuple(_parse(ledger.read_text(encoding="utf-8").splitlines()))
    except FileNotFoundError:
        return ()


def spent_usd(ledger: Path, budget: str, month: str | None = None) -> float:
    """Return what a budget has spent and reserved, in all or in a month such as `2026-11`."""
    counting = _counting(entries(ledger))
    mine = [e for e in counting if e.budget == budget and month in (None, e.month)]
    return sum(entry.counted_usd for entry in mine)


def measured_before(ledger: Path, device: str, method: str) -> Ratios | None:
    """Return how runs of a method on a device came out against their predictions, if any did."""
    done = [
        e for e in entries(ledger) if (e.outcome, e.device, e.method) == ("done", device, method)
    ]
    times, memories = [], []
    for entry in done:
        if entry.measured is None or entry.measured.seconds is None or not entry.predicted.seconds:
            continue
        middle = (entry.predicted.seconds[0] * entry.predicted.seconds[1]) ** 0.5
        times.append(entry.measured.seconds[1] / middle)
        if entry.measured.memory_bytes and entry.predicted.memory_bytes:
            memories.append(entry.measured.memory_bytes[1] / entry.predicted.memory_bytes[1])
    if not times:
        return None
    memory = (min(memories), max(memories)) if memories else None
    return Ratios(runs=len(times), seconds=(min(times), max(times)), memory=memory)


def _refusal(
    wanted: Entry, others: list[Entry], needed: float, taken: float, limit_usd: float
) -> str:
    still = ", ".join(sorted({e.run for e in others if e.kind == "reserved"}))
    return (
        f"budget.max_usd = {limit_usd:g}: {wanted.run} may cost ${needed:.2f}, but ${taken:.2f} of "
        f"the budget of {wanted.budget} is spent or reserved"
        + (f" (reserved: {still})" if still else "")
        + ". Nothing was started. Raise budget.max_usd, or let the other runs settle."
    )


def _counting(lines: Iterable[Entry]) -> list[Entry]:
    """Return what counts: every settlement, and each id's last reservation if it is open."""
    settled, still = [], {}
    for entry in lines:
        if entry.kind == "reserved":
            still[entry.id] = entry
        else:
            still.pop(entry.id, None)
            settled.append(entry)
    return [*settled, *still.values()]


@contextmanager
def _locked(ledger: Path) -> Generator[IO[str]]:
    """Open the ledger with nobody else in it."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _read(file: IO[str]) -> list[Entry]:
    file.seek(0)
    return list(_parse(file.read().splitlines()))


def _parse(lines: Iterable[str]) -> Generator[Entry]:
    for line in lines:
        try:
            yield Entry.model_validate_json(line)
        except ValidationError:
            continue


def _append(file: IO[str], entry: Entry) -> None:
    """Write a line and see it on the disk; a torn line before it is ended first."""
    file.seek(0)
    text = file.read()
    torn = "\n" if text and not text.endswith("\n") else ""
    file.write(torn + json.dumps(entry.model_dump(mode="json")) + "\n")
    file.flush()
    os.fsync(file.fileno())
