"""Write the curves of docs/performance-scale.md, and their plots, from what `iris bench scale --json` printed.

    iris bench scale --json > scale.json
    python -m scripts.performance_scale scale.json

Only what stands between the two marks is written; the text around it is by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iris.bench.curves import (
    COLUMNS,
    COST,
    FLAT,
    LATENCY,
    SETTLED_COST,
    SETTLED_LATENCY,
    VERDICTS,
    curve_table,
)
from scripts.pages import DOCS, between, number, origin, table, write
from scripts.plots import plot

PAGE = DOCS / "performance-scale.md"
BEGIN = "<!-- Curves: written by scripts/performance_scale.py. Do not edit: run `make bench-scale`. -->"
END = "<!-- End of the curves. -->"

Curve = Mapping[str, Any]
Document = Mapping[str, Any]


def main(args: Sequence[str]) -> int:
    """Write the page and its plots, and print the curves."""
    if len(args) != 1:
        sys.stderr.write("usage: python -m scripts.performance_scale SCALE.json\n")
        return 2
    document = json.loads(Path(args[0]).read_text())
    page = with_curves(PAGE.read_text(), curves(document))
    write(PAGE, page, plots(document))
    sys.stdout.writelines(curve_table(one) for one in document["scenarios"])
    return 0


def with_curves(page: str, text: str) -> str:
    """The page with this text between its marks."""
    return between(page, BEGIN, END, text)


def curves(document: Document) -> str:
    """All curves: verdicts, then a table and two plots each."""
    found: list[Curve] = document["scenarios"]
    good = [one for one in found if "error" not in one]
    failed = [f"- `{one['name']}` gave no figures: {one['error']}\n" for one in found if "error" in one]
    return "\n".join([origin(document), _verdicts(good), *failed, *(_section(one) for one in good)])


def _verdicts(found: Sequence[Curve]) -> str:
    rows = []
    for one in found:
        for figure, met in one["flat"].items():
            last = one["points"][-1]["change"][figure]
            most = [point["change"][figure] for point in one["points"] if point["change"][figure] is not None]
            rows.append(
                [f"`{one['name']}`", COLUMNS[figure], _change(last), _change(max(most, default=None)), VERDICTS[met]]
            )
    return table(["curve", "figure", "last point", "highest", f"within {FLAT:.0%} of the first"], rows)


def _section(one: Curve) -> str:
    shown = [name for name in COLUMNS if any(point.get(name) is not None for point in one["points"])]
    rows = [[f"{point['x']:,g}", *(number(point.get(name)) for name in shown)] for point in one["points"]]
    parts = [f"### {one['name']}\n", table([one["x"], *(COLUMNS[name] for name in shown)], rows)]
    parts += [f"Not more, because {one['limit']}.\n"] if one.get("limit") else []
    if "taken" in one:
        parts.append(
            f"Then a device came and took all {one['taken']:,} in {one['taken_s']:,.3g} s, for"
            f" {one['taken_cpu_us_per_msg']:,.3g} µs of the server's CPU each.\n"
        )
    parts += [f"![{name.removesuffix('.svg')}](performance/{name})\n" for name in _plots(one)]
    return "\n".join(parts)


def plots(document: Document) -> dict[str, str]:
    """CPU and times of every curve, as SVG by file name."""
    found: dict[str, str] = {}
    for one in document["scenarios"]:
        found |= {} if "error" in one else _plots(one)
    return found


def _plots(one: Curve) -> dict[str, str]:
    def series(figures: Mapping[str, str]) -> dict[str, list[tuple[float, float]]]:
        return {
            name: [(point["x"], point[figure]) for point in one["points"] if point.get(figure) is not None]
            for name, figure in figures.items()
        }

    parts = {"Python": "python", "engine": "engine", "RocksDB": "rocksdb"}
    cpu = series(
        {"server": COST, "settled": SETTLED_COST, **{name: f"{part}_cpu_us_per_msg" for name, part in parts.items()}}
    )
    times = series({"p50": "p50_ms", "p99": LATENCY, "p99, settled": SETTLED_LATENCY})
    return {
        f"{one['name']}-cpu.svg": plot(f"{one['name']}: CPU", one["x"], "µs per message", cpu),
        f"{one['name']}-times.svg": plot(f"{one['name']}: times", one["x"], "ms", times),
    }


def _change(value: float | None) -> str:
    return "" if value is None else f"{value:+.0%}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
