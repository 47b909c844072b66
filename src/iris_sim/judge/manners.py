"""How both ends of a connection behave: what docs/protocol.md asks of each while it is open.

A client that neglects these loses nothing by itself: it is only slow, or relies on a server that is patient. A server
that goes on behind a gap is saved by the next connection, which tells of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from iris.core import frames as f
from iris.core.rows import CutMailbox, Write
from iris_sdk.core.receiving import REWIND_INTERVAL_MS
from iris_sim.judge.truth import Truth
from iris_sim.observer import Violation

if TYPE_CHECKING:
    from iris_sim.observer import DeviceView

ASK_MS = 2 * REWIND_INTERVAL_MS  # a row is missing: how long until the client asks, once its disk has what it took
GAP_US: Final = (
    10_000_000  # rows are gone: how long a connection of a device without them may go on; closes may be lost
)


class _Line:
    """What a client has taken on one connection: rows by seq, registers by rev."""

    __slots__ = ("missing_at", "taken", "welcomed")

    def __init__(self, seq: int, rev: int) -> None:
        self.taken = [seq, rev]
        self.welcomed = False
        self.missing_at: int | None = None  # µs of the first frame after a hole that was not asked for yet


class Manners:
    """Judges what clients do, and leave."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._lines: dict[int, _Line] = {}  # by connection
        self._cuts: dict[bytes, list[tuple[int, int]]] = {}  # user -> (µs, seq): rows up to it were deleted then

    def spoke(self, device: DeviceView, frame: tuple[Any, ...]) -> None:
        kind = frame[0]
        if kind == f.HELLO:
            self._lines[device.conn] = _Line(frame[3], frame[4])
        elif kind == f.ACK:
            line = self._lines.get(device.conn)
            if line is not None:
                line.missing_at = None
        elif kind == f.SEND:
            self._window(device, frame[3], frame[4], frame[5])

    def _window(self, device: DeviceView, stream: int, client_seq: int, answered: int) -> None:
        window = self._truth.world.limits.send_window
        if client_seq - answered > window:
            text = (
                f"{device.name} sends {client_seq} of stream {stream} when {answered} are answered; {window} may wait"
            )
            raise Violation("SEND-WINDOW", text, (device.user.id,))

    def heard(self, device: DeviceView, frame: tuple[Any, ...]) -> None:
        line = self._lines.get(device.conn)
        if line is None:
            return
        kind = frame[0]
        if kind == f.WELCOME:
            self._welcomed(line, frame)
        elif not line.welcomed and kind != f.CLOSE:
            text = f"{device.name} is sent {frame} before its Welcome"
            raise Violation("WELCOME-FIRST", text, (device.user.id,))
        elif kind == f.DELIVER:
            self._came(device, line, 0, frame[3], frame[2])
        elif kind in (f.RECEIPT, f.READ_SYNC):
            self._came(device, line, 1, frame[3], frame[2])

    def _welcomed(self, line: _Line, frame: tuple[Any, ...]) -> None:
        line.welcomed = True
        head, head_rev, oldest, reset = frame[4:8]
        if reset:
            line.taken = [min(line.taken[0], head), min(line.taken[1], head_rev)]
        if oldest:
            line.taken[0] = max(line.taken[0], oldest - 1)

    def _came(self, device: DeviceView, line: _Line, which: int, prev: int, position: int) -> None:
        """A row or register: it is the next one, or a repeat, or there is a hole before it."""
        now = self._truth.world.now
        if prev <= line.taken[which] < position:
            line.taken[which] = position
            line.missing_at = None  # what was missing is coming
        elif prev > line.taken[which]:
            if which == 0:
                self._gap(device, line.taken[0])
            if line.missing_at is None:
                line.missing_at = now
            elif now - line.missing_at > ASK_MS * 1_000 + 2 * device.disk:
                text = (
                    f"{device.name} has {line.taken[which]}, is sent what follows {prev}, and does not ask for the rest"
                )
                raise Violation("REWIND-ASKED", text, (device.user.id,))

    def _gap(self, device: DeviceView, taken: int) -> None:
        """What the device lacks must not be gone for long without a new Welcome that says so."""
        me, before = device.user.id, self._truth.world.now - GAP_US
        upto = max((seq for at, seq in self._cuts.get(me, ()) if at <= before), default=0)
        unit = self._truth.unit(me)
        link = unit.links.get(device.number)
        for row in unit.owed(max(taken, (link.start or 0) if link else 0), upto):
            what = self._truth.what(row.sender, row.message_id)
            text = f"{device.name} lacks {what}, which is deleted, and is sent what follows without a word"
            raise Violation("P2-GAP", text, (me, row.sender))

    def durable(self, writes: Sequence[Write]) -> None:
        for write in writes:
            if write.__class__ is CutMailbox:
                self._cuts.setdefault(write.user, []).append((self._truth.world.now, write.upto))

    def restored(self) -> None:
        """What was deleted may be there again."""
        self._cuts.clear()

    def lost(self, conn: int) -> None:
        self._lines.pop(conn, None)
