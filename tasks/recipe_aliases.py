"""Words of other tools in a recipe: rewritten to ours, and said so; never applied in silence.

The table is `tasks/assets/aliases.yaml`. A word whose meaning differs by more than its name and its
values is not in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ALIASES", "Change", "aliases", "rewrite"]

ALIASES = Path(__file__).parent / "assets" / "aliases.yaml"

Key = tuple[str, ...]


@dataclass(frozen=True)
class Alias:
    """Our key for a word of another tool, within its section, and our values for its values."""

    key: Key
    values: dict[object, object]
    only_lists: bool = False


@dataclass(frozen=True)
class Change:
    """A word that was rewritten: where it stood, where it stands now, and what to say."""

    old: Key
    new: Key
    text: str


@cache
def aliases() -> dict[str, dict[str, Alias]]:
    """Return every alias by section; the section of whole recipes is the empty one."""
    table = yaml.safe_load(ALIASES.read_text(encoding="utf-8"))
    return {section: {w: _alias(to) for w, to in words.items()} for section, words in table.items()}


def rewrite(values: dict[str, Any], refuse: Callable[[Key, str], None]) -> list[Change]:
    """Rewrite the words of a recipe in place and return what was changed.

    Args:
        values: The recipe, as plain values.
        refuse: Hears of a word that stands beside the key it stands for.
    """
    changes: list[Change] = []
    for section, words in aliases().items():
        if section == "source":
            continue
        place = values.get(section) if section else values
        if isinstance(place, dict):
            changes += _rewrite((section,) if section else (), place, words, refuse)
    sources = values.get("dataset", {})
    sources = sources.get("path") if isinstance(sources, dict) else None
    for number, source in enumerate(sources if isinstance(sources, list) else []):
        if isinstance(source, dict):
            words = {**aliases()["dataset"], **aliases()["source"]}
            changes += _rewrite(("dataset", "path", str(number)), source, words, refuse)
    return changes


def _rewrite(
    prefix: Key, place: dict[str, Any], words: dict[str, Alias], refuse: Callable[[Key, str], None]
) -> list[Change]:
    changes = []
    for word, alias in words.items():
        if word not in place or (alias.only_lists and not isinstance(place[word], list)):
            continue
        inner, old, new = place, (*prefix, word), (*prefix, *alias.key)
        value = place.pop(word)
        for part in alias.key[:-1]:
            inner = inner.setdefault(part, {}) if isinstance(inner, dict) else inner
        if not isinstance(inner, dict) or alias.key[-1] in inner:
            refuse(old, f"is another word for `{'.'.join(alias.key)}`; keep one.")
            continue
        text = f"{'.'.join(old)} is read as {'.'.join(new)}"
        if _hashable(value) and value in alias.values:
            text = f"{'.'.join(old)} = {_shown(value)} is read as {'.'.join(new)}"
            value = alias.values[value]
            text += f" = {_shown(value)}"
        inner[alias.key[-1]] = value
        changes.append(Change(old, new, text))
    return changes


def _alias(to: str | dict[str, Any]) -> Alias:
    if isinstance(to, str):
        return Alias(tuple(to.split(".")), {})
    return Alias(tuple(to["key"].split(".")), to.get("values", {}), to.get("lists", False))


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _hashable(value: object) -> bool:
    return isinstance(value, str | int | bool | float)
