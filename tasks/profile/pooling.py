"""Measuring all rows: here, or in a process for each core where there are many.

Rows are read once, in order, and go out in batches of which a few are under way at a time; what
comes back are arrays of numbers, in the same order, and words go to a file at once. So memory does
not hold texts, and the result does not depend on how many processes there are. The processes are
spawned: a fork of a process with threads (Prefect has some) may hang.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from pathlib import Path

import numpy
from numpy import ndarray

from tasks.errors import StageError
from tasks.processes import quiet_environment, watch_parent
from tasks.profile.measuring import Measured, Meter, rows_of
from tasks.profile.reading import RawRow
from tasks.profile.rows import ROW, DataFile

__all__ = ["measure_all"]

BATCH_ROWS = 512
#: Fewer rows are measured sooner than processes are started (3 s each, 2 cores, 2026-11-23).
POOL_FROM_ROWS = 20_000
#: Batches under way for each process: enough that none waits, few enough to hold in memory.
BATCHES_AHEAD = 3

Batch = tuple[int, list[RawRow]]


def measure_all(
    files: Sequence[DataFile],
    meter: Meter,
    words_path: Path,
    progress: Callable[[int], None],
    processes: int | None = None,
) -> tuple[ndarray, ndarray]:
    """Measure every row; return an array of ROW, and the offsets of each row's words.

    Args:
        files: What to read, in order.
        meter: Measures a batch.
        words_path: Where all words go, one after the other, as 32-bit numbers.
        progress: Hears how many rows are done.
        processes: How many to use; None: as many as there are cores, where it is worth it.
    """
    rows, counts, done = [numpy.zeros(0, ROW)], [numpy.zeros(1, numpy.int64)], 0
    with words_path.open("wb") as words:
        for measured in _measured(_batches(files), meter, processes):
            rows.append(measured.rows)
            counts.append(measured.word_counts)
            measured.words.tofile(words)
            done += len(measured.rows)
            progress(done)
    return numpy.concatenate(rows), numpy.cumsum(numpy.concatenate(counts))


def _batches(files: Sequence[DataFile]) -> Iterator[Batch]:
    for number, file in enumerate(files):
        rows = rows_of(file)
        while batch := list(islice(rows, BATCH_ROWS)):
            yield number, batch


def _measured(batches: Iterator[Batch], meter: Meter, processes: int | None) -> Iterator[Measured]:
    if processes is None:
        first = list(islice(batches, POOL_FROM_ROWS // BATCH_ROWS + 1))
        many = len(first) > POOL_FROM_ROWS // BATCH_ROWS and meter.can_be_sent
        processes = len(os.sched_getaffinity(0)) if many else 1
        batches = chain(first, batches)
    if processes > 1:
        return _in_pool(batches, meter, processes)
    return (meter.measure(*batch) for batch in batches)


def _in_pool(batches: Iterator[Batch], meter: Meter, processes: int) -> Iterator[Measured]:
    waiting: deque[Future[Measured]] = deque()
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(meter,)
    )
    try:
        for batch in batches:
            waiting.append(pool.submit(_measure, batch))
            if len(waiting) > BATCHES_AHEAD * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise StageError(
            "prepare: a process that measured rows was ended from outside. The kernel does that "
            "when memory runs out: give the run more of it, or fewer cores (taskset -c 0)."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_meter: list[Meter] = []


def _begin(meter: Meter) -> None:
    """Begin a process: quiet, one thread, ended with its parent; an interrupt is the parent's."""
    os.environ.update(quiet_environment())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch_parent()
    _meter.append(meter)


def _measure(batch: Batch) -> Measured:
    return _meter[0].measure(*batch)
