"""Settings: the values that rules of `tasks/assets/rules.yaml` set, for the plans made with them."""

from __future__ import annotations

from functools import cache
from typing import Any

from tasks.estimates.architecture import read_asset

__all__ = ["rule"]


@cache
def rule(rule_id: str, profile: str = "evidence") -> dict[str, Any]:
    """Return a rule of the file as a profile has it."""
    return next(
        entry
        for entry in read_asset("rules.yaml")["rules"]
        if entry["id"] == rule_id and entry.get("profile") in (None, profile)
    )
