"""Curves as one SVG file: no library, no script, no network; readable on a light and a dark page."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

__all__ = ["line_chart", "ticks"]

Curve = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 40, 40

#: Distinguishable without colour vision (Okabe and Ito 2008: blue, vermilion, green, orange).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00")
STYLE = (
    "text{font:12px sans-serif;fill:#555}.t{font-size:15px;fill:#333}"
    "@media(prefers-color-scheme:dark){text{fill:#aaa}.t{fill:#ddd}}"
    ".g{stroke:#8884;stroke-width:1}path{fill:none;stroke-width:2}"
)


def line_chart(title: str, unit: str, curves: Mapping[str, Curve]) -> str:
    """Return a picture of curves over steps; empty ones are left out, and values that are no number.

    Args:
        title: What is shown; any text, as names are: it is escaped.
        unit: What the values are counted in.
        curves: Name -> (step, value) in order.
    """
    drawn = {name: [p for p in curve if math.isfinite(p[1])] for name, curve in curves.items()}
    drawn = {name: curve for name, curve in drawn.items() if curve}
    points = [point for curve in drawn.values() for point in curve]
    parts = [f'<text class="t" x="{LEFT}" y="22">{html.escape(title)}</text>']
    if not points:
        parts.append(f'<text x="{LEFT}" y="60">nothing was logged</text>')
        return _svg(title, parts)
    across = _span([x for x, _y in points])
    up = _span([y for _x, y in points])
    parts += _grid(across, up, unit)
    for number, (name, curve) in enumerate(drawn.items()):
        parts += _line(curve, across, up, COLOURS[number % len(COLOURS)])
        parts.append(_key(number, name))
    return _svg(title, parts)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return round numbers within a span: 0.13 to 2.4 has 0.5, 1, 1.5 and 2."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Return the least and the greatest value, apart even where all are alike."""
    low, high = min(values), max(values)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-30):
        room = abs(high) * 0.1 or 1.0
        return low - room, high + room
    return low, high


def _place(value: float, span: tuple[float, float], start: float, end: float) -> float:
    return start + (value - span[0]) / (span[1] - span[0]) * (end - start)


def _grid(across: tuple[float, float], up: tuple[float, float], unit: str) -> list[str]:
    parts = [f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">step</text>']
    if unit:
        parts.append(
            f'<text x="{WIDTH - RIGHT}" y="22" text-anchor="end">{html.escape(unit)}</text>'
        )
    for value in ticks(*up):
        y = _place(value, up, HEIGHT - BOTTOM, TOP)
        parts.append(f'<path class="g" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>'
        )
    for value in ticks(*across):
        x = _place(value, across, LEFT, WIDTH - RIGHT)
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - 22}" text-anchor="middle">{_number(value)}</text>'
        )
    return parts


def _line(
    curve: Curve, across: tuple[float, float], up: tuple[float, float], colour: str
) -> list[str]:
    places = [
        f"{_place(x, across, LEFT, WIDTH - RIGHT):.1f} {_place(y, up, HEIGHT - BOTTOM, TOP):.1f}"
        for x, y in curve
    ]
    path = f'<path d="M{"L".join(places)}" stroke="{colour}"/>'
    dots = [place.split() for place in places] if len(places) <= 20 else []
    return [path, *(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in dots)]


def _key(number: int, name: str) -> str:
    x = LEFT + 180 + 130 * number
    colour = COLOURS[number % len(COLOURS)]
    return f'<path d="M{x} 18h18" stroke="{colour}"/><text x="{x + 24}" y="22">{html.escape(name)}</text>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10000 else f"{value:.4g}"


def _svg(title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" aria-label="{html.escape(title)}"><style>{STYLE}</style>'
        f"{''.join(parts)}</svg>\n"
    )
