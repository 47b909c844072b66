"""Log-ins (TCP, TLS handshake, upgrade, Hello, session), with full handshakes or resumed ones: server CPU for each."""

from __future__ import annotations

import time
from typing import Any

from iris.bench import probe
from iris.bench.errors import BenchError
from iris.bench.options import Options
from iris.bench.report import per, percentiles
from iris.bench.stage import Stage, load, refuse

RESUMED = "iris_engine_resumed_total"


def login(stage: Stage, options: Options) -> dict[str, Any]:
    """All users log in, round after round."""
    total = options.users * options.rounds
    server = stage.server
    people = stage.borrow(options.users)
    stage.restart()
    spent: list[probe.Cpu] = []
    started: list[probe.Cpu] = []
    walls: list[float] = []

    def on_moment(moment: str, done: int) -> None:
        stage.progress("log-ins", done, total)
        if moment == "round":
            stage.wait_until_empty()
            walls.append(-time.monotonic())
            started.append(probe.cpu(server.pid))
        elif moment == "arrived":
            spent.append(probe.cpu(server.pid) - started.pop())
            walls[-1] += time.monotonic()

    # Resumed: the first round is full, to have sessions to resume; it does not count.
    first = int(options.resume)
    numbers = {"rounds": options.rounds + first, "resume": first}
    result = load(server, people, options, numbers, on_moment)
    refuse(result["faults"], server)
    arrived, resumed = result["counts"]["arrived"] - first * options.users, server.metrics()[RESUMED]
    if arrived != total or resumed != first * total:
        raise BenchError(f"{arrived} of {total} log-ins, {resumed:.0f} of them resumed", server.output)
    del spent[:first], walls[:first]
    cpu = sum(one.total for one in spent)
    groups = {name: sum(one.threads.get(name, 0.0) for one in spent) for name in spent[0].threads}
    return {
        "name": "login-resumed" if options.resume else "login",
        "logins": total,
        "server_cpu_us": per(cpu, total),
        **{f"{name}_cpu_us": per(seconds, total) for name, seconds in sorted(groups.items())},
        "per_s_per_core": round(total / cpu, 1),
        "per_s": round(total / sum(walls), 1),
        **percentiles(result["histograms"]["login"], "login_"),
        "configuration": stage.configuration(options, numbers),
        "histograms_ns": result["histograms"],
    }
