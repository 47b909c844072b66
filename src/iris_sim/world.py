"""A whole Iris in virtual time: servers, the ways between them, people with devices, and what a plan does to them.

One heap of events (µs, in order of making for equal times) drives everything; no socket, task, thread or clock. Equal
plans give equal runs, whatever PYTHONHASHSEED says. `run` goes through the phases of a run: people register and link,
the plan's steps happen, faults end and everything comes to rest, some vanish, all leave. See docs/simulator.md.
"""

from __future__ import annotations

import heapq
import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from iris.core.ids import shard_of
from iris_sdk.catalogue import Limits as SdkLimits
from iris_sdk.core import State
from iris_sim import faults, operations
from iris_sim.client import Device
from iris_sim.network import Conn, Link
from iris_sim.observer import Observer, Step, Violation
from iris_sim.people import KEY, KID, Api, User
from iris_sim.plan import SECOND, Plan
from iris_sim.record import Record
from iris_sim.server import Process, Server
from iris_sim.trace import Trace

NAMES = ("ada", "bob", "cyn", "dan", "eve", "fay", "gus", "hal")
EVENTS_MAX: Final = 300_000  # a run with more will never end
START_MAX = 60 * SECOND  # until everybody is there
REST_MAX = 130 * SECOND  # until everything has come to rest after the last fault, or at least one more message went
REST_PROGRESS_MAX = 1_200 * SECOND
LOOK = 2 * SECOND  # between two looks whether it has
VANISH = 31 * SECOND
LEAVE = 13 * SECOND
LEAVE_LOSSES = 3 * SECOND, 0.5  # at first so many batches between servers are lost, in worlds that know such losses


def _product_raised(error: BaseException) -> bool:
    """Whether the product raised it, and not the simulator: by the innermost frame of either."""
    frames = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    packages = [name.partition(".")[0] for name in frames]
    ours = [name for name in packages if name in ("iris", "iris_sdk", "iris_sim")]
    return bool(ours) and ours[-1] != "iris_sim"


class World:
    """See the module's text."""

    def __init__(self, plan: Plan, observer: Observer, *, full_trace: bool = False) -> None:
        self.plan = plan
        self.seed = plan.seed
        self.limits = plan.limits_made()
        shared = SdkLimits.__dataclass_fields__.keys() & dict(plan.limits).keys()
        self.sdk_limits = SdkLimits(**{name: value for name, value in plan.limits if name in shared})
        self.now = 0  # µs since the world began
        self.healing = False  # faults are over
        self.troubled = 0  # µs of the last moment at which something between or in servers was slow, lost or down
        self.counts: Counter[str] = Counter()  # operations and faults done, by kind
        self.leaps: list[tuple[int, int]] = []  # (µs, ms): when days passed at once, and how much
        self.chance = random.Random(plan.seed * 64 + 1)
        self.trace = Trace(full=full_trace)
        self.observer = observer
        self.watch = Record(self, observer)
        self.users: list[User] = []
        self.by_id: dict[bytes, User] = {}
        self.devices: list[Device] = []
        self.edges: dict[int, Process] = {}
        self.periods: list[Callable[[], None]] = []  # ends of faults that are not over
        self.api = Api(self)
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._ties = self._conns = self._ids = self._events = 0
        self._owners: dict[bytes, int] = {}
        nodes = range(plan.nodes)
        self.links = [[self._link(one, other) for other in nodes] for one in nodes]
        self.servers = [Server(self, number) for number in nodes]

    def _link(self, one: int, other: int) -> Link:
        way = 3 if one == other else self.plan.near
        return Link(self, way, random.Random(self.plan.seed * 64 + 32 + 4 * one + other))

    # --- time ---
    @property
    def ms(self) -> int:
        return self.now // 1000

    def at(self, when: int, call: Callable[..., None], *args: Any) -> None:
        """Call call(*args) at this time, µs."""
        self._ties += 1
        heapq.heappush(self._heap, (when, self._ties, call, args))

    def after(self, delay: int, call: Callable[..., None], *args: Any) -> None:
        """Call call(*args) after so many µs."""
        self._ties += 1
        heapq.heappush(self._heap, (self.now + delay, self._ties, call, args))

    def run_until(self, end: int) -> None:
        """Everything up to this time happens."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= end:
            when, _, call, args = pop(heap)
            if when > self.now:
                self.now = when
            self._events += 1
            if self._events > EVENTS_MAX:
                raise Violation("SIM-LIVE", f"more than {EVENTS_MAX} events: something goes round for ever")
            call(*args)
            if self.now > end:
                end = self.now  # days have passed at once
        self.now = max(self.now, end)

    def leap(self, ms: int) -> None:
        """Time passes at once, as for machines that sleep."""
        self.leaps.append((self.now, ms))
        self.trouble()
        self.now += ms * 1000
        self.trouble()

    # --- what the parts need ---
    def keys(self) -> dict[str, bytes]:
        return {KID: KEY}

    def owner(self, unit: bytes) -> int:
        """The server that owns a unit."""
        found = self._owners.get(unit)
        if found is None:
            found = self._owners[unit] = shard_of(unit, self.plan.num_shards) % self.plan.nodes
        return found

    def by_owner(self, units: Iterable[tuple[bytes, Any]]) -> list[tuple[int, list[tuple[bytes, Any]]]]:
        """The commands for each server."""
        found: dict[int, list[tuple[bytes, Any]]] = {}
        for entry in units:
            found.setdefault(self.owner(entry[0]), []).append(entry)
        return list(found.items())

    def trouble(self) -> None:
        """Something between or in servers is not well now."""
        self.troubled = self.now

    def mistaken(self, mistakes: list[str]) -> None:
        """An edge has caught an exception of its own."""
        raise Violation("SIM-EXC", mistakes[0])

    def new_id(self) -> bytes:
        """16 bytes that were never given before: of a message."""
        self._ids += 1
        return b"\xff" * 8 + self._ids.to_bytes(8, "big")

    def new_user_id(self) -> bytes:
        self._ids += 1
        return b"\x00\x01" + self.chance.randbytes(4) + self._ids.to_bytes(10, "big")

    def choose_server(self, device: Device) -> tuple[int, Process | None]:
        """Where a balancer sends a new connection; None when nobody is there."""
        server = self.servers[device.chance.randrange(self.plan.nodes)]
        if not server.alive or server.process.paused:
            return server.number, None
        return server.number, server.process

    def open(self, device: Device, process: Process) -> Conn:
        self._conns += 1
        conn = Conn(self, self._conns, device, process, self.plan.far // 2 + device.chance.randrange(self.plan.far))
        process.conns[conn.number] = conn
        self.watch.opened(device, conn.number, process.server.number)
        return conn

    # --- a run ---
    def run(self) -> None:
        """All phases. Raises Violation: also for whatever the product raises."""
        try:
            self._phases()
        except Violation:
            raise
        except Exception as error:
            if not _product_raised(error):
                raise
            raise Violation("SIM-EXC", "".join(traceback.format_exception(error))) from error

    def _phases(self) -> None:
        self.observer.begin(self)
        self._populate()
        start = self.now
        for step in self.plan.steps:
            self.at(start + step.at, self._step, step)
        self.run_until(start + self.plan.duration)
        self._heal()
        self._rest()
        self.watch.rested()
        self._vanish()
        self._leave()
        self.watch.end()

    def _populate(self) -> None:
        """People register and link their first devices."""
        for server in self.servers:
            server.process.start(False)
        for place, count in enumerate(self.plan.devices):
            user = User(self, NAMES[place], place)
            self.users.append(user)
            self.api.register(user, lambda user=user, count=count: self._first_devices(user, count))  # type: ignore[misc]
        wanted = sum(self.plan.devices)
        while len(self.devices) < wanted:
            self.run_until(self.now + SECOND // 10)
            if self.now > START_MAX:
                raise Violation("SIM-START", "people could not register and link their devices")
        for device in self.devices:
            self.watch_all(device)

    def watch_all(self, device: Device) -> None:
        """Half of the devices watch others from the start."""
        if device.place % 2 == 0:
            most = min(3, self.limits.watches_max)
            others = [user.id for user in self.users if user is not device.user and user.id]
            device.watch(tuple(others[:most]))

    def _first_devices(self, user: User, count: int) -> None:
        for _ in range(count):
            self.api.log_in(user, None, Device.boot, tries=20)

    def _step(self, step: Step) -> None:
        done = operations.DO.get(step.kind) or faults.DO[step.kind]
        text = done(self, step)
        if text:
            self.counts[step.kind] += 1
        self.watch.step(step, text)

    def _heal(self) -> None:
        """Faults end; everybody comes back who can."""
        self.healing = True
        for end in list(self.periods):
            end()
        self.api.loss = 0.0
        for server in self.servers:
            server.shift = 0
            server.process.go_on()
            server.start_now()
        for device in self.devices:
            device.shift = 0
            if device.link is not None and device.link.stalled:
                device.cut(1.0)
        self.trouble()
        self.watch.heal()
        self._come_back()

    def _come_back(self) -> None:
        """Every device that is not logged out is connected, or tries to be."""
        for device in list(self.devices):
            if device.unlinked:
                continue
            if device.closed:
                device.kill()
            if device.core is None or not device.online or device.core.state is State.OFFLINE:
                device.go_online()
        for user in self.users:  # else what waits for them waits for ever
            if not user.deleted and all(device.unlinked for device in user.devices) and user.coming < self.now:
                user.coming = self.now + 20 * SECOND
                self.api.log_in(user, None, Device.boot)

    def _rest(self) -> None:
        """Until nothing more happens, or the time is over."""
        end = self.now + REST_MAX
        last = self.now + REST_PROGRESS_MAX
        quiet = waiting = 0
        while quiet < 2 and self.now < end:
            self.run_until(self.now + LOOK)
            self._come_back()
            quiet = quiet + 1 if self.restful() else 0
            left = sum(device.profile.waiting() for device in self.devices if not device.unlinked)
            if left < waiting:  # small limits let few through at a time
                end = min(max(end, self.now + REST_MAX), last)
            waiting = left

    def restful(self) -> bool:
        """Whether nothing is left to be done."""
        for device in self.devices:
            core = device.core
            if device.unlinked:
                continue
            if core is None or core.state is not State.LIVE or core.unanswered or core.backlog:
                return False
            if device.profile.waiting() or device.profile.reads_wanted():
                return False
        for server in self.servers:
            core_ = server.core
            if core_.committing or core_.waiting or server.edge.detaching:
                return False
            for shard in core_.shards.values():
                for user in shard.users.values():
                    if (
                        user.outbox.lanes
                        or user.closing
                        or user.waiting
                        or any(s.window or s.rev_window for s in user.sessions)
                    ):
                        return False
        return True

    def _vanish(self) -> None:
        """A third of the devices are not heard any more."""
        for device in self.devices:
            if device.link is not None and device.place % 3 == 0:
                device.online = False
                device.kill(silent=True)
        self.run_until(self.now + VANISH)
        self.watch.vanished()

    def _leave(self) -> None:
        """Everybody leaves, and what tells it to the shards may be lost; every user is looked at once."""
        end = self.now + LEAVE
        lossy = [link for row in self.links for link in row] if "lose" in self.plan.faults else []
        duration, share = LEAVE_LOSSES
        for link in lossy:
            link.noise = [("lose", share)]
        for device in self.devices:
            device.go_offline()
        self.run_until(self.now + duration)
        for link in lossy:
            link.noise = []
        self.run_until(end)
        for server in self.servers:
            server.process.wake_all()
        self.run_until(self.now + 2 * SECOND)
