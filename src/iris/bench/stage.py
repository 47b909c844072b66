"""Where scenarios play: a server, its users, and the load that drives them.

The load runs in this process (the engine's threads, without the GIL), the server in another; its clocks are read at
the moments the load tells. Raises BenchError when anything was lost, doubled, answered wrongly or could not be
measured: figures of a broken server are none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from iris import _engine
from iris.bench import probe
from iris.bench.errors import BenchError
from iris.bench.options import Options
from iris.bench.people import Person, register
from iris.bench.report import Progress
from iris.bench.server import HOST, BenchServer

OnMoment = Callable[[str, int], None]


class Target(Protocol):
    """What a load can be sent to."""

    @property
    def pid(self) -> int:
        """Of the process whose clocks and memory are read."""

    @property
    def port(self) -> int:
        """Where it listens, on loopback."""

    @property
    def root(self) -> bytes:
        """The certificate to trust, in DER."""

    @property
    def output(self) -> str:
        """The last lines that it printed."""

    def wait_until_empty(self) -> None:
        """Until it has seen that everybody left. Raises BenchError."""


@dataclass(slots=True)
class Sample:
    """The server at one moment."""

    cpu: probe.Cpu
    metrics: dict[str, float]
    flushes: int | None


class Stage:
    """A server whose users are made once and taken by one scenario after the other."""

    def __init__(self, server: BenchServer, progress: Progress) -> None:
        self.server = server
        self.progress = progress
        self._people: list[Person] = []
        self._taken = 0
        self._with_devices: Counter[int] = Counter()

    @property
    def left(self) -> int:
        """Users that nobody has taken."""
        return len(self._people) - self._taken

    def reserve(self, count: int, deadline: float | None = None) -> int:
        """Make users until so many are left, or the monotonic time is `deadline`; how many are left then."""
        missing = count - self.left
        if missing > 0:
            first = len(self._people)
            self._people += register(self.server, missing, self.progress, first=first, deadline=deadline)
        return self.left

    def borrow(self, count: int) -> list[Person]:
        """Users to whom no message has come, and none must: another scenario may have them after this one."""
        self.reserve(count)
        return self._people[self._taken : self._taken + count]

    def take(self, count: int) -> list[Person]:
        """Users whom nobody else has or will have."""
        people = self.borrow(count)
        self._taken += count
        return people

    def take_with_devices(self, count: int, devices: int) -> list[Person]:
        """New users with so many devices each; the devices of one follow each other."""
        first = self._with_devices[devices]
        self._with_devices[devices] += count
        return register(self.server, count, self.progress, first=first, devices=devices)

    def restart(self) -> None:
        """A fresh process: what came before is on disk only, and hides nothing that is to be measured."""
        self.server.stop()
        self.server.start()

    def sample(self, *, metrics_first: bool) -> Sample:
        """The server now. Reading the metrics costs it some CPU: first before a measurement, last after it."""
        metrics = self.server.metrics() if metrics_first else {}
        clocks, flushes = probe.cpu(self.server.pid), probe.disk_flushes(self.server.folder)
        return Sample(clocks, metrics or self.server.metrics(), flushes)

    def configuration(self, options: Options, numbers: dict[str, int]) -> dict[str, Any]:
        """What a scenario ran with."""
        folder = self.server.folder
        return {
            "server": " ".join(word.replace(str(folder), "DIR") for word in self.server.command()[1:]),
            "file_system": probe.file_system(folder),
            **load_configuration(options, numbers),
        }


def load_configuration(options: Options, numbers: dict[str, int]) -> dict[str, Any]:
    """What the load was told."""
    shared = {"threads": options.threads, "concurrency": options.concurrency}
    if "pairs" in numbers:
        shared["pairs"] = options.pairs
    handshakes = "resumed" if numbers.get("resume") else "full"
    return {"load": {**numbers, **shared}, "tls": "none" if numbers.get("plain") else f"1.3, {handshakes} handshakes"}


def load(
    target: Target, people: Sequence[Person], options: Options, numbers: dict[str, int], on_moment: OnMoment
) -> dict[str, Any]:
    """Run the load and give what it counted; its faults are the caller's to judge."""
    try:
        found = _engine.load(
            host=HOST,
            port=target.port,
            root=target.root,
            tokens=[person.token for person in people],
            users=[person.user for person in people],
            numbers={"threads": options.threads, "concurrency": options.concurrency, **numbers},
            on_moment=on_moment,
        )
    except OSError as error:
        raise BenchError(f"the server cannot be reached: {error}", target.output) from error
    trips = found["histograms"].pop("round_trips", ())  # the only one that is no time
    found["counts"]["round_trips"] = max((trips_of_one for trips_of_one, _ in trips), default=0)
    return found


def refuse(faults: Sequence[str], target: Target) -> None:
    """Raise BenchError when there are faults."""
    if faults:
        raise BenchError("the server broke its promises, there are no figures", "\n".join([*faults, target.output]))
