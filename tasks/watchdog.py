"""A watchdog: a child that stands still is ended, a slow one is not.

The child's heartbeat (`tasks/trainer/heartbeat.py`) tells every few seconds how many batches it has
gone through and whether it computes or writes. Three ways to stand still, each with its limit:

    silent      nothing is heard at all: stopped, swapping, or stuck with the interpreter's lock
    idle        it beats, but neither computes nor writes: waits for a lock, a disk, another process
    busy        it computes, but goes through no batch: an endless loop, a collective that spins

Limits are heuristics: ten minutes for the first two; for the third an hour, or twenty times the
longest time between two batches so far, so that a slow step is no hang.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["Watchdog"]

IDLE_SECONDS, BUSY_SECONDS, TIMES_THE_SLOWEST = 600.0, 3600.0, 20.0

#: A child that is cancelled finishes its step and saves. Prefect kills a flow 30 s after it asked;
#: its child then has some time of its own (`tasks/processes.py`).
PATIENCE_SECONDS, LONGEST_PATIENCE_SECONDS = 25.0, 600.0


class Watchdog:
    """Listens to one child.

    Args:
        limit_seconds: How long the child may stand still, however it does; None: as above.
        active: Whether to end it at all; children without a heartbeat are not watched.
    """

    def __init__(self, limit_seconds: float | None, *, active: bool = False) -> None:
        self.limit_seconds, self.active = limit_seconds, active
        self.verdict = ""
        self.held_bytes = self.batches = 0
        self.slowest_seconds = 0.0
        self.heard_at = self.lively_at = self.batch_at = time.monotonic()
        self.ended = threading.Event()

    @property
    def patience_seconds(self) -> float:
        """How long to wait for a child that was asked to stop, before it is killed."""
        wanted = TIMES_THE_SLOWEST * self.slowest_seconds
        return min(LONGEST_PATIENCE_SECONDS, max(PATIENCE_SECONDS, wanted))

    def heard(self, event: dict[str, Any] | None) -> None:
        """Take note of a sign of life: an event, or a line that is none."""
        now = time.monotonic()
        self.heard_at = now
        if event is None or event["event"] != "heartbeat":
            self.lively_at = self.batch_at = now
            return
        self.held_bytes = int(event["held_bytes"])
        if event["batches"] != self.batches:
            if self.batches:  # not the first: what comes before it is loading
                self.slowest_seconds = max(self.slowest_seconds, now - self.batch_at)
            self.batches = int(event["batches"])
            self.lively_at = self.batch_at = now
        elif event["busy"]:
            self.lively_at = now

    @contextmanager
    def watching(self, end: Callable[[], None]) -> Generator[None]:
        """Watch from now on; `end` is called, once, when the child stands still."""
        if not self.active:
            yield
            return
        self.heard_at = self.lively_at = self.batch_at = time.monotonic()
        threading.Thread(target=self._watch, args=(end,), daemon=True).start()
        try:
            yield
        finally:
            self.ended.set()

    def why(self, now: float) -> str:
        """Return what is wrong at this moment, or nothing."""
        idle = self.limit_seconds or IDLE_SECONDS
        busy = self.limit_seconds or max(BUSY_SECONDS, TIMES_THE_SLOWEST * self.slowest_seconds)
        if now - self.heard_at > idle:
            return f"gave no sign of life for {_minutes(idle)}"
        if now - self.lively_at > idle:
            return f"neither computed nor wrote anything for {_minutes(idle)}"
        if now - self.batch_at > busy:
            return f"computed for {_minutes(busy)} without going through a single batch"
        return ""

    def _watch(self, end: Callable[[], None]) -> None:
        pause = min(5.0, (self.limit_seconds or IDLE_SECONDS) / 10)
        last = time.monotonic()
        while not self.ended.wait(pause):
            now = time.monotonic()
            if now - last > 10 * pause:  # we ourselves were stopped, and heard nothing
                self.heard_at = self.lively_at = self.batch_at = now
            last = now
            if why := self.why(now):
                self.verdict = (
                    f"{why} and was ended; what its threads did stands in the log. Run the same "
                    "recipe again: it goes on from its last whole checkpoint. If it was only slow, "
                    "raise training.hang_timeout_minutes."
                )
                end()
                return


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.0f} min"
