"""How the training child is started: plain Python, or accelerate for several processes.

Accelerate is configured by `tasks/assets/accelerate/`, the file that bears the name of the profile:
one that lies in the user's home has no say. With `--cpu`, or a configuration that says MULTI_CPU,
accelerate 1.15 starts one process and does not say so; MULTI_GPU starts as many as asked for, on
CPUs too, and the child checks the number. On several machines this one is the first;
`tasks/trainer/join.py` starts the others.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from tasks.errors import RecipeError
from tasks.recipe import TrainingSection
from tasks.sections.sharding import DEEPSPEED, Profile
from tasks.trainer.spec import TrainSpec

__all__ = ["PROFILES", "first_machine", "launcher", "refuse_impossible_launch"]

PROFILES = Path(__file__).parents[1] / "assets" / "accelerate"
#: torchrun's and accelerate's own.
PORT = 29500


def launcher(spec: TrainSpec, machine: int = 0) -> tuple[str, ...]:
    """Return what to put before `-m tasks.trainer`; nothing for one process.

    Args:
        spec: The run.
        machine: Which of `training.num_machines` this is.

    Raises:
        RecipeError: The profile cannot run here, or nobody says where the first machine is.
    """
    training, profile = spec.training, spec.hyperparameters.accelerate_config
    if training.num_processes == 1:
        return ()
    refuse_impossible_launch(profile, on_gpu=spec.on_gpu)
    return (
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--config_file", str(PROFILES / f"{profile}.yaml")),
        *("--num_processes", str(training.num_processes), *_machines(training, machine)),
        *("--mixed_precision", "no", "--dynamo_backend", "no"),
        *("--num_cpu_threads_per_process", "1"),
    )


def refuse_impossible_launch(profile: Profile, *, on_gpu: bool) -> None:
    """Refuse DeepSpeed where it is not installed, or has no card to run on.

    Raises:
        RecipeError: It cannot run here.
    """
    if profile not in DEEPSPEED:
        return
    if importlib.util.find_spec("deepspeed") is None:
        raise RecipeError(
            f"training.accelerate_config = {profile}: DeepSpeed is not installed. Install it "
            "(`pip install deepspeed`), or take fsdp2, which torch brings along."
        )
    if not on_gpu:
        raise RecipeError(
            f"training.accelerate_config = {profile}: DeepSpeed is run on GPUs here, and this "
            "machine has none. fsdp2 shards on CPUs, too."
        )


def first_machine(training: TrainingSection) -> tuple[str, int]:
    """Return address and port of the first of several machines: the recipe's, else torchrun's.

    Raises:
        RecipeError: Neither says it, or MASTER_PORT is no port.
    """
    address = training.main_process_ip or os.environ.get("MASTER_ADDR")
    if not address:
        raise RecipeError(
            f"training.num_machines = {training.num_machines}: the others must find this machine. "
            "Set training.main_process_ip (or MASTER_ADDR) to the address they reach it under."
        )
    if training.main_process_port is not None:
        return address, training.main_process_port
    told = os.environ.get("MASTER_PORT") or str(PORT)
    if not (told.isdigit() and 0 < int(told) < 65536):
        raise RecipeError(
            f"MASTER_PORT = {told}: a port is a number from 1 to 65535. Mend it, or set "
            "training.main_process_port."
        )
    return address, int(told)


def _machines(training: TrainingSection, machine: int) -> tuple[str, ...]:
    if training.num_machines == 1:  # a free port: 29500 is taken while another run trains
        return ("--num_machines", "1", "--main_process_port", "0")
    address, port = first_machine(training)
    return (
        *("--num_machines", str(training.num_machines), "--machine_rank", str(machine)),
        *("--main_process_ip", address, "--main_process_port", str(port)),
    )
