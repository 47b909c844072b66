"""An engine without sockets, for tests and the simulator: events are fed in, sent frames are kept.

It keeps the real engine's promises about order and about Hello and Closed, and takes only well-formed tuples.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from typing import Any

from iris.core import frames
from iris.core.frames import CLOSED, HELLO, Closed

_ITEMS = {
    frames.WELCOME: len(frames.Welcome._fields),
    frames.ACCEPTED: len(frames.Accepted._fields),
    frames.REJECTED: len(frames.Rejected._fields),
    frames.DELIVER: len(frames.Deliver._fields),
    frames.RECEIPT: len(frames.Receipt._fields),
    frames.READ_SYNC: len(frames.ReadSync._fields),
    frames.PRESENCE: len(frames.Presence._fields),
    frames.TYPING: len(frames.Typing._fields),
    frames.GO_AWAY: len(frames.GoAway._fields),
    frames.REFRESHED: len(frames.Refreshed._fields),
    frames.PROBLEM: len(frames.Problem._fields),
    frames.CLOSE: len(frames.Close._fields),
}


class MemoryEngine:
    """Keeps EnginePort. `sent` holds every frame given to a connection that was open then."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.sent: list[tuple[Any, ...]] = []
        self.open: set[int] = set()
        self.accepting = False
        self._hot: list[tuple[Any, ...]] = []
        self._logins: deque[tuple[Any, ...]] = deque()
        self._gone: dict[int, tuple[Any, ...]] = {}  # closed before their Hello was taken
        self._signal = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._counters: dict[str, Any] = {"gone_connections_total": 0, "closed": {}}

    # --- the test's side ---
    def feed(self, *events: tuple[Any, ...]) -> None:
        """A client says something: Hello opens its connection, the others need it open, CLOSED ends it.

        Raises ValueError for a frame of a connection that is not open.
        """
        for event in events:
            kind, conn = event[0], event[1]
            if kind == HELLO:
                self.open.add(conn)
                self._logins.append(event)
            elif conn not in self.open:
                raise ValueError(f"connection {conn} is not open")
            elif kind == CLOSED:
                self._close(event)
            else:
                self._hot.append(event)
        self._mark()

    def take_sent(self) -> list[tuple[Any, ...]]:
        """What was sent since the last call."""
        sent, self.sent = self.sent, []
        return sent

    # --- EnginePort ---
    def start(self) -> None:
        """Begin to accept."""
        self.accepting = True

    def fileno(self) -> int:
        """Readable while there is something to drain."""
        return self._signal

    def drain(self, logins_max: int) -> list[tuple[Any, ...]]:
        """All frames, and at most `logins_max` Hellos."""
        taken, self._hot = self._hot, []
        for _ in range(min(logins_max, len(self._logins))):
            hello = self._logins.popleft()
            taken.append(hello)
            gone = self._gone.pop(hello[1], None)
            if gone is not None:
                taken.append(gone)
        self._mark()
        return taken

    def send(self, frames: list[Any]) -> None:
        """Keep the frames; a Close ends its connection."""
        for frame in frames:
            if not isinstance(frame, tuple) or _ITEMS.get(frame[0]) != len(frame):
                raise ValueError(f"not a server frame: {frame!r}")
        for frame in frames:
            if frame[1] not in self.open:
                self._counters["gone_connections_total"] += 1
                continue
            self.sent.append(frame)
            if frame[0] == CLOSED:
                self._close(Closed(CLOSED, frame[1], frame[2]))
        self._mark()

    def reload_certificate(self, certificate: bytes, key: bytes) -> None:
        """There is none."""

    def stop_accepting(self) -> None:
        """Take no more connections."""
        self.accepting = False

    def stop(self) -> None:
        """End every connection."""
        for conn in sorted(self.open):
            self._close(Closed(CLOSED, conn, 1001))
        self.accepting = False
        self._mark()

    def stats(self) -> dict[str, Any]:
        """Few of the real engine's counters."""
        return {**self._counters, "connections": len(self.open)}

    def _close(self, closed: tuple[Any, ...]) -> None:
        conn, code = closed[1], closed[2]
        self.open.remove(conn)
        by_code = self._counters["closed"]
        by_code[code] = by_code.get(code, 0) + 1
        if any(hello[1] == conn for hello in self._logins):
            self._gone[conn] = closed
        else:
            self._hot.append(closed)

    def _mark(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._signal)
        if self._hot or self._logins:
            os.eventfd_write(self._signal, 1)

    def __del__(self) -> None:
        os.close(self._signal)
