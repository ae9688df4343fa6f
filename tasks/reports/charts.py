"""Plots as inline SVG, drawn from counts: no library, no script, no network."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["histogram", "shares"]

WIDTH, HEIGHT = 960, 240
LEFT, BOTTOM, TOP = 46, 34, 36
BINS = 48


def histogram(lengths: Sequence[int], max_length: int, marks: dict[str, int]) -> str:
    """Return the distribution of row lengths, with a line at max_length and named marks.

    Rows beyond 1.5 times max_length (or the longest mark) stand together in the last bar.
    """
    if not lengths:
        return ""
    longest = max(lengths)
    end = min(longest, max(1.5 * max_length, *marks.values())) if marks else longest
    step = max(1, math.ceil(max(end, max_length) / BINS))
    counts = [0] * (BINS + 1)
    for length in lengths:
        counts[min(length // step, BINS)] += 1
    used = max(position for position, count in enumerate(counts) if count) + 1
    used = max(used, math.ceil(max_length / step) + 1)
    unit = (WIDTH - LEFT) / used
    scale = (HEIGHT - TOP - BOTTOM) / max(counts)
    bars = [
        _bar(position, count, (unit, scale, step), over=position * step >= max_length)
        for position, count in enumerate(counts[:used])
        if count
    ]
    lines = [_mark(name, value, unit / step, "mark") for name, value in marks.items()]
    limit = _mark(f"max_length {max_length:,}", max_length, unit / step, "limit", top=True)
    return _svg([*_grid(max(counts), scale), *bars, *_axis(used, unit, step), *lines, limit])


def shares(parts: Sequence[tuple[str, int]]) -> str:
    """Return one bar whose parts are as wide as their counts; classes are the names."""
    total, x, drawn = sum(count for _name, count in parts), 0.0, []
    for name, count in parts:
        width = WIDTH * count / total if total else 0
        if count:
            drawn.append(
                f'<rect class="{name}" x="{x:.1f}" y="0" width="{max(width - 1.5, 1):.1f}" '
                f'height="18" rx="3"><title>{name}: {count:,}</title></rect>'
            )
        x += width
    return f'<svg viewBox="0 0 {WIDTH} 18" role="img" aria-label="rows by split">{"".join(drawn)}</svg>'


def _bar(position: int, count: int, scales: tuple[float, float, int], *, over: bool) -> str:
    unit, scale, step = scales
    height = max(1.0, count * scale)
    first = position * step
    return (
        f'<rect class="{"over" if over else "bar"}" x="{LEFT + position * unit:.1f}" '
        f'y="{HEIGHT - BOTTOM - height:.1f}" width="{max(unit - 1.2, 0.8):.1f}" '
        f'height="{height:.1f}" rx="1.5"><title>{first:,} to {first + step - 1:,} tokens: '
        f"{count:,} rows</title></rect>"
    )


def _grid(highest: int, scale: float) -> list[str]:
    """Draw a line at each round number of rows."""
    drawn = []
    for rows in range(0, highest + 1, _round_step(highest, 4)):
        y = HEIGHT - BOTTOM - rows * scale
        drawn.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{rows:,}</text>')
    return drawn


def _axis(used: int, unit: float, step: int) -> list[str]:
    y = HEIGHT - BOTTOM + 16
    every = _round_step(used * step, 10)
    ticks = [
        f'<text x="{LEFT + tokens / step * unit:.1f}" y="{y}" text-anchor="middle">{tokens:,}</text>'
        for tokens in range(0, int(used * step) + 1, every)
        if LEFT + tokens / step * unit < WIDTH - 70
    ]
    return [*ticks, f'<text x="{WIDTH}" y="{y}" text-anchor="end">tokens</text>']


def _mark(name: str, value: int, per_token: float, kind: str, *, top: bool = False) -> str:
    x = LEFT + value * per_token
    if x > WIDTH:
        return ""
    anchor, shift = ("end", -5) if x > WIDTH - 150 else ("start", 5)
    y = 11 if top else TOP - 8
    return (
        f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8}" y2="{HEIGHT - BOTTOM}"/>'
        f'<text class="{kind}" x="{x + shift:.1f}" y="{y}" text-anchor="{anchor}">{name}</text>'
    )


def _round_step(span: int, wanted: int) -> int:
    """Return 1, 2 or 5 times a power of ten that divides a span into about `wanted` parts."""
    rough = max(1.0, span / wanted)
    power = 10 ** math.floor(math.log10(rough))
    return int(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough))


def _svg(parts: list[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="row lengths in tokens">'
        f"{''.join(parts)}</svg>"
    )
