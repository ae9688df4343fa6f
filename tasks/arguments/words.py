"""Words: figures as people read them, the same in every sentence, table and card."""

from __future__ import annotations

from tasks.contracts import CostEstimate, MemoryEstimate
from tasks.estimates.memory import GIB
from tasks.reports.recommendation_markdown import NAMES

__all__ = ["NAMES", "dollars", "duration", "gib", "needs", "percent", "price"]


def percent(fraction: float | None) -> str:
    """Return 0.98 as `98 %`."""
    return "not stated" if fraction is None else f"{100 * fraction:g} %"


def gib(size: int) -> str:
    """Return bytes as GiB, with one digit after the point from 10 on."""
    amount = size / GIB
    return f"{amount:.1f} GiB" if amount >= 10 else f"{amount:.2g} GiB"


def needs(memory: MemoryEstimate) -> str:
    """Return what is needed against what is usable."""
    usable = "" if memory.available_bytes is None else f", {gib(memory.available_bytes)} usable"
    return f"{gib(memory.high_bytes)} needed{usable}"


def duration(seconds: float) -> str:
    """Return seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def dollars(amount: float) -> str:
    """Return an amount with cents below ten dollars."""
    return f"${amount:,.2f}" if amount < 10 else f"${amount:,.0f}"


def price(cost: CostEstimate) -> str:
    """Return time and money as ranges."""
    time = f"{duration(cost.low_seconds)} to {duration(cost.high_seconds)}"
    if cost.low_usd is None or cost.high_usd is None:
        return time
    return f"{dollars(cost.low_usd)} to {dollars(cost.high_usd)}, {time}"
