"""What is measured: pairs that exchange messages, idle connections, log-ins. Each on a fresh server.

The load runs in this process (the engine's threads, without the GIL), the server in another; its clocks are read at
the moments the load tells. Raises BenchError when anything was lost, doubled, answered wrongly or could not be
measured: figures of a broken server are none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iris import _engine
from iris.bench import probe
from iris.bench.errors import BenchError
from iris.bench.memory import Memory, figures, memory
from iris.bench.people import Person, register
from iris.bench.report import Progress, per, percentiles
from iris.bench.server import HOST, BenchServer

QUIET_S = 10.0  # how long the server may take to see that everybody left
SETTLE_S = 1.0
HOLD_PINGS_S = 20.0  # every connection is pinged once or twice in it: less says nothing of CPU
WARM_PEOPLE = 50  # who come and go before memory is looked at, so that what is made once is there
ACCEPTED = 'iris_messages_total{kind="accepted"}'


@dataclass(frozen=True, slots=True)
class Options:
    """What can be chosen on the command line."""

    folder: Path
    pairs: int = 100
    window: int = 1
    rate: int = 0
    seconds: float = 5.0
    warm: float = 1.0
    payload: int = 128
    ack_delay_ms: int = 20
    connections: int = 5000
    hold: float = 2.0
    users: int = 500
    rounds: int = 6
    concurrency: int = 32
    threads: int = 1


@dataclass(slots=True)
class Sample:
    """The server at one moment."""

    cpu: probe.Cpu
    metrics: dict[str, float]
    flushes: int | None


def pairs(options: Options, progress: Progress) -> dict[str, Any]:
    """Half of the users send to the other half: throughput, latency, server CPU per message."""
    pace = f"r{options.rate}" if options.rate else f"w{options.window}"
    with BenchServer(options.folder, {}) as server:
        people = register(server, 2 * options.pairs, progress)
        samples: dict[str, Sample] = {}

        def on_moment(moment: str, done: int) -> None:
            if moment == "measure":
                metrics = server.metrics()  # first: its own cost is not to be measured
                samples[moment] = Sample(probe.cpu(server.pid), metrics, probe.disk_flushes(server.folder))
            elif moment == "stop":
                clocks, flushes = probe.cpu(server.pid), probe.disk_flushes(server.folder)
                samples[moment] = Sample(clocks, server.metrics(), flushes)
            progress("messages" if "measure" in samples else "warming up", done)

        numbers = {
            "pairs": 1,
            "window": options.window,
            "rate": options.rate,
            "payload_bytes": options.payload,
            "warm_ms": int(options.warm * 1000),
            "measure_ms": int(options.seconds * 1000),
            "ack_delay_ms": options.ack_delay_ms,
        }
        result = _load(server, people, options, numbers, on_moment)
        after = server.metrics()
        faults = list(result["faults"])
        if after.get(ACCEPTED) != result["counts"]["accepted_total"]:
            faults.append(f"the server counts {after.get(ACCEPTED)} accepted messages, the clients {result['counts']}")
        _refuse(faults, server)
        configuration = _configuration(options, server, numbers)
        server.stop()
    return {
        "name": f"pairs-{options.pairs}-{pace}",
        **_message_figures(result, samples["measure"], samples["stop"]),
        "configuration": configuration,
        "histograms_ns": result["histograms"],
    }


def _message_figures(result: dict[str, Any], before: Sample, after: Sample) -> dict[str, Any]:
    counts, histograms = result["counts"], result["histograms"]
    accepted = counts.get("accepted", 0)
    if not accepted:
        raise BenchError("no message was accepted in the measured time: give it more --seconds")
    clocks = after.cpu - before.cpu
    seconds = histograms["measured"][-1][0] / 1e9
    ticks = clocks.user + clocks.system
    grown = {name: after.metrics[name] - before.metrics.get(name, 0.0) for name in after.metrics}
    syncs = int(grown["iris_store_syncs_total"])
    flushes = None if after.flushes is None or before.flushes is None else after.flushes - before.flushes
    return {
        "server_cpu_us_per_msg": per(clocks.total, accepted),
        **{f"{name}_cpu_us_per_msg": per(spent, accepted) for name, spent in sorted(clocks.threads.items())},
        "system_share": round(clocks.system / ticks, 3) if ticks else None,
        "msgs_per_s": round(accepted / seconds, 1),
        "messages": accepted,
        "seconds": round(seconds, 3),
        **percentiles(histograms.get("accepted", ()), "accepted_"),
        **percentiles(histograms.get("delivered", ())),
        **percentiles(histograms.get("receipted", ()), "receipt_"),
        "receipts_per_msg": round(counts.get("receipts", 0) / accepted, 3),
        "fsyncs": syncs,
        "msgs_per_fsync": round(accepted / syncs, 2) if syncs else None,
        "fsync_mean_ms": round(grown["iris_store_fsync_seconds_total"] * 1e3 / syncs, 3) if syncs else None,
        "rows_per_msg": round(grown["iris_store_rows_total"] / accepted, 2),
        "store_write_us_per_msg": per(grown["iris_store_write_seconds_total"], accepted),
        "disk_flushes": flushes,
        "gc_us_per_msg": per(grown["iris_gc_pause_seconds_sum"], accepted),
        "sent_total": counts["sent_total"],
        "accepted_total": counts["accepted_total"],
        "delivered_total": counts["delivered_total"],
        "refused": counts.get("refused", 0),
        "dropped": counts.get("dropped", 0),
    }


def idle(options: Options, progress: Progress) -> dict[str, Any]:
    """Connections that say nothing: memory per connection, of the server and of the kernel."""
    with BenchServer(options.folder, {}) as server:
        people = register(server, options.connections, progress)
        # A fresh process: what registering left behind would hide what connections need.
        server.stop()
        server.start()
        _load(server, people[:WARM_PEOPLE], options, {}, lambda moment, done: None)
        _wait_until_empty(server)
        time.sleep(SETTLE_S)
        before = memory(server.pid)
        held: list[Memory] = []
        clocks: list[tuple[float, probe.Cpu]] = []

        def on_moment(moment: str, done: int) -> None:
            progress("connections", done, len(people))
            if moment == "held":
                held.append(memory(server.pid))
            if moment in ("arrived", "held"):
                clocks.append((time.monotonic(), probe.cpu(server.pid)))

        numbers = {"hold_ms": int(options.hold * 1000)}
        result = _load(server, people, options, numbers, on_moment)
        _refuse(result["faults"], server)
        configuration = _configuration(options, server, numbers)
        server.stop()
    count = len(people)
    (start, then), (end, now) = clocks
    silence = 0.0 if options.hold < HOLD_PINGS_S else count * (end - start)
    return {
        "name": "idle",
        "connections": count,
        **figures(count, before, held[0]),
        **idle_cpu(now - then, silence),
        **percentiles(result["histograms"]["login"], "login_"),
        "configuration": configuration,
    }


def idle_cpu(spent: probe.Cpu, silence: float) -> dict[str, float | None]:
    """µs for a connection and a second of its silence, by group of threads; None where there was too little silence."""
    groups = {"": spent.total, **{f"{name}_": seconds for name, seconds in sorted(spent.threads.items())}}
    return {
        f"idle_{name}cpu_us_per_conn_s": round(seconds * 1e6 / silence, 2) if silence else None
        for name, seconds in groups.items()
    }


def login(options: Options, progress: Progress) -> dict[str, Any]:
    """Full log-ins (TCP, TLS handshake, upgrade, Hello, session): server CPU for each."""
    total = options.users * options.rounds
    with BenchServer(options.folder, {}) as server:
        people = register(server, options.users, progress)
        spent: list[probe.Cpu] = []
        started: list[probe.Cpu] = []
        walls: list[float] = []

        def on_moment(moment: str, done: int) -> None:
            progress("log-ins", done, total)
            if moment == "round":
                _wait_until_empty(server)
                walls.append(-time.monotonic())
                started.append(probe.cpu(server.pid))
            elif moment == "arrived":
                spent.append(probe.cpu(server.pid) - started.pop())
                walls[-1] += time.monotonic()

        numbers = {"rounds": options.rounds}
        result = _load(server, people, options, numbers, on_moment)
        _refuse(result["faults"], server)
        if result["counts"]["arrived"] != total:
            raise BenchError(f"{result['counts']['arrived']} of {total} log-ins", server.output)
        configuration = _configuration(options, server, numbers)
        server.stop()
    cpu = sum(one.total for one in spent)
    groups = {name: sum(one.threads.get(name, 0.0) for one in spent) for name in spent[0].threads}
    return {
        "name": "login",
        "logins": total,
        "server_cpu_us": per(cpu, total),
        **{f"{name}_cpu_us": per(seconds, total) for name, seconds in sorted(groups.items())},
        "per_s_per_core": round(total / cpu, 1),
        "per_s": round(total / sum(walls), 1),
        **percentiles(result["histograms"]["login"], "login_"),
        "configuration": configuration,
        "histograms_ns": result["histograms"],
    }


def _load(
    server: BenchServer,
    people: Sequence[Person],
    options: Options,
    numbers: dict[str, int],
    on_moment: Callable[[str, int], None],
) -> dict[str, Any]:
    try:
        return _engine.load(
            host=HOST,
            port=server.port,
            root=server.root,
            tokens=[person.token for person in people],
            users=[person.user for person in people],
            numbers={"threads": options.threads, "concurrency": options.concurrency, **numbers},
            on_moment=on_moment,
        )
    except OSError as error:
        raise BenchError(f"the server cannot be reached: {error}", server.output) from error


def _refuse(faults: Sequence[str], server: BenchServer) -> None:
    if faults:
        raise BenchError("the server broke its promises, there are no figures", "\n".join([*faults, server.output]))


def _wait_until_empty(server: BenchServer) -> None:
    """Until the server has seen that everybody left."""
    deadline = time.monotonic() + QUIET_S
    while server.metrics().get("iris_sessions"):
        if time.monotonic() > deadline:
            raise BenchError(f"sessions are left {QUIET_S:.0f} s after all connections were closed", server.output)
        time.sleep(0.05)


def _configuration(options: Options, server: BenchServer, numbers: dict[str, int]) -> dict[str, Any]:
    folder = server.folder
    shared = {"threads": options.threads, "concurrency": options.concurrency}
    if "pairs" in numbers:
        shared["pairs"] = options.pairs
    return {
        "server": " ".join(word.replace(str(folder), "DIR") for word in server.command()[1:]),
        "load": {**numbers, **shared},
        "tls": "1.3, full handshakes",
        "file_system": probe.file_system(folder),
    }


def quick(options: Options) -> Options:
    """The same with less of everything: to see that it works, not for figures."""
    return replace(options, pairs=20, seconds=2.0, warm=0.5, connections=200, users=50, rounds=2)
