"""Connections that say nothing: memory per connection, of the server and of the kernel."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from iris.bench import probe
from iris.bench.options import Options
from iris.bench.report import percentiles
from iris.bench.stage import Stage, load, refuse

SETTLE_S = 1.0
WARM_PEOPLE = 50  # who come and go before memory is looked at, so that what is made once is there


class Memory(NamedTuple):
    """Bytes at one moment: the server's, of it the heaps of its threads, the kernel's for all sockets."""

    resident: int
    threads: int
    kernel: int | None


def idle(stage: Stage, options: Options) -> dict[str, Any]:
    """Each connection is that of a user of its own, whose data is loaded."""
    server = stage.server
    people = stage.borrow(options.connections)
    stage.restart()
    load(server, people[:WARM_PEOPLE], options, {}, lambda moment, done: None)
    stage.wait_until_empty()
    time.sleep(SETTLE_S)
    before = _memory(stage)
    held: list[Memory] = []

    def on_moment(moment: str, done: int) -> None:
        stage.progress("connections", done, len(people))
        if moment == "held":
            held.append(_memory(stage))

    numbers = {"hold_ms": int(SETTLE_S * 2000)}
    result = load(server, people, options, numbers, on_moment)
    refuse(result["faults"], server)
    return {
        "name": "idle",
        **memory_figures(len(people), before, held[0]),
        **percentiles(result["histograms"]["login"], "login_"),
        "configuration": stage.configuration(options, numbers),
        "histograms_ns": result["histograms"],
    }


def _memory(stage: Stage) -> Memory:
    pid = stage.server.pid
    return Memory(probe.rss_bytes(pid), probe.thread_heap_bytes(pid), probe.socket_memory_bytes())


def memory_figures(count: int, before: Memory, after: Memory) -> dict[str, Any]:
    """KB for each of `count` connections."""

    def kb(grown: float) -> float:
        return round(grown / count / 1024, 2)

    userland, engine = after.resident - before.resident, after.threads - before.threads
    # Both ends are on this machine and cost the kernel the same: half of it is the server's.
    kernel = None
    if before.kernel is not None and after.kernel is not None:
        kernel = (after.kernel - before.kernel) / 2
    return {
        "connections": count,
        "userland_kb_per_conn": kb(userland),
        "python_kb_per_conn": kb(userland - engine),
        "engine_kb_per_conn": kb(engine),
        "kernel_kb_per_conn": None if kernel is None else kb(kernel),
        "all_in_kb_per_conn": None if kernel is None else kb(userland + kernel),
        "rss_before_mb": round(before.resident / 1e6, 1),
        "rss_after_mb": round(after.resident / 1e6, 1),
    }
