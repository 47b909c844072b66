"""The least that Python can do: the engine as shipped, and between its frames nothing but the answers themselves.

It stores nothing and checks nothing; it looks up a connection and its peer, counts seq and rev, and makes the tuples
that the engine takes. What the server's main thread costs above this is its rules and its store.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import Any

from iris.bench.server import HOST
from iris.core import frames as f
from iris.core.catalogue import LIMITS, Limits
from iris.wire.engine import EnginePort, open_engine

AT = 1_700_000_000_000  # ms since 1970, so that it takes as many bytes as a real time
Tell = Callable[[str, dict[str, int]], None]
LOGINS_MAX = 64  # in a turn
PACE_MAX = 1 << 30  # frames and bytes a second: a relay is faster than any client may be


class Conn:
    """A connection: its peer, and what it was sent last."""

    __slots__ = ("conn", "conversation", "peer", "rev", "seq")

    def __init__(self, conn: int) -> None:
        self.conn = conn
        self.peer = self
        self.conversation = b""
        self.seq = 0
        self.rev = 0


class PythonRelay:
    """Relays until the descriptor `control` ends; whenever something comes from it, tells its counters."""

    def __init__(self, certificate: bytes, key: bytes, control: int, tell: Tell) -> None:
        limits = Limits(frames_per_second_max=PACE_MAX, bytes_per_second_max=PACE_MAX)
        self._engine: EnginePort = open_engine(
            host=HOST, port=0, threads=1, certificate=certificate, key=key, tls12=False, api_path=None, proxy_from=[],
            limits={name: getattr(limits, name) for name, info in LIMITS.items() if info.where == "engine"},
        )  # fmt: skip
        self._control = control
        self._tell = tell
        self._conns: dict[int, Conn] = {}
        self._places: dict[int, Conn] = {}  # 2n and 2n + 1 are a pair
        self._messages = self._receipts = self._turns = 0
        self._others: dict[int, Callable[[], None]] = {}  # what else is waited for

    def run(self) -> None:
        """Until `control` ends."""
        engine = self._engine
        engine.start()
        self._tell("started", {"port": engine.port})
        control, frames = self._control, engine.fileno()
        ready = select.epoll()
        for each in (control, frames, *self._others):
            ready.register(each, select.EPOLLIN)
        while True:
            for fd, _ in ready.poll():
                if fd == frames:
                    self._turn(engine.drain(LOGINS_MAX))
                elif fd != control:
                    self._others[fd]()
                elif not os.read(control, 64):
                    engine.stop()
                    return
                else:
                    self._tell("done", self._counters())

    def _turn(self, frames: list[tuple[Any, ...]]) -> None:
        self._turns += 1
        out: list[tuple[Any, ...]] = []
        conns = self._conns
        for frame in frames:
            kind = frame[0]
            if kind == f.SEND:
                _, conn, conversation, stream, client_seq, _, name, _, payload, content_type, alg = frame
                own = conns[conn]
                peer = own.peer
                own.conversation = conversation
                prev = peer.seq
                seq = peer.seq = prev + 1
                sender = conversation[:16]
                self._messages += 1
                out.append((f.ACCEPTED, conn, conversation, stream, client_seq, name, seq, AT + seq))
                deliver = (
                    f.DELIVER, peer.conn, seq, prev, f.KIND_MESSAGE, conversation, sender, 1, name, AT + seq, 0,
                    payload, content_type, alg,
                )  # fmt: skip
                out.append(deliver)
            elif kind == f.ACK:
                own = conns[frame[1]]
                peer = own.peer
                if own.seq and peer.conversation:  # it was sent something, so this is no Ack of receipts
                    prev = peer.rev
                    rev = peer.rev = prev + 1
                    self._receipts += 1
                    out.append((f.RECEIPT, peer.conn, rev, prev, peer.conversation, frame[2], 0))
            elif kind == f.HELLO:
                out.append(self._welcome(frame))
            else:
                conns.pop(frame[1], None)
        self._release(out)

    def _release(self, out: list[tuple[Any, ...]]) -> None:
        """The answers of a turn."""
        self._engine.send(out)

    def _welcome(self, frame: tuple[Any, ...]) -> tuple[Any, ...]:
        conn, place = frame[1], int(frame[2])
        own = self._conns[conn] = self._places[place] = Conn(conn)
        other = self._places.get(place ^ 1)
        if other is not None:
            own.peer, other.peer = other, own
        limits = (65_536, 32, 30_000, 75_000, 256, 3_000)
        return (f.WELCOME, conn, bytes(16), AT, 0, 0, 0, False, frame[2].encode(), 1, (), AT + 3_600_000, limits)

    def _counters(self) -> dict[str, int]:
        stats = self._engine.stats()
        return {
            "messages": self._messages, "receipts": self._receipts, "turns": self._turns,
            "reads": stats["reads_total"], "writes": stats["writes_total"], "open": len(self._conns),
        }  # fmt: skip
