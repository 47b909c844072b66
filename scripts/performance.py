"""Write the figures of docs/performance.md, and its plots, from what `iris bench all --json` printed.

    iris bench all --json > figures.json
    python -m bench.peers > peers.json
    python -m scripts.performance figures.json [peers.json]

Only what stands between the two marks is written; the text around it is by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iris.bench.report import SHOWN, VERDICTS, table
from scripts.plots import plot

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "performance.md"
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
    folder = DOCS / "performance"
    folder.mkdir(exist_ok=True)
    for name, text in plots(document).items():
        (folder / name).write_text(text)
    PAGE.write_text(page)
    sys.stdout.writelines(table(scenario) for scenario in document["scenarios"])
    sys.stdout.write(beside_peers(document))
    return 0


def with_figures(page: str, text: str) -> str:
    """The page with this text between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"the page has no marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def figures(document: Document) -> str:
    """All tables and plots."""
    scenarios: list[Scenario] = document["scenarios"]
    messages = [one for one in scenarios if "msgs_per_s" in one]
    parts = [_origin(document), "### Budgets\n", _budgets(scenarios)]
    beside = beside_peers(document)
    parts += ["### Beside other servers\n", beside] if beside else []
    failed = [f"- `{one['name']}` gave no figures: {one['error']}" for one in scenarios if "error" in one]
    parts += ["\n".join(failed) + "\n"] if failed else []
    parts += ["### Messages\n", _columns(messages)]
    for one in scenarios:
        if one not in messages and "error" not in one:
            parts += [f"### {one['name']}\n", _columns([one])]
    parts += [f"![{name.removesuffix('.svg')}](performance/{name})\n" for name in plots(document)]
    return "\n".join(parts)


def _origin(document: Document) -> str:
    machine, versions = document["machine"], document["versions"]
    memory = "" if machine["memory_mb"] is None else f", {machine['memory_mb'] / 1024:.0f} GB"
    systems = {one["configuration"]["file_system"] for one in document["scenarios"] if "configuration" in one}
    return (
        f"`{document['command']}` at {document['at']}, commit {document['commit']}: {machine['cpus']} CPUs"
        f" ({machine['cpu']}){memory}, Linux {machine['kernel']}, {', '.join(sorted(systems))}, Python"
        f" {versions['python']}, rocksdict {versions.get('rocksdict', '-')}. Load average at the end of the run:"
        f" {machine['load_average']}.\n"
    )


def _budgets(scenarios: Sequence[Scenario]) -> str:
    rows = []
    for one in scenarios:
        for verdict in one["budgets"]:
            sign = "≥" if verdict["at_least"] else "≤"
            meaning = _meaning(verdict["figure"])
            bound, value = f"{sign} {verdict['budget']:,g}", _number(verdict["measured"])
            rows.append([f"`{one['name']}`", meaning, value, bound, VERDICTS[verdict["met"]]])
    return _table(["scenario", "figure", "measured", "budget", "verdict"], rows)


def beside_peers(document: Document) -> str:
    """Iris, the floor and each peer with the same pairs and window, as a ratio to Iris; nothing when none was asked."""
    iris = {str(one["name"]): one for one in document["scenarios"] if "msgs_per_s" in one}
    rows, reasons = [], []
    for peer in document.get("peers", ()):
        name = f"{peer['name']} {peer.get('version', '')}".strip()
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
    return (_table(head, rows) if rows else "") + "".join(reasons)


def _ratio(name: str, ours: Scenario, theirs: Scenario) -> list[str]:
    cost, flushes = theirs["server_cpu_us_per_msg"], theirs["disk_flushes"]
    least = ours["server_cpu_us_per_msg"]
    return [
        f"`{theirs['name']}`", name, _number(cost), _number(ours.get("floor_cpu_us_per_msg")), _number(least),
        _number(round(cost / least, 2)), _number(theirs["msgs_per_s"]),
        "" if flushes is None else _number(round(flushes / theirs["messages"], 4)),
    ]  # fmt: skip


def _columns(scenarios: Sequence[Scenario]) -> str:
    """A column for each scenario, a row for each figure that one of them has."""
    names = [name for name in SHOWN if any(name in one for one in scenarios)]
    rows = [[_meaning(name), *(_number(one.get(name)) for one in scenarios)] for name in names]
    return _table(["figure", *(f"`{one['name']}`" for one in scenarios)], rows)


def _meaning(figure: str) -> str:
    return SHOWN[figure].replace("  of it", "… of it")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:,.3g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


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
