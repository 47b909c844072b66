"""Connections that say nothing: memory per connection, of the server and of the kernel."""

from __future__ import annotations

import time
from typing import Any

from iris.bench import probe
from iris.bench.memory import Memory, figures, memory
from iris.bench.options import Options
from iris.bench.report import percentiles
from iris.bench.stage import Stage, load, refuse

SETTLE_S = 1.0
HOLD_PINGS_S = 20.0  # every connection is pinged once or twice in it: less says nothing of CPU
WARM_PEOPLE = 50  # who come and go before memory is looked at, so that what is made once is there


def idle(stage: Stage, options: Options) -> dict[str, Any]:
    """Each connection is that of a user of its own, whose data is loaded."""
    server = stage.server
    people = stage.borrow(options.connections)
    stage.restart()
    load(server, people[:WARM_PEOPLE], options, {}, lambda moment, done: None)
    stage.wait_until_empty()
    time.sleep(SETTLE_S)
    before = memory(server.pid)
    held: list[Memory] = []
    clocks: list[tuple[float, probe.Cpu]] = []

    def on_moment(moment: str, done: int) -> None:
        stage.progress("connections", done, len(people))
        if moment == "held":
            held.append(memory(server.pid))
        if moment in ("arrived", "held"):
            clocks.append((time.monotonic(), probe.cpu(server.pid)))

    numbers = {"hold_ms": int(options.hold * 1000)}
    result = load(server, people, options, numbers, on_moment)
    refuse(result["faults"], server)
    (start, then), (end, now) = clocks
    silence = 0.0 if options.hold < HOLD_PINGS_S else len(people) * (end - start)
    return {
        "name": "idle",
        "connections": len(people),
        **figures(len(people), before, held[0]),
        **idle_cpu(now - then, silence),
        **percentiles(result["histograms"]["login"], "login_"),
        "configuration": stage.configuration(options, numbers),
        "histograms_ns": result["histograms"],
    }


def idle_cpu(spent: probe.Cpu, silence: float) -> dict[str, float | None]:
    """µs for a connection and a second of its silence, by group of threads; None where there was too little silence."""
    groups = {"": spent.total, **{f"{name}_": seconds for name, seconds in sorted(spent.threads.items())}}
    return {
        f"idle_{name}cpu_us_per_conn_s": round(seconds * 1e6 / silence, 2) if silence else None
        for name, seconds in groups.items()
    }
