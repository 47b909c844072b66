"""What the kernel, TLS and Python take for the same transfers: the same load against relays that do nothing else."""

from __future__ import annotations

from typing import Any

from iris.bench import probe
from iris.bench.options import Options
from iris.bench.pairs import client_figures, message_numbers, pace
from iris.bench.relay import Relay, people
from iris.bench.report import Progress, per
from iris.bench.stage import load, load_configuration, refuse


def floor(options: Options, progress: Progress) -> dict[str, Any]:
    """CPU per message of a relay, counted as the server's is."""
    kind = options.relay
    numbers = {**message_numbers(options), "plain": int(kind == "tcp")}
    clocks: dict[str, probe.Cpu] = {}
    did: dict[str, dict[str, int]] = {}
    with Relay(kind, options.folder) as relay:

        def on_moment(moment: str, done: int) -> None:
            if moment == "measure":
                did[moment], clocks[moment] = relay.done(), probe.cpu(relay.pid)
            elif moment == "stop":
                clocks[moment], did[moment] = probe.cpu(relay.pid), relay.done()
            progress("floor", done)

        result = load(relay, people(2 * options.pairs), options, numbers, on_moment)
        counted = relay.done()["messages"]
        faults = list(result["faults"])
        if counted != result["counts"]["accepted_total"]:
            faults.append(f"the relay counts {counted} messages, the clients {result['counts']}")
        refuse(faults, relay)
    seen = client_figures(result)
    spent, messages = clocks["stop"] - clocks["measure"], seen["messages"]
    ticks = spent.user + spent.system
    grown = {name: did["stop"][name] - did["measure"][name] for name in did["stop"]}
    return {
        "name": f"floor-{kind}-{options.pairs}-{pace(options)}",
        "server_cpu_us_per_msg": per(spent.total, messages),
        **{f"{name}_cpu_us_per_msg": per(seconds, messages) for name, seconds in sorted(spent.threads.items())},
        "system_share": round(spent.system / ticks, 3) if ticks else None,
        **seen,
        "reads_per_msg": round(grown["reads"] / messages, 2),
        "writes_per_msg": round(grown["writes"] / messages, 2),
        "msgs_per_turn": round(messages / grown["turns"], 2),
        **_stored(grown, messages),
        "configuration": load_configuration(options, numbers),
        "histograms_ns": result["histograms"],
    }


def _stored(grown: dict[str, int], messages: int) -> dict[str, Any]:
    """What a relay that stores adds: its syncs, and the CPU that RocksDB's writes took."""
    if "fsyncs" not in grown:
        return {}
    syncs = grown["fsyncs"]
    return {
        "fsyncs": syncs,
        "msgs_per_fsync": round(messages / syncs, 2) if syncs else None,
        "store_write_us_per_msg": per(grown["write_ns"] / 1e9, messages),
    }
