"""The ways between servers, and between a client and its server.

Between servers, batches: in order unless noise makes them late, lost, repeated or hollow. Between a client and a
server, a connection as TCP and the engine make it: in order, each way; when it is cut, some of what was under way still
arrives.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from iris.core import frames as f
from iris.core.catalogue import CloseCode
from iris_sim.codec import Frame

if TYPE_CHECKING:
    from iris_sim.client import Device
    from iris_sim.server import Process
    from iris_sim.world import World

LOST_WITHOUT_CODE: Final = 1006
NOISES = ("lose", "repeat", "late", "hollow")


class Link:
    """Batches from one server to another, or to itself."""

    def __init__(self, world: World, way: int, chance: random.Random) -> None:
        self.world = world
        self.blocked = 0  # partitions that cut it
        self.noise: list[tuple[str, float]] = []  # what happens to batches, and how likely
        self._way = way
        self._chance = chance
        self._last = 0  # when the newest batch arrives that is not late

    def carry(self, arrive: Callable[..., None], *args: Any) -> None:
        """Call arrive(*args) at the other end; the last argument is the batch."""
        world = self.world
        if self.blocked:
            world.trouble()
            return
        copies, wait = 1, 0
        if self.noise:
            copies, wait, args = self._disturb(args)
        when = world.now + self._way
        for _ in range(copies):
            if wait:
                world.at(when + wait, arrive, *args)
            else:
                self._last = when = max(when, self._last)
                world.at(when, arrive, *args)

    def _disturb(self, args: tuple[Any, ...]) -> tuple[int, int, tuple[Any, ...]]:
        copies, wait = 1, 0
        for kind, share in self.noise:
            if self._chance.random() >= share:
                continue
            self.world.trouble()
            if kind == "lose":
                copies = 0
            elif kind == "repeat":
                copies = 2
            elif kind == "late":
                wait = self._chance.choice((300, 5_000, 200_000, 2_500_000))
            elif isinstance(args[-1], list):
                args = (*args[:-1], [])
        return copies, wait, args


class Conn:
    """One connection: the client's end, the engine, and what is under way between them."""

    __slots__ = (
        "_down_at", "_got", "_sent", "_up_at", "_up_limit", "client_gone", "closing", "device", "down_until",
        "greeted", "number", "process", "server_gone", "up_until", "way", "world",
    )  # fmt: skip

    def __init__(self, world: World, number: int, device: Device, process: Process, way: int) -> None:
        self.world, self.number, self.device, self.process, self.way = world, number, device, process, way
        self.client_gone = self.server_gone = self.closing = self.greeted = False
        self.up_until = self.down_until = 0  # nothing arrives before
        self._up_at = self._down_at = 0
        self._sent = self._got = 0  # frames of the client
        self._up_limit = 1 << 60  # later ones never arrive

    @property
    def stalled(self) -> bool:
        """Whether something is held up on it."""
        return max(self.up_until, self.down_until) > self.world.now

    # --- the client's end ---
    def send(self, frames: list[Frame]) -> None:
        """The client sends."""
        if self.client_gone:
            return
        world = self.world
        self._up_at = when = max(self._up_at, world.now + self.way, self.up_until)
        first = self._sent
        self._sent += len(frames)
        world.at(when, self.process.hand, self._arrive_up, first, frames)

    def leave(self, code: int) -> None:
        """The client closes it in order."""
        if not self.client_gone:
            self._forget_client()
            self._end_at(max(self._up_at, self.world.now + self.way, self.up_until), code)

    def cut(self, share: float, *, silent: bool) -> None:
        """It breaks. share: how much of what the client had under way still arrives. silent: the server is not told."""
        if self.client_gone:
            return
        self._up_limit = self._got + round(share * (self._sent - self._got))
        self._forget_client()
        when = max(self._up_at, self.world.now + self.way)
        self._end_at(when + (self.world.limits.idle_timeout_ms * 1000 if silent else 0), LOST_WITHOUT_CODE)

    def stall(self, up: int, down: int) -> None:
        """Nothing arrives for so long (µs), each way; longer than the idle timeout, and both ends give it up."""
        world = self.world
        self.up_until = max(self.up_until, world.now + up)
        self.down_until = max(self.down_until, world.now + down)
        idle = world.limits.idle_timeout_ms * 1000
        if max(up, down) >= idle:
            world.after(idle, self._idle)

    def _idle(self) -> None:
        """One end has not heard the other for the idle timeout."""
        if not self.stalled:
            return
        self._up_limit = self._got
        if not self.client_gone:
            self._forget_client()
            self.device.gone(self, None)
        self.process.hand(self._end, CloseCode.IDLE_TIMEOUT)

    def _forget_client(self) -> None:
        self.client_gone = True

    # --- the server's end ---
    def deliver(self, frames: list[Frame]) -> None:
        """The edge has given these to the engine."""
        world = self.world
        self._down_at = when = max(self._down_at, world.now + self.way, self.down_until)
        world.at(when, self._arrive_down, frames)
        if frames[-1][0] == f.CLOSE and not self.closing:
            self.closing = True
            world.after(world.limits.close_timeout_ms * 1000, self.process.hand, self._end, frames[-1][2])

    def dropped(self) -> None:
        """The server process is gone; the client notices after a while."""
        self.server_gone = True
        self.world.at(max(self.world.now + self.way, self.down_until), self._reset)

    def _reset(self) -> None:
        if not self.client_gone:
            self._forget_client()
            self.device.gone(self, None)

    def _arrive_up(self, first: int, frames: list[Frame]) -> None:
        self._got = first + len(frames)
        if self.server_gone:
            return
        process, number = self.process, self.number
        for position, frame in enumerate(frames, first):
            if position < self._up_limit:
                self.greeted = True
                process.take((frame[0], number, *frame[2:]))

    def _arrive_down(self, frames: list[Frame]) -> None:
        device = self.device
        for frame in frames:
            if self.client_gone:
                return
            if frame[0] == f.CLOSE:
                self._forget_client()
                self._end_at(self.world.now + self.way, frame[2])
                device.heard(frame)
                device.gone(self, frame[2])
                return
            device.heard(frame)
        device.drain()

    def _end_at(self, when: int, code: int) -> None:
        self.world.at(when, self.process.hand, self._end, code)

    def _end(self, code: int) -> None:
        if self.server_gone:
            return
        self.server_gone = True
        self.process.conns.pop(self.number, None)
        if self.greeted:
            self.process.take((f.CLOSED, self.number, code))
