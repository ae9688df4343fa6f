"""Refusals: keys that a recipe may not have for a reason better than that they are unknown.

They are rules with `refuses` in `tasks/assets/rules.yaml`: the guide's named mistakes that cannot be
made here, such as not saving; and settings of the libraries that have another place here, or no
effect (`tasks/assets/refused_settings.yaml`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from tasks.library_settings import refused_setting

__all__ = ["refused"]

RULES = Path(__file__).parent / "assets" / "rules.yaml"


def refused(key: tuple[str, ...]) -> str | None:
    """Return why a key is refused, and what to write instead; None for any other key."""
    own = _reasons().get(".".join(key))
    return own or (refused_setting(*key) if len(key) == 2 else None)


@cache
def _reasons() -> dict[str, str]:
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))["rules"]
    return {rule["refuses"]: rule["warns"] for rule in rules if "refuses" in rule}
