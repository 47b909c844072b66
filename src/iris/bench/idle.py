"""Connections that say nothing: memory per connection, of the server and of the kernel."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from iris.bench import probe
from iris.bench.memory import Memory, figures, memory
from iris.bench.options import Options
from iris.bench.people import Person
from iris.bench.relay import Kind, Relay
from iris.bench.relay import people as relay_people
from iris.bench.report import Progress, percentiles
from iris.bench.stage import Stage, Target, load, load_configuration, refuse

SETTLE_S = 1.0
HOLD_PINGS_S = 20.0  # every connection is pinged once or twice in it: less says nothing of CPU
WARM_PEOPLE = 50  # who come and go before memory is looked at, so that what is made once is there


@dataclass(frozen=True, slots=True)
class Held:
    """Memory without and with the connections, and CPU from the last arrival to the end."""

    before: Memory
    after: Memory
    spent: probe.Cpu
    seconds: float
    result: dict[str, Any]
    numbers: dict[str, int]


def idle(stage: Stage, options: Options) -> dict[str, Any]:
    """Each connection is that of a user of its own, whose data is loaded."""
    server = stage.server
    people = stage.borrow(options.connections)
    stage.restart()
    held = hold(server, people, options, stage.progress)
    silence = 0.0 if options.hold < HOLD_PINGS_S else len(people) * held.seconds
    return {
        "name": "idle",
        "connections": len(people),
        **figures(len(people), held.before, held.after),
        **idle_cpu(held.spent, silence),
        **percentiles(held.result["histograms"]["login"], "login_"),
        "configuration": stage.configuration(options, held.numbers),
        "histograms_ns": held.result["histograms"],
    }


def idle_floor(kind: Kind, options: Options, progress: Progress) -> dict[str, Any]:
    """The same connections at a relay, which keeps TLS, a buffer and two numbers for each."""
    people = relay_people(options.connections)
    with Relay(kind, options.folder) as relay:
        held = hold(relay, people, options, progress)
    return {
        "name": f"floor-{kind}-idle",
        "connections": len(people),
        **figures(len(people), held.before, held.after),
        "configuration": load_configuration(options, held.numbers),
    }


def hold(target: Target, people: Sequence[Person], options: Options, progress: Progress) -> Held:
    """Let everybody connect and stay, and look at the target's memory and CPU."""
    load(target, people[:WARM_PEOPLE], options, {}, lambda moment, done: None)
    target.wait_until_empty()
    time.sleep(SETTLE_S)
    before = memory(target.pid)
    after: list[Memory] = []
    clocks: list[tuple[float, probe.Cpu]] = []

    def on_moment(moment: str, done: int) -> None:
        progress("connections", done, len(people))
        if moment == "held":
            after.append(memory(target.pid))
        if moment in ("arrived", "held"):
            clocks.append((time.monotonic(), probe.cpu(target.pid)))

    numbers = {"hold_ms": int(options.hold * 1000)}
    result = load(target, people, options, numbers, on_moment)
    refuse(result["faults"], target)
    (start, then), (end, now) = clocks
    return Held(before, after[0], now - then, end - start, result, numbers)


def idle_cpu(spent: probe.Cpu, silence: float) -> dict[str, float | None]:
    """µs for a connection and a second of its silence, by group of threads; None where there was too little silence."""
    groups = {"": spent.total, **{f"{name}_": seconds for name, seconds in sorted(spent.threads.items())}}
    return {
        f"idle_{name}cpu_us_per_conn_s": round(seconds * 1e6 / silence, 2) if silence else None
        for name, seconds in groups.items()
    }
