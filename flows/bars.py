"""Progress bars of a run: one for each stage, where the terminal is one."""

from __future__ import annotations

from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flows.display import console

__all__ = ["Bars"]


class Bars:
    """The bars of one run; `shown` is whether there is a terminal to draw them in."""

    def __init__(self, *, shown: bool) -> None:
        self.shown = shown and console.is_terminal
        self.progress = Progress(
            TextColumn("{task.description:10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=console,
            transient=True,
            disable=not self.shown,
        )
        self.progress.start()
        self.bar_of: dict[str, Any] = {}

    def move(self, event: dict[str, Any]) -> None:
        """Move a stage's bar; one that is done goes away."""
        stage, done, total = event["stage"], int(event["done"]), max(1, int(event["total"]))
        text = str(event.get("text", ""))
        if stage not in self.bar_of:
            self.bar_of[stage] = self.progress.add_task(stage, total=total, text=text)
        self.progress.update(self.bar_of[stage], completed=done, total=total, text=text)
        if done >= total:
            self.progress.update(self.bar_of[stage], visible=False)

    def close(self) -> None:
        """Take the bars away."""
        self.progress.stop()
