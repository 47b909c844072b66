"""Connections that say nothing: memory per connection, of the server and of the kernel."""

from __future__ import annotations

import time
from typing import Any

from iris.bench import probe
from iris.bench.options import Options
from iris.bench.report import percentiles
from iris.bench.stage import Stage, load, refuse

SETTLE_S = 1.0
WARM_PEOPLE = 50  # who come and go before memory is looked at, so that what is made once is there


def idle(stage: Stage, options: Options) -> dict[str, Any]:
    """Each connection is that of a user of its own, whose data is loaded."""
    server = stage.server
    people = stage.borrow(options.connections)
    stage.restart()
    load(server, people[:WARM_PEOPLE], options, {}, lambda moment, done: None)
    stage.wait_until_empty()
    time.sleep(SETTLE_S)
    before = _memory(stage)
    held: list[_Memory] = []

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


_Memory = tuple[int, int | None]  # the server's resident bytes, the kernel's for sockets


def _memory(stage: Stage) -> _Memory:
    return probe.rss_bytes(stage.server.pid), probe.socket_memory_bytes()


def memory_figures(count: int, before: _Memory, after: _Memory) -> dict[str, Any]:
    """KB for each of `count` connections."""
    userland = (after[0] - before[0]) / count / 1024
    # Both ends are on this machine and cost the kernel the same: half of it is the server's.
    kernel = None
    if before[1] is not None and after[1] is not None:
        kernel = (after[1] - before[1]) / 2 / count / 1024
    return {
        "connections": count,
        "userland_kb_per_conn": round(userland, 2),
        "kernel_kb_per_conn": None if kernel is None else round(kernel, 2),
        "all_in_kb_per_conn": None if kernel is None else round(userland + kernel, 2),
        "rss_before_mb": round(before[0] / 1e6, 1),
        "rss_after_mb": round(after[0] / 1e6, 1),
    }
