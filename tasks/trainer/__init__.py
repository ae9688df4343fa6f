"""The training child process: `python -m tasks.trainer spec.json`."""
