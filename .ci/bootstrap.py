"""Set up this checkout: a virtual environment in `.venv` with the pinned stack, once.

Runs with any Python and the standard library alone, before anything is installed; `make` calls it
first in every target. A stamp with a hash of what was asked for is written last, so a set-up that
was cut off is done again and one that succeeded is not.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "set-up.sha256")
INPUTS = ("pyproject.toml", "constraints.txt", os.path.join(".ci", "bootstrap.py"))

MINIMUM_PYTHON = (3, 11)
#: The CPU environment takes 2.1 GB (measured 2026-11-23, Linux x86-64); pip needs room beside it.
NEEDED_BYTES = 4 * 10**9
#: PyTorch's own index of CPU builds: the one on PyPI brings gigabytes of CUDA on Linux.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TORCH = "torch==2.13.0"


def main() -> int:
    """Check the machine, then install what is missing; return an exit code."""
    problem = missing()
    if problem:
        sys.stderr.write("set-up: " + problem + "\n")
        return 2
    wanted = fingerprint()
    if os.path.exists(STAMP) and open(STAMP).read() == wanted:
        return 0
    if shutil.disk_usage(ROOT).free < NEEDED_BYTES and not os.path.isdir(VENV):
        free = shutil.disk_usage(ROOT).free / 1e9
        sys.stderr.write(
            "set-up: %.1f GB are free in %s but about %d GB are needed. Make room, or clone to a "
            "larger disk.\n" % (free, ROOT, NEEDED_BYTES / 1e9)
        )
        return 2
    try:
        install()
    except subprocess.CalledProcessError as error:
        sys.stderr.write(
            "set-up: `%s` failed (exit %d), see above. Nothing is marked as done; run make again.\n"
            % (" ".join(error.cmd), error.returncode)
        )
        return 2
    with open(STAMP, "w") as stamp:
        stamp.write(wanted)
    sys.stderr.write("set-up: done, in %s\n" % VENV)
    return 0


def missing():
    """Return what this machine lacks and how to mend it, or nothing."""
    if sys.version_info < MINIMUM_PYTHON:
        return (
            "Python %d.%d or newer is needed, this is %s (%s). Install a newer one and name it: "
            "make PYTHON=python3.12 ..."
            % (MINIMUM_PYTHON + (sys.version.split()[0], sys.executable))
        )
    for module, package in (("venv", "python3-venv"), ("ensurepip", "python3-venv")):
        try:
            __import__(module)
        except ImportError:
            return (
                "this Python (%s) has no `%s`. On Debian or Ubuntu: apt install %s; else take a "
                "Python from python.org and name it: make PYTHON=/path/to/python3 ..."
                % (sys.executable, module, package)
            )
    return ""


def fingerprint():
    """Return a hash of everything the environment is made from."""
    whole = hashlib.sha256(("%s %s\n" % (sys.version, os.environ.get("TORCH_INDEX"))).encode())
    for name in INPUTS:
        with open(os.path.join(ROOT, name), "rb") as file:
            whole.update(file.read())
    return whole.hexdigest()


def install():
    """Make the environment; torch first, so that nothing else chooses its build."""
    python = os.path.join(VENV, "bin", "python")
    if os.path.exists(STAMP):
        os.remove(STAMP)
    if not os.path.exists(python):
        sys.stderr.write("set-up: a virtual environment in %s\n" % VENV)
        run(sys.executable, "-m", "venv", "--clear", VENV)
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    constraints = ("-c", os.path.join(ROOT, "constraints.txt"))
    index = torch_index()
    sys.stderr.write("set-up: %s from %s\n" % (TORCH, index or "pip's own index"))
    run(*(pip + constraints + (TORCH,) + (("--extra-index-url", index) if index else ())))
    sys.stderr.write("set-up: the rest of the stack (a few minutes)\n")
    run(*(pip + constraints + ("-e", ROOT + "[dev]")))


def torch_index():
    """Return the index for torch: `TORCH_INDEX` if set, else the CPU builds where no GPU is."""
    if "TORCH_INDEX" in os.environ:
        return os.environ["TORCH_INDEX"]
    if sys.platform != "linux" or shutil.which("nvidia-smi"):
        return ""
    try:
        urllib.request.urlopen(CPU_INDEX + "/torch/", timeout=5).close()
    except OSError:
        return ""
    return CPU_INDEX


def run(*command):
    """Run a command and show what it says."""
    subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
