"""Raw text: every token is learned, there is no prompt and no answer."""

from __future__ import annotations

from typing import Any

from tasks.formats import classification, guanaco
from tasks.formats.fields import read_text

__all__ = ["COLUMNS", "detect", "to_canonical"]

COLUMNS = ("text",)


def detect(columns: frozenset[str], sample: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the reading of a `text` column that no closer reading explains.

    Flat chats are Guanaco's; a text with a `label` that looks like one is classification.
    """
    labelled = classification.SURE in columns and classification.looks_like_labels(
        sample, classification.SURE
    )
    if "text" not in columns or labelled or guanaco.looks_flat(sample):
        return []
    return [{"text": "text"}]


def to_canonical(row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return {"text"} untouched, and every reason against the row."""
    text, reasons = read_text(row, "text", "empty_answer")
    return (None, reasons) if reasons else ({"text": text}, [])
