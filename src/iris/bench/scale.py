"""`iris bench scale`: what a message costs as connections, a mailbox, the stored data and the hours grow."""

from __future__ import annotations

import resource
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from iris.bench import probe
from iris.bench.beside import Beside
from iris.bench.curves import COST, LATENCY, MEMORY, SETTLED_COST, SETTLED_LATENCY, Curve, curve
from iris.bench.errors import BenchError
from iris.bench.fill import fill, folder_bytes
from iris.bench.options import Options
from iris.bench.pairs import message_figures, message_numbers
from iris.bench.report import Progress, per, percentiles
from iris.bench.server import BenchServer
from iris.bench.stage import Sample, Stage, load, refuse
from iris.bench.suite import outcome

CURVES = ("connections", "backlog", "stored", "sustained")
ARRIVAL_CONCURRENCY = 64
HOLD_MORE_S = 4.0  # that idle connections stay, beyond what the pairs need
FILES_OF_SERVER = 1000  # open files of the server, or of the load, that are no connections of this
SETTLE_LOOK_S, SETTLE_SHARE, SETTLE_S_MAX = 2.0, 0.02, 300.0
MB_IN_GB = 0.001  # a fresh store counts as a MB
DISK_PARTS = 3  # compaction may need a second copy of what it compacts, and the machine some room


@dataclass(frozen=True, slots=True)
class ScaleSizes:
    """How far each curve goes. stored_gb: as much, or what the disk has room for; register_s: when it is over, fewer
    connections must do."""

    curves: tuple[str, ...] = CURVES
    connections: tuple[int, ...] = (100, 1_000, 5_000, 10_000, 20_000, 50_000)
    backlog: int = 100_000
    stored_gb: tuple[float, ...] = (0.0, 1.0, 4.0, 10.0)
    windows: int = 10
    window_s: float = 60.0
    register_s: float = 480.0


QUICK_SCALE = ScaleSizes(
    connections=(100, 400, 1_000), backlog=4_000, stored_gb=(0.0, 0.1, 0.4), windows=5, window_s=4.0, register_s=60.0
)


def scale(options: Options, sizes: ScaleSizes, progress: Progress) -> list[Curve]:
    """Each curve on a server of its own. One that fails has its `error` instead of points; the others go on."""
    plays: dict[str, Callable[[Stage, Options, ScaleSizes], Curve]] = {
        "connections": connections,
        "backlog": backlog,
        "stored": stored,
        "sustained": sustained,
    }

    def play(name: str) -> Curve:
        with BenchServer(options.folder, {}) as server:
            found = plays[name](Stage(server, progress), options, sizes)
            server.stop()
        return found

    return [outcome(f"scale-{name}", partial(play, name)) for name in sizes.curves]


def connections(stage: Stage, options: Options, sizes: ScaleSizes) -> Curve:
    """Pairs by the clock beside more and more connections that say nothing."""
    talkers = 2 * options.pairs
    wanted, limit = cut_to(sizes.connections, _files() - FILES_OF_SERVER - talkers)
    reason = f"a process may have {_files():,} open files" if limit else None
    live_users = talkers * len(wanted)
    made = stage.reserve(live_users + wanted[-1], time.monotonic() + sizes.register_s) - live_users
    if made < wanted[-1]:
        wanted, _ = cut_to(wanted, made)
        reason = f"{made:,} users were made in {sizes.register_s:.0f} s"
    points = [{"x": count, **_beside_idle(stage, options, count)} for count in wanted]
    return curve("connections", "idle connections", points, (COST, LATENCY), limit=reason, **_ran(stage, options))


def cut_to(counts: Sequence[int], room: int) -> tuple[list[int], bool]:
    """The counts that fit, with the room itself as the last one where something does not; whether that is so."""
    fit = [count for count in counts if count <= room]
    cut = len(fit) < len(counts)
    if cut and room not in fit:
        fit.append(room)
    if fit[0] < 1:
        raise BenchError(f"there is room for {room} connections")
    return fit, cut


def _beside_idle(stage: Stage, options: Options, count: int) -> dict[str, Any]:
    talkers = stage.take(2 * options.pairs)
    idle = stage.borrow(count)
    stage.restart()
    arrived = threading.Event()

    def on_moment(moment: str, done: int) -> None:
        if moment == "arrived":
            arrived.set()

    hold = int(1000 * (options.warm + options.seconds + HOLD_MORE_S))
    many = replace(options, concurrency=ARRIVAL_CONCURRENCY)
    beside = Beside(stage, idle, many, {"hold_ms": hold}, on_moment)
    beside.start()
    try:
        beside.wait_for(arrived)
        point = live(stage, talkers, options, f"beside {count:,} connections: messages")
    finally:
        beside.join()
    refuse(beside.result()["faults"], stage.server)
    return point


def live(stage: Stage, people: Sequence[Any], options: Options, what: str) -> dict[str, Any]:
    """Pairs on the server as it is: CPU per message, times, memory at the end."""
    server = stage.server
    samples: dict[str, Sample] = {}

    def on_moment(moment: str, done: int) -> None:
        if moment in ("measure", "stop"):
            samples[moment] = stage.sample(metrics_first=moment == "measure")
        stage.progress(what, done)

    result = load(server, people, options, message_numbers(options), on_moment)
    refuse(result["faults"], server)
    return {
        **message_figures(result, samples["measure"], samples["stop"]),
        MEMORY: round(probe.rss_bytes(server.pid) / 1e6, 1),
        "histograms_ns": result["histograms"],
    }


def backlog(stage: Stage, options: Options, sizes: ScaleSizes) -> Curve:
    """One mailbox, to which more and more comes that nobody takes; a point for each tenth of it."""
    server = stage.server
    people = stage.take(2)
    stage.restart()
    clocks: list[probe.Cpu] = []
    memory: list[int] = []
    taking: dict[str, probe.Cpu] = {}

    def on_moment(moment: str, done: int) -> None:
        if moment in ("arrived", "tenth") and "measure" not in taking:
            clocks.append(probe.cpu(server.pid))
            memory.append(probe.rss_bytes(server.pid))
        elif moment in ("measure", "stop"):
            taking[moment] = probe.cpu(server.pid)
        stage.progress(f"messages in one mailbox, tenths of {sizes.backlog:,}", max(0, len(clocks) - 1), 10)

    result = load(server, people, options, {"backlog": sizes.backlog, "payload_bytes": options.payload}, on_moment)
    refuse(result["faults"], server)
    points = backlog_points(sizes.backlog, clocks, memory, result["histograms"])
    taken = result["counts"]["delivered_total"]
    return curve(
        "backlog",
        "messages that wait",
        points,
        (COST, LATENCY, MEMORY),
        taken=taken,
        taken_cpu_us_per_msg=per((taking["stop"] - taking["measure"]).total, taken),
        taken_s=round(result["histograms"]["measured"][-1][0] / 1e9, 2),
        **_ran(stage, options),
    )


def backlog_points(
    backlog: int, clocks: Sequence[probe.Cpu], memory: Sequence[int], histograms: dict[str, Any]
) -> list[dict[str, Any]]:
    """A point for each tenth, from the clocks at its ends. Times are from when a message was due to its Accepted."""
    tenths = len(clocks) - 1
    if tenths != 10:
        raise BenchError(f"{tenths} tenths of the backlog were told: it needs 10 messages at least")
    points = []
    for tenth in range(10):
        spent = clocks[tenth + 1] - clocks[tenth]
        count = sum(count for _, count in histograms[f"accepted_{tenth}"])
        points.append(
            {
                "x": backlog * (tenth + 1) // 10,
                COST: per(spent.total, count),
                **{f"{name}_cpu_us_per_msg": per(seconds, count) for name, seconds in sorted(spent.threads.items())},
                **percentiles(histograms[f"accepted_{tenth}"]),
                MEMORY: round(memory[tenth + 1] / 1e6, 1),
            }
        )
    return points


def stored(stage: Stage, options: Options, sizes: ScaleSizes) -> Curve:
    """Pairs right after the start on more and more data: what is still to be compacted is compacted beside them."""
    server = stage.server
    folder = server.folder / "data" / "store"
    talkers = [(stage.take(2 * options.pairs), stage.take(2 * options.pairs)) for _ in sizes.stored_gb]
    most = shutil.disk_usage(server.folder).free / DISK_PARTS / 1e9
    own, put, points = folder_bytes(folder) / 1e9, 0.0, []
    for size, (first, second) in zip((min(size, most) for size in sizes.stored_gb), talkers, strict=True):
        server.stop()
        began = time.monotonic()
        rows = fill(folder, int((size - put) * 1e9), stage.progress) if size > put else 0
        put, filled = size, time.monotonic()
        server.start()
        started = time.monotonic()
        point = live(stage, first, options, f"on {size:.1f} GB: messages")
        settled_s = wait_until_settled(server.pid)
        settled: dict[str, Any] = {}
        if settled_s is not None:
            settled = live(stage, second, options, f"on {size:.1f} GB, settled: messages")
        points.append(
            {
                "x": round(max(own, MB_IN_GB) + put, 3),
                "folder_gb": round(folder_bytes(folder) / 1e9, 3),
                "rows_added": rows,
                "fill_s": round(filled - began, 1),
                "start_s": round(started - filled, 2),
                **point,
                "settled_after_s": settled_s,
                SETTLED_COST: settled.get(COST),
                SETTLED_LATENCY: settled.get(LATENCY),
            }
        )
    limit = None if most >= sizes.stored_gb[-1] else f"the disk has room for {most:.1f} GB"
    figures = (COST, LATENCY, SETTLED_COST, SETTLED_LATENCY, MEMORY)
    return curve("stored", "GB stored", points, figures, limit=limit, **_ran(stage, options))


def wait_until_settled(pid: int) -> float | None:
    """Until the store's threads have next to nothing to do; how long that took, in s. None: they are busy still."""
    began = time.monotonic()
    while time.monotonic() - began < SETTLE_S_MAX:
        before = probe.cpu(pid)
        time.sleep(SETTLE_LOOK_S)
        if (probe.cpu(pid) - before).threads.get("rocksdb", 0.0) < SETTLE_SHARE * SETTLE_LOOK_S:
            return round(time.monotonic() - began, 1)
    return None


def sustained(stage: Stage, options: Options, sizes: ScaleSizes) -> Curve:
    """Pairs by the clock, window after window, on a server that goes on."""
    talkers = [stage.take(2 * options.pairs) for _ in range(sizes.windows)]
    stage.restart()
    timed = replace(options, seconds=sizes.window_s)

    def windows() -> Iterator[dict[str, Any]]:
        began = time.monotonic()
        for number, people in enumerate(talkers, 1):
            point = live(stage, people, timed, f"window {number} of {sizes.windows}: messages")
            yield {"x": round((time.monotonic() - began) / 60, 2), **point}

    points = list(windows())
    return curve("sustained", "minutes", points, (COST, LATENCY, MEMORY), **_ran(stage, timed))


def _ran(stage: Stage, options: Options) -> dict[str, Any]:
    return {"configuration": stage.configuration(options, message_numbers(options))}


def _files() -> int:
    """Open files that a process may have here; this one takes all that it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
