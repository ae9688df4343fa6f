"""What each check prevents, read off the docstring of the function that makes it.

The reason stands once, beside the expectation; people need it where they see the check fail: on
the page and in Data Docs, which shows an expectation's notes.
"""

from __future__ import annotations

import inspect
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from great_expectations import ExpectationSuite

__all__ = ["write_notes"]

IDENTITY = re.compile(r'"id": f?"([^"]+)"')


def write_notes(suites: Iterable[ExpectationSuite]) -> None:
    """Give each expectation that has no notes what its docstring says it prevents."""
    reasons = _reasons()
    for suite in suites:
        for expectation in suite.expectations:
            identity = str((expectation.meta or {}).get("id", ""))
            told = next((text for known, text in reasons if known.fullmatch(identity)), "")
            if told and not expectation.notes:
                expectation.notes = told


def _reasons() -> list[tuple[re.Pattern[str], str]]:
    """Return a pattern of ids and the reason, for every function of the loaded suites."""
    found = []
    for name, module in sorted(sys.modules.items()):
        if not name.startswith("expectations."):
            continue
        for function in vars(module).values():
            if not inspect.isfunction(function) or function.__module__ != name:
                continue
            text = inspect.getdoc(function) or ""
            identity = IDENTITY.search(inspect.getsource(function))
            if identity and "Prevents:" in text:
                reason = text.split("Prevents:")[1].split("\n\n")[0]
                known = re.sub(r"\\\{[^}]*\}", ".+", re.escape(identity[1]))
                found.append((re.compile(known), " ".join(reason.split())))
    return found
