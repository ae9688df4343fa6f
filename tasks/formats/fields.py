"""One text field of a row: present, a string, not empty, and encodable.

Every format reads its columns through here, so that the same defect has the same word everywhere.
A null (JSON, Parquet) is a missing column: nobody can tell the two apart after a CSV or a join.
"""

from __future__ import annotations

from typing import Any

__all__ = ["problem_of", "read_text"]


def read_text(row: dict[str, Any], name: str, when_empty: str) -> tuple[str, list[str]]:
    """Return the field's text and why it cannot be used; `when_empty` is that word."""
    value = row.get(name)
    problem = problem_of(value, when_empty)
    return ("", [problem]) if problem else (str(value), [])


def problem_of(value: object, when_empty: str) -> str | None:
    """Return why a value is no usable text, or None.

    A lone surrogate (half of a UTF-16 pair, or a byte that was not UTF-8) has no encoding: every
    tokenizer fails on it, hours into a run if nobody looks before.
    """
    if value is None:
        return "missing_column"
    if not isinstance(value, str):
        return "wrong_type"
    if not value.strip():
        return when_empty
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return "undecodable"
    return None
