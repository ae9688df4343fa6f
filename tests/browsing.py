"""A page in headless Chromium: what it asked for, what it complained of, what it shows.

The browser is spoken to in its DevTools protocol over two pipes, which needs no library and opens
no port. Nothing can be reached from it: every name resolves to nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Browser", "Seen", "browser"]

WAIT_SECONDS = 60
#: What a page may do late: tables are drawn after the load event.
SETTLE_SECONDS = 0.5


class Seen(NamedTuple):
    """What a page did: every address asked for, errors and warnings, the text it shows."""

    addresses: list[str]
    complaints: list[str]
    text: str


class Browser:
    """One running Chromium."""

    def __init__(self, commands: int, answers: int) -> None:
        self.commands, self.answers = commands, answers
        self.buffer, self.number = b"", 0
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self.session: str = attached["sessionId"]
        for domain in ("Network", "Runtime", "Log", "Page"):
            self.ask(f"{domain}.enable", self.session)

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            part = os.read(self.answers, 1 << 16)
            assert part, "the browser ended"
            self.buffer += part
        whole, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(whole)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        result = self.ask(
            "Runtime.evaluate", self.session, expression=expression, returnByValue=True
        )
        return result["result"].get("value")

    def open(self, page: Path) -> Seen:
        """Load a page and return what it did."""
        self.events.clear()
        self.ask("Page.navigate", self.session, url=page.as_uri())
        deadline = time.monotonic() + WAIT_SECONDS
        while self.evaluate("document.readyState") != "complete":
            assert time.monotonic() < deadline, f"{page} did not load"
            time.sleep(0.05)
        time.sleep(SETTLE_SECONDS)
        text = self.evaluate("document.body.innerText")
        return Seen(self._addresses(), self._complaints(), text)

    def _addresses(self) -> list[str]:
        requests = [e for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in requests]

    def _complaints(self) -> list[str]:
        kinds = {"Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"}
        return [json.dumps(e["params"])[:500] for e in self.events if e.get("method") in kinds]


@contextmanager
def browser() -> Generator[Browser]:
    """Run Chromium for as long as the body runs; the test is skipped where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    to_browser, commands = os.pipe()
    answers, from_browser = os.pipe()
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as home:
        options = (
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"),
            *("--no-first-run", "--disable-background-networking", "--disable-extensions"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={home}"),
        )
        # The protocol is spoken on descriptors 3 and 4.
        shell = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        child = subprocess.Popen(
            ["bash", "-c", shell, program, *options],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        try:
            yield Browser(commands, answers)
        finally:
            child.terminate()
            child.wait(30)
            os.close(commands)
            os.close(answers)
