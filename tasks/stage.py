"""What makes a function a stage: one Prefect task, not cached by Prefect, never retried blindly.

A stage remembers its own work in the run folder (`tasks/run_folder.py`), which survives servers and
checks files by hash; Prefect's cache would answer from a result alone. A user's error becomes the
task's failed state with its message and without a traceback; the flow reads it from there.

Prefect takes two seconds to load and needs a server to speak to, so it is loaded when a flow calls
a stage; `finetune validate` calls the function itself (`Stage.function`) and needs neither.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from tasks.errors import FinetuneError

if TYPE_CHECKING:
    from prefect import Task

__all__ = ["Stage", "stage"]

P = ParamSpec("P")
R = TypeVar("R")


class Stage(Generic[P, R]):
    """A function that takes a recipe and records and returns one record; called, a Prefect task."""

    def __init__(self, function: Callable[P, R]) -> None:
        self.function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the task's own
        """Run as a task of the flow we are in."""
        run: Any = self.task
        return run(*args, **kwargs)

    @cached_property
    def fn(self) -> Callable[P, Any]:
        """What the task runs: the record, or the failed state of a told error."""

        @functools.wraps(self.function)
        def told(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 - a record or a state
            from prefect.states import Failed

            try:
                return self.function(*args, **kwargs)
            except FinetuneError as error:
                return Failed(name=type(error).__name__, message=str(error), data=error)

        return told

    @cached_property
    def task(self) -> Task[P, Any]:
        """The Prefect task of this stage."""
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        return task(cache_policy=NO_CACHE, persist_result=False)(self.fn)


def stage(function: Callable[P, R]) -> Stage[P, R]:
    """Make a stage of a function that takes a recipe and records and returns one record."""
    return Stage(function)
