"""Curves of cost: is it the same at every point? Judged against the first point, and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FLAT = 0.2  # a figure may be so much higher than at the first point; lower is no fault
COST, LATENCY, MEMORY = "server_cpu_us_per_msg", "p99_ms", "rss_mb"
SETTLED_COST, SETTLED_LATENCY = "settled_cpu_us_per_msg", "settled_p99_ms"
# The columns, in order, with what they mean.
COLUMNS = {
    COST: "server CPU per message, µs",
    "python_cpu_us_per_msg": "of it Python, µs",
    "rocksdb_cpu_us_per_msg": "of it RocksDB's threads, µs",
    "p50_ms": "p50 ms",
    LATENCY: "p99 ms",
    SETTLED_COST: "CPU when settled, µs",
    SETTLED_LATENCY: "p99 when settled, ms",
    MEMORY: "server's memory, MB",
    "start_s": "start of the server, s",
}
VERDICTS = {True: "flat", False: "not flat", None: "not measured"}

Curve = dict[str, Any]


def curve(name: str, x: str, points: Sequence[Mapping[str, Any]], figures: Sequence[str], **more: object) -> Curve:
    """A scenario made of points, with the change of these figures and whether each is flat."""
    return {
        "name": f"scale-{name}",
        "x": x,
        "points": [{**point, "change": changes(points[0], point, figures)} for point in points],
        "flat": {figure: flat(points, figure) for figure in figures},
        **more,
    }


def changes(first: Mapping[str, Any], point: Mapping[str, Any], figures: Sequence[str]) -> dict[str, float | None]:
    """By figure: how much higher it is than at the first point, as a share; None where there is no figure."""
    return {figure: _change(first.get(figure), point.get(figure)) for figure in figures}


def _change(first: float | None, value: float | None) -> float | None:
    return None if first is None or value is None or first <= 0 else round(value / first - 1, 3)


def flat(points: Sequence[Mapping[str, Any]], figure: str) -> bool | None:
    """Whether a figure is nowhere more than FLAT above the first point; None where one has no figure, or there is no
    second point."""
    found = [_change(points[0].get(figure), point.get(figure)) for point in points[1:]]
    if not found or None in found:
        return None
    return all(change <= FLAT for change in found if change is not None)


def curve_table(one: Curve) -> str:
    """A curve for people."""
    if "error" in one:
        return f"{one['name']}\n  no figures: {one['error']}\n"
    shown = [name for name in COLUMNS if any(point.get(name) is not None for point in one["points"])]
    lines = [f"{one['name']}", f"  {one['x']:>22}" + "".join(f"{COLUMNS[name]:>29}" for name in shown)]
    for point in one["points"]:
        cells = []
        for name in shown:
            value, change = point.get(name), point["change"].get(name)
            text = "-" if value is None else f"{value:,.1f}"
            cells.append(f"{text if change is None else f'{text} ({change:+.0%})':>29}")
        lines.append(f"  {point['x']:>22,g}" + "".join(cells))
    lines += [f"  {COLUMNS[name]}: {VERDICTS[met]} within {FLAT:.0%}" for name, met in one["flat"].items()]
    return "\n".join(lines) + "\n"
