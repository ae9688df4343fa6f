"""What makes a function a stage: one Prefect task, not cached by Prefect, never retried blindly.

A stage remembers its own work in the run folder (`tasks/run_folder.py`), which survives servers and
checks files by hash; Prefect's cache would answer from a result alone. A user's error becomes the
task's failed state with its message and without a traceback; the flow reads it from there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed

from tasks.errors import FinetuneError

__all__ = ["stage"]

P = ParamSpec("P")
R = TypeVar("R")


def stage(function: Callable[P, R]) -> Task[P, R]:
    """Make a stage of a function that takes a recipe and records and returns one record."""

    @functools.wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 - a record or a state
        try:
            return function(*args, **kwargs)
        except FinetuneError as error:
            return Failed(name=type(error).__name__, message=str(error), data=error)

    return task(cache_policy=NO_CACHE, persist_result=False)(told)
