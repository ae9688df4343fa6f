"""The trainer's heartbeat: every few seconds how far it is, whether it works, what it holds.

A thread beats, so that a long step is not taken for a hang; it cannot beat while another thread
keeps the interpreter's lock, and that is told by silence. A hook on the input embedding counts
batches, of training and of evaluation, and keeps those of the current step: when the loss is no
number, they are what to look at. Read by `tasks/watchdog.py`.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.processes import emit
from tasks.trainer import memory

if TYPE_CHECKING:
    import torch

__all__ = ["Heartbeat"]

EVERY_SECONDS = 5.0

#: Less than this share of a core, and less than this many bytes read or written, is idleness.
BUSY_SHARE, BUSY_BYTES = 0.02, 1 << 20


class Heartbeat:
    """Beats until the process ends.

    Args:
        every_seconds: The pause between two beats.
        speaks: Whether this is the process that writes events.
    """

    def __init__(self, every_seconds: float = EVERY_SECONDS, *, speaks: bool = True) -> None:
        self.every_seconds = every_seconds
        self.batches = 0
        self.seen: deque[torch.Tensor] = deque(maxlen=1)
        self._used = time.process_time()
        self._moved = _bytes_moved()
        if speaks:
            threading.Thread(target=self._beat, daemon=True).start()

    def listen_to(self, model: Any, batches_a_step: int) -> None:  # noqa: ANN401 - any model
        """Count the batches that enter the model, and keep the token ids of the current step's."""
        self.seen = deque(maxlen=batches_a_step)
        model.get_input_embeddings().register_forward_hook(self._count)

    def _count(self, _module: object, inputs: tuple[torch.Tensor, ...], _output: object) -> None:
        self.batches += 1
        self.seen.append(inputs[0].detach())

    def _beat(self) -> None:
        while True:
            time.sleep(self.every_seconds)
            used, moved = time.process_time(), _bytes_moved()
            worked = used - self._used > BUSY_SHARE * self.every_seconds
            busy = worked or moved - self._moved > BUSY_BYTES
            self._used, self._moved = used, moved
            held = memory.resident_bytes()
            emit("heartbeat", batches=self.batches, busy=busy, held_bytes=held, pid=os.getpid())


def _bytes_moved() -> int:
    """Return the bytes this process has read and written, pipes and files; 0 where not told."""
    io = Path("/proc/self/io")
    if not io.exists():
        return 0
    counts = dict(line.split(": ") for line in io.read_text().splitlines())
    return int(counts["rchar"]) + int(counts["wchar"])
