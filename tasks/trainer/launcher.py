"""How the training child is started: plain Python, or accelerate for several processes.

With `--cpu`, or a configuration that says MULTI_CPU, accelerate 1.15 starts one process and does
not say so. `--multi_gpu` starts as many as asked for, on CPUs too; the child checks the number.
"""

from __future__ import annotations

import sys

from tasks.trainer.spec import TrainSpec

__all__ = ["launcher"]


def launcher(spec: TrainSpec) -> tuple[str, ...]:
    """Return what to put before `-m tasks.trainer`; nothing for one process."""
    count = spec.training.num_processes
    if count == 1:
        return ()
    return (
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--multi_gpu", "--num_processes", str(count), "--num_machines", "1"),
        *("--main_process_port", "0"),  # a free one: 29500 is taken while another run trains
        *("--mixed_precision", "no", "--dynamo_backend", "no"),
        *("--num_cpu_threads_per_process", "1"),
    )
