"""Log-ins (TCP, TLS handshake, upgrade, Hello, session), with full handshakes or resumed ones: server CPU for each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from iris.bench import probe
from iris.bench.errors import BenchError
from iris.bench.options import Options
from iris.bench.people import Person
from iris.bench.relay import Kind, Relay
from iris.bench.relay import people as relay_people
from iris.bench.report import Progress, per, percentiles
from iris.bench.stage import Stage, Target, load, load_configuration, refuse

RESUMED = "iris_engine_resumed_total"


@dataclass(frozen=True, slots=True)
class LogIns:
    """What rounds of log-ins took. result: what the load counted."""

    spent: list[probe.Cpu]  # of each round
    seconds: float
    result: dict[str, Any]
    numbers: dict[str, int]


def login(stage: Stage, options: Options) -> dict[str, Any]:
    """All users log in, round after round."""
    server = stage.server
    people = stage.borrow(options.users)
    stage.restart()
    total = options.users * options.rounds
    logins = log_in(server, people, options, stage.progress)
    resumed = server.metrics()[RESUMED]
    if resumed != _uncounted(options) * total:
        raise BenchError(f"{resumed:.0f} of {total} log-ins were resumed", server.output)
    return {
        **figures("login-resumed" if options.resume else "login", logins, total),
        "per_s": round(total / logins.seconds, 1),
        "configuration": stage.configuration(options, logins.numbers),
    }


def login_floor(kind: Kind, options: Options, progress: Progress) -> dict[str, Any]:
    """The same log-ins at a relay, which checks no token and knows no session."""
    total = options.users * options.rounds
    with Relay(kind, options.folder) as relay:
        people = relay_people(options.users)
        logins = log_in(relay, people, options, progress)
    return {
        **figures(f"floor-{kind}-login", logins, total),
        "configuration": load_configuration(options, logins.numbers),
    }


def log_in(target: Target, people: Sequence[Person], options: Options, progress: Progress) -> LogIns:
    """Rounds of log-ins, and the target's CPU in each."""
    total = options.users * options.rounds
    spent: list[probe.Cpu] = []
    started: list[probe.Cpu] = []
    walls: list[float] = []

    def on_moment(moment: str, done: int) -> None:
        progress("log-ins", done, total)
        if moment == "round":
            target.wait_until_empty()
            walls.append(-time.monotonic())
            started.append(probe.cpu(target.pid))
        elif moment == "arrived":
            spent.append(probe.cpu(target.pid) - started.pop())
            walls[-1] += time.monotonic()

    first = _uncounted(options)
    numbers = {"rounds": options.rounds + first, "resume": first}
    result = load(target, people, options, numbers, on_moment)
    refuse(result["faults"], target)
    arrived = result["counts"]["arrived"] - first * options.users
    if arrived != total:
        raise BenchError(f"{arrived} of {total} log-ins", target.output)
    return LogIns(spent[first:], sum(walls[first:]), result, numbers)


def figures(name: str, logins: LogIns, total: int) -> dict[str, Any]:
    """CPU for one of `total` log-ins, by group of threads."""
    cpu = sum(one.total for one in logins.spent)
    groups = {name: sum(one.threads.get(name, 0.0) for one in logins.spent) for name in logins.spent[0].threads}
    return {
        "name": name,
        "logins": total,
        "server_cpu_us": per(cpu, total),
        **{f"{name}_cpu_us": per(seconds, total) for name, seconds in sorted(groups.items())},
        "per_s_per_core": round(total / cpu, 1),
        **percentiles(logins.result["histograms"]["login"], "login_"),
        "round_trips": logins.result["counts"]["round_trips"],  # the most of any
        "histograms_ns": logins.result["histograms"],
    }


def _uncounted(options: Options) -> int:
    """Rounds before those that count: a full one, to have sessions to resume."""
    return int(options.resume)
