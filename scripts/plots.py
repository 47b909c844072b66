"""Two-axis plots as SVG: enough for docs/performance, and no library.

Both axes are logarithmic, because loads and times span decades.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 36, 52  # margins; the legend is on the right
COLOURS = ("#0b6e4f", "#c8553d", "#3b5ba5", "#8a6d00", "#6b3fa0")
STEPS = (1, 2, 5)
FONT = 'font-family="sans-serif" font-size="12"'


def plot(title: str, x_name: str, y_name: str, series: Mapping[str, Points]) -> str:
    """Lines with a mark at each point. Points that are not above 0 have no place on such axes and are left out."""
    lines = {name: sorted(point for point in points if min(point) > 0) for name, points in series.items()}
    lines = {name: points for name, points in lines.items() if points}
    x_axis = Axis([x for points in lines.values() for x, _ in points], LEFT, WIDTH - RIGHT)
    y_axis = Axis([y for points in lines.values() for _, y in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 20, title, 'font-size="14" font-weight="bold"'),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_name, 'text-anchor="middle"'),
        _text(16, HEIGHT / 2, y_name, f'text-anchor="middle" transform="rotate(-90 16 {HEIGHT / 2:g})"'),
    ]
    for value in x_axis.ticks:
        x = x_axis.place(value)
        parts.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 16, f"{value:,g}", 'text-anchor="middle"'))
    for value in y_axis.ticks:
        y = y_axis.place(value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{value:,g}", 'text-anchor="end"'))
    for number, (name, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [(x_axis.place(x), y_axis.place(y)) for x, y in points]
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(_text(WIDTH - RIGHT + 12, TOP + 12 + 18 * number, name, f'fill="{colour}"'))
    return "\n".join([*parts, "</svg>"]) + "\n"


class Axis:
    """Values between two pixels, on a logarithmic scale whose ends are round numbers."""

    def __init__(self, values: Sequence[float], first: float, last: float) -> None:
        low, high = (min(values), max(values)) if values else (1.0, 10.0)
        decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
        steps = [step * 10.0**decade for decade in decades for step in STEPS]
        start = max(step for step in steps if step <= low * (1 + 1e-9))
        end = min(step for step in steps if step > high)
        self.ticks = [step for step in steps if start <= step <= end]
        self._start, self._span = math.log10(start), math.log10(end) - math.log10(start)
        self._first, self._length = first, last - first

    def place(self, value: float) -> float:
        """The pixel of a value."""
        return self._first + (math.log10(value) - self._start) / self._span * self._length


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" {more}>{escape(text)}</text>'
