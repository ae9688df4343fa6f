"""A flow run that waits for a review: who waits, where, and how it goes on.

A run that was started by a worker is suspended: its process ends, and it is started again when
somebody fills in the form in Prefect's UI or says `finetune review`. A run in a terminal has nobody
to start it again, so it ends and says what to do.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from uuid import UUID

from flows.server import answers, configured_url
from tasks.contracts import DataReport
from tasks.reviews import undecided
from tasks.run_folder import RunFolder, write_atomically

__all__ = ["forget_waiting", "note_waiting", "resume_waiting"]


def note_waiting(folder: RunFolder, flow_run: str, url: str) -> None:
    """Write down which flow run waits for a review of this folder's data."""
    write_atomically(_path(folder), json.dumps({"flow_run": flow_run, "url": url}))


def forget_waiting(folder: RunFolder) -> None:
    """Nobody waits any more."""
    _path(folder).unlink(missing_ok=True)


def resume_waiting(folder: RunFolder, report: DataReport) -> list[str]:
    """Let the flow run that waits go on, if everything is decided; return what to say of it."""
    waiting = _read(folder)
    if waiting is None:
        return ["The next `finetune run` of this data goes by it."]
    flow_run, url = waiting
    left = undecided(report)
    if left:
        return [f"Flow run {flow_run} still waits for: {', '.join(left)}."]
    if not answers(url):
        url = configured_url() or url
    if not answers(url):
        return [f"Flow run {flow_run} waits, but no server answers at {url}: resume it in the UI."]
    os.environ["PREFECT_API_URL"] = url
    return [_resume(flow_run)]


def _resume(flow_run: str) -> str:
    from prefect.exceptions import NotPausedError, ObjectNotFound
    from prefect.flow_runs import resume_flow_run

    # What the form would hold; the flow finds the review itself in the file.
    said: dict[str, Any] = {"decision": "as recorded", "reason": "-", "reviewer": "-"}
    go_on: Any = resume_flow_run
    try:
        go_on(UUID(flow_run), run_input=said)
    except (NotPausedError, ObjectNotFound):
        return f"Flow run {flow_run} does not wait any more."
    return f"Flow run {flow_run} goes on."


def _read(folder: RunFolder) -> tuple[str, str] | None:
    try:
        waiting = json.loads(_path(folder).read_text(encoding="utf-8"))
        return str(waiting["flow_run"]), str(waiting["url"])
    except (OSError, ValueError, KeyError):
        return None


def _path(folder: RunFolder) -> Path:
    return folder.path / "waiting.json"
