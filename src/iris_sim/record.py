"""Tells the observer what happens, and keeps it in the trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from iris.core.requests import Auth, Operation, Result
from iris.core.rows import Write
from iris_sdk.core import effects as fx
from iris_sim.codec import Frame
from iris_sim.observer import Observer, Step

if TYPE_CHECKING:
    from iris_sim.client import Device
    from iris_sim.server import Server
    from iris_sim.world import World


class Record:
    """The methods of Observer; each notes what it is told, and tells it on."""

    def __init__(self, world: World, observer: Observer) -> None:
        self._world, self._to = world, observer
        self._note = world.trace.note

    def step(self, step: Step, text: str) -> None:
        self._note(self._world.now, step.number, step.kind, b"", text or "(nothing to do)")
        self._to.step(step, text)

    def queued(self, device: Device, peer: bytes, message_id: bytes, text: str) -> None:
        self._note(self._world.now, 1, "writes", device.user.id, device.name, peer, repr(text), message_id.hex()[-6:])
        self._to.queued(device, peer, message_id, text)

    def asked(self, device: Device | None, request: int, unit: bytes, auth: Auth | None, what: Operation) -> None:
        whom = device.user.id if device is not None else unit[1:] if unit[:1] == b"u" else b""
        self._note(self._world.now, request, "asks", whom, request, what)
        self._to.asked(device, request, unit, auth, what)

    def answered(self, device: Device | None, request: int, what: Operation, result: Result) -> None:
        whom = device.user.id if device is not None else b""
        self._note(self._world.now, request, "is answered", whom, request, result)
        self._to.answered(device, request, what, result)

    def linked(self, device: Device) -> None:
        self._note(self._world.now, device.number, "is linked", device.user.id, device.name)
        self._to.linked(device)

    def opened(self, device: Device, conn: int, server: int) -> None:
        self._note(self._world.now, conn, "opens", device.user.id, device.name, "conn", conn, "at server", server)
        self._to.opened(device, conn, server)

    def spoke(self, device: Device, frame: Frame) -> None:
        self._note(self._world.now, frame[0], "sends", device.user.id, device.name, device.conn, frame)
        self._to.spoke(device, frame)

    def heard(self, device: Device, frame: Frame) -> None:
        self._note(self._world.now, frame[0], "hears", device.user.id, device.name, frame)
        self._to.heard(device, frame)

    def lost(self, device: Device, conn: int, code: int | None) -> None:
        self._note(self._world.now, conn, "loses", device.user.id, device.name, "conn", conn, "code", code)
        self._to.lost(device, conn, code)

    def saved(self, device: Device, writes: Sequence[fx.Write]) -> None:
        self._note(self._world.now, len(writes), "commits", device.user.id, device.name, writes)
        self._to.saved(device, writes)

    def saw(self, device: Device, effect: fx.PresenceSeen | fx.TypingSeen | fx.StateEntered) -> None:
        self._note(self._world.now, 2, "shows", device.user.id, device.name, effect)
        self._to.saw(device, effect)

    def started(self, device: Device) -> None:
        self._note(self._world.now, 3, "starts", device.user.id, device.name)
        self._to.started(device)

    def died(self, device: Device) -> None:
        self._note(self._world.now, 4, "dies", device.user.id, device.name)
        self._to.died(device)

    def took(self, server: Server, frame: Frame) -> None:
        self._to.took(server, frame)

    def said(self, server: Server, device: Device | None, frame: Frame) -> None:
        self._to.said(server, device, frame)

    def submitted(self, server: Server, writes: Sequence[Write]) -> None:
        self._note(self._world.now, len(writes), "submits", b"", "server", server.number, writes)
        self._to.submitted(server, writes)

    def durable(self, server: Server, writes: Sequence[Write]) -> None:
        self._note(self._world.now, len(writes), "is durable", b"", "server", server.number)
        self._to.durable(server, writes)

    def turned(self, server: Server) -> None:
        self._to.turned(server)

    def crashed(self, server: Server, lost: Sequence[Write], kept: Sequence[Write]) -> None:
        self._note(self._world.now, len(kept), "stops", b"", "server", server.number, "lost", lost, "kept", kept)
        self._to.crashed(server, lost, kept)

    def booted(self, server: Server, restored: bool) -> None:
        self._note(self._world.now, 5, "boots", b"", "server", server.number, "epoch", server.store.epoch)
        self._to.booted(server, restored)

    def heal(self) -> None:
        self._note(self._world.now, 6, "HEAL", b"")
        self._to.heal()

    def rested(self) -> None:
        self._note(self._world.now, 7, "REST", b"")
        self._to.rested()

    def vanished(self) -> None:
        self._note(self._world.now, 8, "VANISHED", b"")
        self._to.vanished()

    def end(self) -> None:
        self._note(self._world.now, 9, "END", b"")
        self._to.end()

    def note(self, whom: bytes, *words: Any) -> None:
        """Anything else worth reading."""
        self._note(self._world.now, 10, "", whom, *words)
