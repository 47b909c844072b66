"""`python -m iris_torture.soak --seconds 600`: does a server stay as it was, and lose nothing, under load with churn?

It starts `iris serve` (a process; nothing of it is imported) with a data folder of its own, runs the torture driver on
it with faults and bad clients, measures it every second, and judges both: the record as `iris torture` does, the
measurements by their trend.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from iris_torture import pests
from iris_torture.adapter import TargetError
from iris_torture.crew import Where
from iris_torture.driver import Driver, Outcome, Plan
from iris_torture.faults import FAULTS, named
from iris_torture.history import Entry, Tail
from iris_torture.judge import PROMISES
from iris_torture.samples import Sampler
from iris_torture.trend import SAMPLES_MIN, Tolerance, Trend, sparkline, trend
from iris_torture.worker import ADAPTERS

FLAT, GROWS, COULD_NOT_RUN = 0, 1, 2
SAMPLE_S = 1.0
TIMES_JUDGED_FROM_S = 240.0
PESTS_PER_SECOND = 3.0
SETTINGS = ("limits.logins_per_address_per_minute_max=100000",)  # all users come from one address
TOLERANCES = {
    "file descriptors": Tolerance(0.1, 24, "devices and bad clients come and go; RocksDB keeps its files open"),
    "threads": Tolerance(0.0, 2, "pools are full after the warm-up"),
    "memory, MB": Tolerance(0.05, 200, "RocksDB fills memtables (16 of 8 MiB) and its cache (64 MiB), and keeps them"),
    "… the rest, MB": Tolerance(0.05, 40, "the allocator keeps flushed memtables (32 MiB); rows have limits"),
    "queued items": Tolerance(0.5, 200, "a burst is 40 messages, and some devices are away"),
    "loop lag, ms": Tolerance(1.0, 10, "other work on the machine"),
    "commit to durable, ms": Tolerance(1.0, 20, "the disk is shared"),
    "sending to accepted, ms": Tolerance(1.0, 100, "faults are at random; the medians of some seconds differ much"),
}


@dataclass
class Result:
    """What a soak found."""

    outcome: Outcome
    sampler: Sampler
    trends: list[Trend]
    server_exit: int
    difference: float  # of the server's own balance of messages; 0: every row is accounted for

    @property
    def good(self) -> bool:
        flat = all(one.flat for one in self.trends)
        return self.outcome.verdict.clean and flat and self.server_exit == 0 and self.difference == 0


class Served:
    """An `iris serve` of our own."""

    def __init__(self, folder: Path, settings: tuple[str, ...] = ()) -> None:
        words = [sys.executable, "-m", "iris", "serve", "--data", str(folder / "data"), "--listen", "127.0.0.1:0"]
        words += ["--password-profile", "cheap", "--log-format", "json"]
        for setting in (*SETTINGS, *settings):
            words += ["--set", setting]
        self.log = folder / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                words, stdout=log, stderr=subprocess.STDOUT, cwd=folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )  # fmt: skip

    def wait_ready(self, seconds: float = 60.0) -> tuple[str, str]:
        """(URL, admin URL). Raises TargetError."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            said = self.log.read_text(encoding="utf-8", errors="replace")
            if admin := re.search(r"^iris: admin on (\S+)$", said, re.M):
                ready = re.search(r"^iris: ready on ws://(\S+)$", said, re.M)
                if ready:
                    return f"http://{ready[1]}", admin[1]
            time.sleep(0.05)
        raise TargetError(
            "iris serve did not start:\n" + self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        )

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[Served, str, str]]:
    """A server that ends with the block: (it, URL, admin URL)."""
    server = Served(folder)
    try:
        yield server, *server.wait_ready()
    finally:
        server.stop()


async def soak(folder: Path, plan: Plan, server: tuple[Served, str, str]) -> Result:
    """Run it. Raises TargetError when it cannot."""
    process, url, admin = server
    where = Where("iris", url, None, folder)
    driver = Driver(ADAPTERS["iris"](url, None), where, plan, _show)
    sampler = Sampler(process.process.pid, admin)
    chance = random.Random(plan.seed)
    pest = asyncio.create_task(pests.swarm(where.host, where.port, chance, PESTS_PER_SECOND))
    measuring = asyncio.create_task(_measure(sampler, driver, folder / "history"))
    try:
        outcome = await driver.run()
    finally:
        for task in (pest, measuring):
            task.cancel()
        await asyncio.wait([pest, measuring])
    difference = sampler.last.get("iris_conservation_difference", 0)
    trends = [trend(name, values, TOLERANCES[name]) for name, values in _judged(sampler)]
    return Result(outcome, sampler, trends, await asyncio.to_thread(process.stop), difference)


def _judged(sampler: Sampler) -> list[tuple[str, list[float]]]:
    """What is judged: times only of a long run; single faults and other work on the machine move a short one's."""
    found = [(name, sampler.series[name]) for name in TOLERANCES if len(sampler.series.get(name, ())) >= SAMPLES_MIN]
    long = max((len(values) for _, values in found), default=0) * SAMPLE_S >= TIMES_JUDGED_FROM_S
    return [(name, values) for name, values in found if long or not name.endswith(", ms")]


async def _measure(sampler: Sampler, driver: Driver, history: Path) -> None:
    """While the load is on: from the first talk to the calm."""
    tail = Tail(history)
    while not driver.talking:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    waiting: dict[str, int] = {}
    while not driver.calm.is_set():
        times = sorted(_accepted(tail.new(), waiting))
        await asyncio.to_thread(sampler.sample, times[len(times) // 2] if times else None)
        await asyncio.sleep(SAMPLE_S)


def _accepted(entries: list[Entry], waiting: dict[str, int]) -> Iterator[float]:
    """Milliseconds from queued to accepted, for those that were accepted now."""
    for entry in entries:
        if entry.what == "queued":
            waiting[entry.data["id"]] = entry.t
        elif entry.what == "state" and (since := waiting.pop(entry.data["id"], None)) is not None:
            yield (entry.t - since) / 1e6


def table(result: Result) -> str:
    """What a person reads."""
    counts, outcome = result.outcome.verdict.counts, result.outcome
    lines = [
        f"# Soak: {'flat, nothing lost' if result.good else 'NOT GOOD'}", "",
        f"{outcome.seconds:.0f} s; {counts['sent']:,} messages sent, {counts['accepted']:,} accepted, "
        f"{counts['shown']:,} shown on {counts['devices']} devices; {sum(outcome.faults.values()):,} faults, "
        f"{outcome.connections:,} connections of clients.", "",
        "| measured | first third | second | last | allowed | verdict | course |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for one in result.trends:
        course = sparkline(result.sampler.series[one.name])
        lines.append(
            f"| {one.name} | {one.early:.1f} | {one.middle:.1f} | {one.late:.1f} | {one.allowed:.1f} "
            f"| {'flat' if one.flat else '**grows**'} | {course} |"
        )
    for name, values in result.sampler.series.items():
        if name not in {one.name for one in result.trends}:
            lines.append(f"| {name} | | | {values[-1]:.0f} | | not judged | {sparkline(values)} |")
    lines += ["", f"The server's own balance differs by {result.difference:.0f}; it ended with {result.server_exit}."]
    for promise, words in PROMISES.items():
        if found := outcome.verdict.of(promise):
            lines.append(f"**{words}: broken {len(found)} times**, first: {found[0].why}")
    if outcome.trouble:
        lines.append("Trouble of the clients: " + "; ".join(outcome.trouble[:10]))
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Parse, run, print."""
    options = parser().parse_args(argv)
    plan = Plan(
        minutes=options.seconds / 60, users=options.users, devices=options.devices, seed=options.seed,
        rate=options.rate, faults=tuple(named(options.faults)), fault_every_s=1.0,
    )  # fmt: skip
    try:
        with tempfile.TemporaryDirectory(prefix="iris-soak-") as temporary:
            folder = Path(options.keep or temporary).absolute()
            folder.mkdir(parents=True, exist_ok=True)
            with served(folder) as server:
                result = asyncio.run(soak(folder, plan, server))
    except KeyboardInterrupt:
        return COULD_NOT_RUN
    except (TargetError, OSError, ValueError) as error:
        sys.stderr.write(f"\nsoak: could not run: {error}\n")
        return COULD_NOT_RUN
    text = table(result)
    sys.stdout.write("\n" + text)
    if options.out:
        Path(options.out).write_text(text, encoding="utf-8")
    return FLAT if result.good else GROWS


def _show(line: str) -> None:
    end = "\r" if sys.stderr.isatty() else "\n"
    sys.stderr.write(f"soak: {line:<90}{end}")
    sys.stderr.flush()


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="python -m iris_torture.soak", description="Load with churn; is everything flat?"
    )
    add = made.add_argument
    add("--seconds", type=float, default=600.0, metavar="S", help="length of the load [600]")
    add("--users", type=int, default=4, metavar="N", help="users [4]")
    add("--devices", type=int, default=3, metavar="D", help="devices of each at first [3]; a fourth comes and goes")
    add("--rate", type=float, default=0.5, metavar="R", help="sendings a second and device, of 1 to 40 messages [0.5]")
    add("--seed", type=int, default=1, metavar="S", help="who does what when [1]")
    add("--faults", default="all", metavar="LIST", help=f"names with commas, or -name: {', '.join(FAULTS)} [all]")
    add("--keep", metavar="DIR", help="keep data, record and logs here; an empty folder")
    add("--out", metavar="FILE", help="write the table here too")
    return made


if __name__ == "__main__":
    sys.exit(main())
