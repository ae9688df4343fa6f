"""Plots as inline SVG, drawn from counts: no library, no script, no network.

Text of the data (a label) is escaped here, for the page takes the drawing as it is.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

__all__ = ["amounts_of", "histogram", "shares"]

WIDTH, HEIGHT = 960, 240
LEFT, BOTTOM, TOP = 46, 34, 36
BINS = 48

#: Of a chart with named bars: width of the names, of the figures behind a bar, height of a line.
NAMES, FIGURES, LINE = 210, 110, 22


def histogram(lengths: Sequence[int], marks: dict[str, int], max_length: int | None = None) -> str:
    """Return a distribution of lengths in tokens, with named marks and a line at max_length.

    Rows beyond 1.5 times the longest of these stand together in the last bar.
    """
    if not lengths:
        return ""
    longest, limit = max(lengths), max_length or 0
    end = min(longest, 1.5 * max(limit, *marks.values())) if marks else longest
    step = max(1, math.ceil(max(end, limit) / BINS))
    counts = [0] * (BINS + 1)
    for length in lengths:
        counts[min(length // step, BINS)] += 1
    used = max(position for position, count in enumerate(counts) if count) + 1
    used = max(used, math.ceil(limit / step) + 1)
    unit = (WIDTH - LEFT) / used
    scale = (HEIGHT - TOP - BOTTOM) / max(counts)
    beyond = math.inf if max_length is None else max_length
    bars = [
        _bar(position, count, (unit, scale, step), over=position * step >= beyond)
        for position, count in enumerate(counts[:used])
        if count
    ]
    lines = [_mark(name, value, unit / step, "mark") for name, value in marks.items()]
    if max_length is not None:
        told = f"max_length {max_length:,}"
        lines.append(_mark(told, max_length, unit / step, "limit", top=True))
    return _svg([*_grid(max(counts), scale), *bars, *_axis(used, unit, step), *lines])


def amounts_of(named: Sequence[tuple[str, int]]) -> str:
    """Return one horizontal bar for each name, as long as its count; names are escaped."""
    if not named:
        return ""
    most, total = max(count for _name, count in named), sum(count for _name, count in named)
    room, drawn = WIDTH - NAMES - FIGURES, []
    for position, (name, count) in enumerate(named):
        y, width = position * LINE, max(1.0, room * count / most)
        figure = f"{count:,} ({count / total:.1%})"
        drawn.append(
            f'<text x="{NAMES - 8}" y="{y + 14}" text-anchor="end">{html.escape(name)}</text>'
            f'<rect class="bar" x="{NAMES}" y="{y + 3}" width="{width:.1f}" height="15" rx="2"/>'
            f'<text x="{NAMES + width + 6:.1f}" y="{y + 14}">{figure}</text>'
        )
    return (
        f'<svg viewBox="0 0 {WIDTH} {LINE * len(named)}" role="img" '
        f'aria-label="rows by label">{"".join(drawn)}</svg>'
    )


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
