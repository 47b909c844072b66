"""Write the figures of docs/performance.md, and its plots, from what `iris bench all --json` printed.

    iris bench all --json > figures.json
    python -m bench.peers > peers.json
    python -m scripts.performance figures.json [peers.json]

Only what stands between the two marks is written; the text around it is by hand.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iris.bench.report import SHOWN, VERDICTS
from iris.bench.report import table as shown
from iris.bench.rounds import TOLD
from scripts.pages import DOCS, between, number, origin, table, write
from scripts.plots import plot

PAGE = DOCS / "performance.md"
RECONNECTS = 100_000  # a second: what the plan asks of a whole cluster
BEGIN = "<!-- Figures: written by scripts/performance.py. Do not edit: run `make bench`. -->"
END = "<!-- End of the figures. -->"

Scenario = Mapping[str, Any]
Document = Mapping[str, Any]


def main(args: Sequence[str]) -> int:
    """Write the page and its plots, and print the figures."""
    if len(args) not in (1, 2):
        sys.stderr.write("usage: python -m scripts.performance FIGURES.json [PEERS.json]\n")
        return 2
    document = json.loads(Path(args[0]).read_text())
    if len(args) == 2:
        document |= json.loads(Path(args[1]).read_text())
    page = with_figures(PAGE.read_text(), figures(document))
    write(PAGE, page, plots(document))
    sys.stdout.writelines(shown(scenario) for scenario in document["scenarios"])
    sys.stdout.write(beside_peers(document) + kept_by_peers(document))
    return 0


def with_figures(page: str, text: str) -> str:
    """The page with this text between its marks."""
    return between(page, BEGIN, END, text)


def figures(document: Document) -> str:
    """All tables and plots."""
    scenarios: list[Scenario] = document["scenarios"]
    messages = [one for one in scenarios if "msgs_per_s" in one]
    systems = sorted({one["configuration"]["file_system"] for one in scenarios if "configuration" in one})
    parts = [origin(document, systems), "### Budgets\n", _budgets(scenarios)]
    repeated = _rounds(scenarios)
    parts += ["### Rounds\n", repeated] if repeated else []
    beside = beside_peers(document)
    parts += ["### Beside other servers\n", beside] if beside else []
    kept = kept_by_peers(document)
    parts += ["### What a peer promises less\n", kept] if kept else []
    storm = reconnects(scenarios)
    parts += [f"### {RECONNECTS:,} log-ins a second (extrapolated)\n", storm] if storm else []
    failed = [f"- `{one['name']}` gave no figures: {one['error']}" for one in scenarios if "error" in one]
    parts += ["\n".join(failed) + "\n"] if failed else []
    parts += ["### Messages\n", _columns(messages)]
    for one in scenarios:
        if one not in messages and "error" not in one:
            parts += [f"### {one['name']}\n", _columns([one])]
    parts += [f"![{name.removesuffix('.svg')}](performance/{name})\n" for name in plots(document)]
    return "\n".join(parts)


def _budgets(scenarios: Sequence[Scenario]) -> str:
    rows = []
    for one in scenarios:
        for verdict in one["budgets"]:
            sign = "≥" if verdict["at_least"] else "≤"
            meaning = _meaning(verdict["figure"])
            bound, value = f"{sign} {verdict['budget']:,g}", number(verdict["measured"])
            rows.append([f"`{one['name']}`", meaning, value, bound, VERDICTS[verdict["met"]]])
    return table(["scenario", "figure", "measured", "budget", "verdict"], rows)


def _rounds(scenarios: Sequence[Scenario]) -> str:
    """What every round said, where there were several; the one that stands everywhere else is the middle one."""
    names = [name for name in TOLD if any(name in told for one in scenarios for told in one.get("rounds", ()))]
    rows = [
        [f"`{one['name']}`", str(place), *(number(told.get(name)) for name in names)]
        for one in scenarios
        for place, told in enumerate(one.get("rounds", ()), start=1)
    ]
    return table(["scenario", "round", *(_meaning(name) for name in names)], rows) if rows else ""


def reconnects(scenarios: Sequence[Scenario]) -> str:
    """CPU of a log-in by part, and the cores that RECONNECTS of them a second take; nothing where none was measured."""
    head = [
        "log-in", "CPU, µs", "… Python", "… engine", "the floor (TLS), µs",
        "cores", "… of them Python (a process each)", "… for the floor alone",
    ]  # fmt: skip
    rows = []
    for one in scenarios:
        if "engine_cpu_us" in one:
            parts = [one["server_cpu_us"], one["python_cpu_us"], one["engine_cpu_us"], one.get("floor_cpu_us")]
            cores = [None if part is None else math.ceil(part * RECONNECTS / 1e6) for part in parts]
            rows.append([f"`{one['name']}`", *map(number, parts), *map(number, [cores[0], cores[1], cores[3]])])
    return table(head, rows) if rows else ""


def beside_peers(document: Document) -> str:
    """Iris, the floor and each peer with the same pairs and window, as a ratio to Iris; nothing when none was asked."""
    iris = {str(one["name"]): one for one in document["scenarios"] if "msgs_per_s" in one}
    rows, reasons = [], []
    for peer in document.get("peers", ()):
        name = _name(peer)
        reasons += [f"\n{name}: no figures. {peer[why]}\n" for why in ("skipped", "error") if why in peer]
        for theirs in peer.get("scenarios", ()):
            ours = iris.get(theirs["name"])
            if ours is not None:
                rows.append(_ratio(name, ours, theirs))
    head = [
        "scenario",
        "server",
        "CPU per message, µs",
        "floor (TLS)",
        "Iris",
        "times Iris",
        "messages/s",
        "flushes/message",
    ]
    return (table(head, rows) if rows else "") + "".join(reasons)


def kept_by_peers(document: Document) -> str:
    """What Iris and each peer kept of messages that were repeated, and of accepted ones when killed."""
    iris = {"name": "Iris", **document.get("iris", {})}
    peers = [one for one in document.get("peers", ()) if "promises" in one]
    if not peers:
        return ""
    tried = {_name(one): one.get("promises", {}) for one in (iris, *peers)}
    rows = [
        [what, *(number(kept.get(trial, {}).get(figure)) for kept in tried.values())]
        for what, trial, figure in (
            ("messages sent twice under one id", "repeated", "sent"),
            ("… times they were shown in all", "repeated", "shown"),
            ("messages accepted before a kill -9", "killed", "accepted"),
            ("… of them delivered after the restart", "killed", "delivered"),
            ("disk flushes while they were accepted", "killed", "flushes"),
        )
    ]
    return table(["tried", *tried], rows) + (f"\nIris: {iris['error']}\n" if "error" in iris else "")


def _name(server: Scenario) -> str:
    return f"{server['name']} {server.get('version', '')}".strip()


def _ratio(name: str, ours: Scenario, theirs: Scenario) -> list[str]:
    cost, flushes = theirs["server_cpu_us_per_msg"], theirs["disk_flushes"]
    least = ours["server_cpu_us_per_msg"]
    return [
        f"`{theirs['name']}`", name, number(cost), number(ours.get("floor_cpu_us_per_msg")), number(least),
        number(round(cost / least, 2)), number(theirs["msgs_per_s"]),
        "" if flushes is None else number(round(flushes / theirs["messages"], 4)),
    ]  # fmt: skip


def _columns(scenarios: Sequence[Scenario]) -> str:
    """A column for each scenario, a row for each figure that one of them has."""
    names = [name for name in SHOWN if any(name in one for one in scenarios)]
    rows = [[_meaning(name), *(number(one.get(name)) for one in scenarios)] for name in names]
    return table(["figure", *(f"`{one['name']}`" for one in scenarios)], rows)


def _meaning(figure: str) -> str:
    return SHOWN[figure].replace("  of it", "… of it")


def plots(document: Document) -> dict[str, str]:
    """Latency by load and CPU by batch, as SVG by file name; none that would show nothing."""
    paced = [one for one in document["scenarios"] if "percent" in one and "error" not in one]
    batched = [one for one in paced if one["msgs_per_fsync"]]  # the same pairs at each pace
    found = {}
    if paced:
        series = {
            f"{part} {kind}": [(one["msgs_per_s"], one[f"{prefix}{part}_ms"]) for one in paced]
            for kind, prefix in (("Deliver", ""), ("Receipt", "receipt_"))
            for part in ("p50", "p99")
        }
        found["latency-by-load.svg"] = plot("Latency by load", "messages per second", "ms since due", series)
    if batched:
        series = {
            name: [(one["msgs_per_fsync"], one[f"{key}_cpu_us_per_msg"]) for one in batched]
            for name, key in (("server", "server"), ("Python", "python"), ("engine", "engine"))
        }
        found["cpu-by-batch.svg"] = plot("CPU by batch", "messages for each fsync", "µs per message", series)
    return found


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
