"""The child: a spec with cases in, one event with the result of each out."""

from __future__ import annotations

import logging
import time
import warnings
from typing import Any

from tasks.estimates.trace.case import TraceCase
from tasks.processes import child_main, emit


def work(spec: dict[str, Any]) -> None:
    """Trace every case of the spec."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    from tasks.estimates.trace.step import trace

    for case in spec["cases"]:
        start = time.monotonic()
        result = trace(TraceCase.model_validate(case))
        emit("traced", result=result.model_dump(), seconds=time.monotonic() - start)


if __name__ == "__main__":
    child_main(work)
