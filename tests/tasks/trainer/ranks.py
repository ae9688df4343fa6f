"""A training run of several processes in a test: what the launcher says, without its start-up.

The launcher's own words go through accelerate's own parser; the environment that it would give to
its processes is given to forked ones (`forked.py`).
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from functools import partial

from tasks.trainer.launcher import launcher
from tasks.trainer.spec import TrainSpec
from tests.tasks.trainer.forked import Ended, begin, ended

__all__ = ["environment", "run_ranks"]


def environment(spec: TrainSpec, machine: int = 0) -> dict[str, str]:
    """Return what accelerate adds to the environment of the processes it starts."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

    words = [*launcher(spec, machine)[3:], "-m", "tasks.trainer"]
    args, defaults, _ = _validate_launch_command(launch_command_parser().parse_args(words))
    if args.use_deepspeed:
        args.deepspeed_fields_from_accelerate_config = ",".join(defaults.deepspeed_config)
        made = prepare_deepspeed_cmd_env(args)[1]
    else:
        made = prepare_multi_gpu_env(args)
    return {name: text for name, text in made.items() if os.environ.get(name) != text}


def run_ranks(
    spec: TrainSpec,
    sabotage: Callable[[], None] = lambda: None,
    timeout_seconds: float = 180,
) -> list[Ended]:
    """Run all processes of a run to their end; one that fails takes the others with it."""
    shared = environment(spec)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    count = spec.training.num_processes
    logs = ["out", *(f"out-{rank}" for rank in range(1, count))]
    ranks = [
        begin(spec, partial(_as_rank, shared, rank, count, sabotage), logs[rank])
        for rank in range(count)
    ]
    codes: dict[int, int] = {}
    deadline = time.monotonic() + timeout_seconds
    while len(codes) < count:
        for rank, pid in enumerate(ranks):
            if rank not in codes:
                gone, status = os.waitpid(pid, os.WNOHANG)
                if gone:
                    codes[rank] = os.waitstatus_to_exitcode(status)
        if any(codes.values()) or time.monotonic() > deadline:
            for rank, pid in enumerate(ranks):
                if rank not in codes:
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return [ended(spec, codes[rank], logs[rank]) for rank in range(count)]


def _as_rank(shared: dict[str, str], rank: int, count: int, sabotage: Callable[[], None]) -> None:
    here = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ.update(shared | {name: str(number) for name, number in here.items()})
    sabotage()
