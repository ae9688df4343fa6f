"""Answers as people type them: `$500`, `1e3`, `95%`, `2x4090`; read, or sent back with a question.

Each reader returns the value, or raises `ValueError` with what is wrong and what to write; the
caller puts the flag before it. What was read is echoed by `echo`, so that nobody has to guess.
"""

from __future__ import annotations

import math
import re

from tasks.errors import RecipeError
from tasks.estimates.cards import cards, sizes
from tasks.estimates.hardware import card

__all__ = ["accuracy", "count", "echo", "machine", "modules", "number", "word"]

#: Factors that a number may end with.
SUFFIXES = {"k": 1e3, "m": 1e6}
#: Words by which people name a kind of card, not a card.
APPLE = re.compile(r"^(apple|mac|mps|metal|m[1-9]( |-|$))")
AMD = re.compile(r"^(amd|radeon|instinct|rocm|rx[ -]?\d)")


def number(text: str, *, least: float = 0.0) -> float:
    """Read an amount: `500`, `$1,000`, `1e3`, `5k`, `24 GB`.

    Raises:
        ValueError: It is no number, or below `least`.
    """
    bare = re.sub(r"(?i)usd|dollars?|gi?b|hours?|[$,_\s]", "", str(text)).lower()
    factor = SUFFIXES.get(bare[-1:], 1.0)
    try:
        value = float(bare[:-1] if factor != 1.0 else bare) * factor
    except ValueError:
        raise ValueError("is not a number; write it as 500, 1e3 or $1,000.") from None
    if not math.isfinite(value):
        raise ValueError("must be a number that ends.")
    if value < least or (least == 0 and value == 0):
        raise ValueError("must be above 0." if least == 0 else f"must be at least {least:g}.")
    return value


def count(text: str, *, least: int = 1) -> int:
    """Read a whole number: `3`, `10,000`, `1e4`, `10k`.

    Raises:
        ValueError: It is no whole number, or below `least`.
    """
    value = number(text, least=least)
    if value != int(value):
        raise ValueError("must be a whole number.")
    return int(value)


def accuracy(text: str) -> float:
    """Read a share: `95%`, `0.95` or a bare `95`, which is 95 %.

    Raises:
        ValueError: It is no number, not above 0 and at most 100 %, or between 1 and 2.
    """
    bare = str(text).strip().removesuffix("%").strip()
    marked = bare != str(text).strip()
    try:
        value = float(bare)
    except ValueError:
        raise ValueError("is not a share; write it as 0.95 or 95%.") from None
    if not 0 < value <= 100:
        raise ValueError("must be above 0 and at most 100 %.")
    if marked or value >= 2:
        return float(f"{value / 100:.12g}")
    if value > 1:
        raise ValueError(
            f"could be {value:g} % or {100 * value:g} %; write {value:g}% or {value / 100:g}."
        )
    return value


def word(text: str, allowed: tuple[str, ...]) -> str:
    """Read one of some words; `very-complex` and `Very complex` are `very_complex`.

    Raises:
        ValueError: None of them; the message has the nearest.
    """
    import difflib

    key = re.sub(r"[\s-]+", "_", str(text).strip().lower())
    if key in allowed:
        return key
    near = difflib.get_close_matches(key, allowed, 1)
    hint = f"did you mean {near[0].replace('_', '-')}? " if near else ""
    raise ValueError(f"{hint}must be one of {', '.join(x.replace('_', '-') for x in allowed)}.")


def modules(text: str) -> str | tuple[str, ...]:
    """Read `all-linear`, `q_proj,v_proj`, or a regular expression over whole paths."""
    names = tuple(name for name in re.split(r"[,\s]+", text.strip()) if name)
    if not names:
        raise ValueError("names no module; write all-linear or q_proj,v_proj.")
    single = names[0]
    return single if len(names) == 1 and not re.fullmatch(r"\w+", single) else names


def machine(text: str, *, memory_known: bool) -> tuple[str, int | None]:
    """Read a card and how many: `4090`, `2x4090`, `NVIDIA GeForce RTX 4090`, `cpu`.

    Args:
        text: What was typed.
        memory_known: Whether `--vram-gb` says what the card has; then any name will do.

    Raises:
        ValueError: A name that several cards bear, or that none does; the message asks.
    """
    several = re.fullmatch(r"\s*(\d+)\s*(?:[x\u00d7*]\s*|\s)(?=\S*[a-z\d])(.+)", text, re.I)
    after = re.fullmatch(r"(.+?)[\s]*[x\u00d7*]\s*(\d{1,3})\s*", text, re.I)
    name, how_many = text.strip(), None
    if several and not re.fullmatch(r"(?i)\s*\d+\s*gi?b.*", several[2]) and int(several[1]) < 1000:
        name, how_many = several[2].strip(), int(several[1])
    elif after and int(after[2]) < 1000:
        name, how_many = after[1].strip(), int(after[2])
    if how_many == 0:
        raise ValueError("names no card at all; write 1 or more.")
    if name.lower() == "cpu" or memory_known:
        return name.lower() if name.lower() == "cpu" else name, how_many
    if twins := sizes(name):
        known = " or ".join(f"{cards()[key]['memory_gb']}" for key in twins)
        raise ValueError(f"{known} GB? Write {' or '.join(twins)}.")
    try:
        return card(name).name, how_many
    except RecipeError as error:
        raise ValueError(_unknown(name, str(error))) from None


def _unknown(name: str, told: str) -> str:
    """Return what to do about a card that is not in the catalogue."""
    lower = name.lower()
    if APPLE.match(lower):
        return (
            "an Apple GPU shares the computer's memory, and neither its price nor 4-bit weights on "
            "it are known here. Say how much memory it may use with --vram-gb, or write cpu."
        )
    if AMD.match(lower):
        amd = [key for key in cards() if key.startswith("mi")]
        known = f"Of AMD's cards the catalogue has {', '.join(amd)}. " if amd else ""
        return f"which card of AMD? {known}For another one say its memory with --vram-gb."
    return told.partition(": ")[2].replace("set budget.vram_gb", "say its memory with --vram-gb")


def echo(name: str, value: object) -> str:
    """Return a value as it was understood: `budget $1,000`, `accuracy 95 %`."""
    if name in ("budget", "usd_per_gpu_hour") and isinstance(value, float):
        return f"{name.replace('_', ' ')} ${value:,.10g}"
    if name == "accuracy" and isinstance(value, float):
        return f"accuracy {100 * value:.10g} %"
    if value is True:
        return name.replace("_", " ")
    shown = (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:,g}"
        if isinstance(value, float)
        else (", ".join(value) if isinstance(value, tuple) else str(value))
    )
    return f"{name.replace('_', ' ')} {shown}"
