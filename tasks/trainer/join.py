"""Join a run from another machine: `python -m tasks.trainer.join RUN/train/spec.json 1`.

The first machine runs the whole workflow and says this line when training begins. Here only the
training processes of this machine run. The run's folder, the data and the base model have to be
reachable under the same paths (a shared file system); the first machine alone writes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tasks.errors import FinetuneError, RecipeError
from tasks.processes import CHECKOUT, quiet_environment
from tasks.trainer.launcher import first_machine, launcher
from tasks.trainer.spec import TrainSpec

__all__ = ["join", "lines_to_join"]


def lines_to_join(spec: TrainSpec) -> list[str]:
    """Return what to type on each of the other machines.

    Raises:
        RecipeError: Nobody says where this machine is.
    """
    if spec.training.num_machines == 1:
        return []
    address, port = first_machine(spec.training)
    return [
        f"waits at {address}:{port} for machine {machine} of {spec.training.num_machines} (counted "
        f"from 0). Type there, in this checkout: MASTER_ADDR={address} MASTER_PORT={port} python "
        f"-m tasks.trainer.join {spec.home / 'spec.json'} {machine}"
        for machine in range(1, spec.training.num_machines)
    ]


def join(path: Path, machine: int) -> int:
    """Run this machine's share of the processes to their end; return their exit code.

    Raises:
        RecipeError: There is no such machine in the run, or it does not see the run's files.
    """
    if not path.is_file():
        raise RecipeError(f"{path}: no such file here. The machines need a shared file system.")
    spec = TrainSpec.model_validate_json(path.read_text(encoding="utf-8"))
    machines = spec.training.num_machines
    if not 0 < machine < machines:
        raise RecipeError(
            f"machine {machine}: the run has {machines}, counted from 0, and the first of them "
            f"began it. Join with 1 to {machines - 1}."
        )
    for needed in (spec.base_path, spec.train.path):
        if not Path(needed).exists():
            raise RecipeError(
                f"{needed}: not seen from this machine. The machines need a shared file system, or "
                "a copy under the same path."
            )
    command = (*launcher(spec, machine), "-m", "tasks.trainer", str(path))
    environment = quiet_environment() | {"PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(command, env=environment, check=False).returncode


def _main() -> int:
    if len(sys.argv) != 3 or not sys.argv[2].isdigit():
        sys.stderr.write("usage: python -m tasks.trainer.join RUN/train/spec.json MACHINE\n")
        return 2
    try:
        return join(Path(sys.argv[1]), int(sys.argv[2]))
    except FinetuneError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(_main())
