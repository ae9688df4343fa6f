"""One row of JSON: what it says, or why it says nothing.

Stricter than `json.loads`: a key that stands twice in an object would lose a value, NaN and
Infinity are no JSON, and what is nested too deeply cannot be written out again.
"""

from __future__ import annotations

import json
import math
from typing import Any

from tasks.readers.raw import RawRow, has_broken_bytes

__all__ = ["DECODER", "object_row", "parse_row"]

#: Deeper than any chat with tools; Python writes JSON down to about a thousand.
MAX_DEPTH = 64


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is beyond what a number can hold")
    return value


DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def parse_row(line: int, text: str) -> RawRow:
    """Return the row that a text holds; `problem` says why it is none."""
    if has_broken_bytes(text):
        return RawRow(line, text, "undecodable")
    try:
        value = DECODER.decode(text)
    except RecursionError:
        return RawRow(line, text, "too_deep")
    except ValueError:
        return RawRow(line, text, "not_json")
    return object_row(line, value, text)


def object_row(line: int, value: object, text: str) -> RawRow:
    """Return the row of a parsed value, with its text where the value cannot be kept."""
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        return RawRow(line, text, "too_deep")
    if not isinstance(value, dict):
        return RawRow(line, value, "not_an_object")
    # Each key has a '":' behind it; where there are as many as keys, none stands twice.
    if text.count('":') != _keys(value) and _has_duplicate_key(text):
        return RawRow(line, text, "duplicate_key")
    return RawRow(line, value)


def _depth(value: object) -> int:
    """Return how deeply a value is nested, without recursion."""
    level, depth = [value], 0
    while level:
        depth += 1
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        level = inner
    return depth - 1


def _keys(value: object) -> int:
    if isinstance(value, dict):
        count = len(value)
        for each in value.values():
            if isinstance(each, dict | list):
                count += _keys(each)
        return count
    return sum(map(_keys, value)) if isinstance(value, list) else 0


class _TwiceError(Exception):
    """A key stands twice."""


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise _TwiceError


def _has_duplicate_key(text: str) -> bool:
    try:
        json.loads(text, object_pairs_hook=_once)
    except _TwiceError:
        return True
    return False
