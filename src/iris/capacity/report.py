"""What `iris capacity` says: one JSON object, or tables for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from iris.capacity.model import PHASES, TARGETS, Basis, Prices, Region, by_plan, cost_per, login_cores, size

HEAD = ("region", "edge", "shard", "replica", "Cassandra", "NATS", "memory TB", "disk TB", "Gbit/s", "$ a month")
WIDTHS = (15, 8, 8, 8, 10, 6, 10, 11, 8, 13)
COSTS = {"connection_month": "a connection for a month", "message": "a message"}
NOT_MEASURED = ("assumed", "extrapolated")


def document(dau: int, shares: Mapping[str, float], basis: Basis, prices: Prices) -> dict[str, Any]:
    """The object that --json prints."""
    values = basis.values
    regions = size(dau, shares, values, prices)
    spent = cost_per(regions, dau, values)
    return {
        "dau": dau,
        "concurrent": sum(region.connections for region in regions),
        "messages_per_s_peak": round(sum(region.messages_per_s for region in regions)),
        "by_plan": msgspec.to_builtins(by_plan(dau, values)),
        "regions": [msgspec.to_builtins(region) for region in regions],
        "total": _total(regions),
        "cost": {
            name: {"dollars": spent[name], "target": target, "met": spent[name] < target}
            for name, target in TARGETS.items()
        },
        "storm": {"logins_per_s": values["storm_logins_per_s"], "cpus": round(login_cores(values), 1)},
        "prices": prices.note,
        "figures": {name: msgspec.to_builtins(figure) for name, figure in basis.figures.items()},
    }


def text(found: Mapping[str, Any]) -> str:
    """The same for people."""
    plan = found["by_plan"]
    lines = [
        f"{found['dau']:,} daily users: at the peak {found['concurrent']:,} connections"
        f" and {found['messages_per_s_peak']:,} messages a second",
        "",
        f"by the plan's formula: {plan['edges']:,} edges, {plan['shards']:,} shards"
        f" on {plan['core_nodes']:,} nodes (primary and replica), regions of 50 edges: {plan['regions']:,}",
        "by what Iris costs, nodes:",
        "",
        _row(HEAD),
        *(_row(_cells(region["name"], region)) for region in found["regions"]),
    ]
    if len(found["regions"]) > 1:
        lines.append(_row(_cells("together", found["total"])))
    lines += ["", *(_bounds(region) for region in found["regions"]), ""]
    for name, meaning in COSTS.items():
        one = found["cost"][name]
        verdict = "met" if one["met"] else f"missed, {one['dollars'] / one['target']:.1f} times as much"
        lines.append(f"{meaning:<26}${one['dollars']:.9f}   target below ${one['target']:.6f}: {verdict}")
    storm = found["storm"]
    lines += [
        f"{'a storm of log-ins':<26}{storm['cpus']:,.0f} CPUs for {storm['logins_per_s']:,.0f} a second",
        "",
        f"Prices: {found['prices']}.",
        "Not measured, but assumed or extrapolated (docs/capacity.md; --json has the sources):",
        *_unproven(found["figures"]),
    ]
    return "\n".join(lines) + "\n"


def phases(basis: Basis, prices: Prices) -> list[dict[str, Any]]:
    """The plan's four phases, in the first region of the price table."""
    return [
        {"phase": name, **document(dau, {next(iter(prices.regions)): 1.0}, basis, prices)}
        for name, dau in PHASES.items()
    ]


def phases_text(found: Sequence[Mapping[str, Any]]) -> str:
    """The same for people: first the plan's table, then what Iris would take."""
    first = ("phase", "daily users", "concurrent", "edges", "shards", "core nodes", "regions")
    wide = (8, 15, 13, 8, 8, 12, 9)
    lines = ["by the plan's formula", _row(first, wide)]
    for one in found:
        plan = one["by_plan"]
        counts = [one["dau"], *(plan[name] for name in ("concurrent", "edges", "shards", "core_nodes", "regions"))]
        lines.append(_row((one["phase"], *(f"{count:,}" for count in counts)), wide))
    lines += ["", "by what Iris costs, nodes", _row(("phase", *HEAD[1:], "$/connection", "$/message"), PHASE_WIDTHS)]
    for one in found:
        spent = [f"{one['cost'][name]['dollars']:.7f}" for name in TARGETS]
        lines.append(_row((*_cells(one["phase"], one["total"]), *spent), PHASE_WIDTHS))
    targets = " and ".join(f"${target:.7f} for {COSTS[name]}" for name, target in TARGETS.items())
    lines += ["", f"Targets: less than {targets}. Prices: {found[0]['prices']}.", "One phase: iris capacity --dau N"]
    return "\n".join(lines) + "\n"


PHASE_WIDTHS = (8, *WIDTHS[1:], 14, 12)


def _total(regions: Sequence[Region]) -> dict[str, Any]:
    return {
        **{kind: {"nodes": sum(getattr(one, kind).nodes for one in regions)} for kind in KINDS},
        **{name: sum(getattr(one, name) for one in regions) for name in SUMS},
    }


KINDS = ("edge", "shard", "cassandra", "fabric")
SUMS = ("replicas", "memory_gb", "disk_tb", "network_gbit", "connection_dollars", "message_dollars", "dollars")


def _cells(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    nodes = [one["edge"]["nodes"], one["shard"]["nodes"], one["replicas"], one["cassandra"]["nodes"]]
    return (
        name,
        *(f"{count:,}" for count in (*nodes, one["fabric"]["nodes"])),
        f"{one['memory_gb'] / 1000:,.1f}",
        f"{one['disk_tb']:,.1f}",
        f"{one['network_gbit']:,.1f}",
        f"{one['dollars']:,.0f}",
    )


def _row(cells: Sequence[str], widths: Sequence[int] = WIDTHS) -> str:
    first, *rest = zip(cells, widths, strict=True)
    return "  " + f"{first[0]:<{first[1]}}" + "".join(f"{cell:>{width}}" for cell, width in rest)


def _bounds(region: Mapping[str, Any]) -> str:
    scarce = ", ".join(f"{kind} by {region[kind]['bound_by']}" for kind in KINDS)
    return f"  what is scarce in {region['name']}: {scarce}"


def _unproven(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names = [f"{name} {one['value']:g}" for name, one in figures.items() if one["kind"] in NOT_MEASURED]
    lines, line = [], " "
    for name in names:
        if len(line) + len(name) > 110:
            lines.append(line)
            line = " "
        line += f" {name};"
    return [*lines, line.rstrip(";")]
