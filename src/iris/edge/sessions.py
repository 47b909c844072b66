"""All sessions of an edge, and what may be done to one: what the table's actions and the edge itself build on.

Pure, like everything of the edge: what it wants said gathers in `to_engine` and `to_units`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from iris.core.catalogue import CloseCode, ErrorCode, Limits
from iris.core.commands import (
    Detach,
    WatchIn,
)
from iris.core.frames import (
    CLOSE,
    PROBLEM,
    RETRY_AFTER,
    RETRY_NEVER,
    Close,
    Problem,
)
from iris.core.ids import user_unit
from iris.core.requests import Auth
from iris.core.timers import Timers
from iris.core.tokens import validate
from iris.core.turn import Now
from iris.edge.nodes import NodeLink
from iris.edge.session import NEVER, Session, State

ATTACH_REPEAT_MS: Final = 1_000  # an Attach or Detach without an answer is sent again
EXPIRY_SLACK_MS: Final = 1_000  # so much after its token a session may end: wall and mono clock drift apart


class EdgeSettings(NamedTuple):
    """What an edge is told once."""

    number: int  # names this edge to the shards; another life of it while they live on is another edge
    incarnation: bytes  # 8 random bytes: makes session names unique over restarts
    leeway_ms: int  # clock leeway for tokens
    nodes: tuple[int, ...] = (0,)  # the shard nodes


class Sessions(Timers):
    """The sessions of one edge, and its links to the shard nodes."""

    __slots__ = (
        "counters", "detaching", "expiring", "keys", "limits", "nodes", "now", "owner", "sessions", "settings",
        "to_engine", "to_units", "unwelcomed",
    )  # fmt: skip

    def __init__(
        self,
        settings: EdgeSettings,
        limits: Limits,
        keys: Callable[[], Mapping[str, bytes]],
        owner: Callable[[bytes], int] | None = None,
    ) -> None:
        """owner: the shard node of a unit; None where there is one node."""
        super().__init__()
        self.nodes = {number: NodeLink(number, limits.lease_ms, limits.lease_renew_ms) for number in settings.nodes}
        only = settings.nodes[0]
        self.owner = owner or (lambda unit: only)
        self.settings = settings
        self.limits = limits
        self.keys = keys
        self.now = Now(0, 0, 0)
        self.sessions: dict[int, Session] = {}
        self.unwelcomed: set[int] = set()  # connections that wait for their first Welcome
        self.detaching: dict[int, tuple[bytes, Detach]] = {}
        self.expiring: dict[
            int, list[int]
        ] = {}  # mono ms -> connections whose tokens may end then: one timeout for all
        self.to_engine: list[tuple[object, ...]] = []
        self.to_units: list[tuple[bytes, tuple[object, ...]]] = []
        self.counters: Counter[str | tuple[str, int]] = Counter()

    def close(self, session: Session, code: int) -> None:
        """Send a close frame; the engine's Closed ends the session."""
        if session.state is not State.CLOSING:
            session.state = State.CLOSING
            self.close_connection(session.conn, code)

    def problem(self, session: Session, frame: int, code: int, after_ms: int = 0, detail: str = "") -> None:
        """Refuse a frame other than Send."""
        self.counters["iris_refused_total", code] += 1
        retry = RETRY_AFTER if after_ms else RETRY_NEVER
        self.to_engine.append(Problem(PROBLEM, session.conn, code, frame, retry, after_ms, detail))

    def check(self, token: str) -> Auth | ErrorCode:
        """What a token says, if its signature and times hold."""
        return validate(token, self.keys(), self.now.wall, self.settings.leeway_ms)

    def gone(self, session: Session) -> None:
        """The connection has ended: detach until the shard has confirmed it."""
        self.forget(session.conn)
        self.detach_later(session.user, session.conn, session.number, session.device)
        for watched in session.watches:
            self.watch(session, watched, False)

    def forget(self, conn: int) -> None:
        """The connection is none of this edge's any more."""
        self.sessions.pop(conn, None)
        self.unwelcomed.discard(conn)

    def watch(self, session: Session, target: bytes, on: bool) -> None:
        """Begin or end to watch a user."""
        self.to_units.append((user_unit(target), WatchIn(target, self.settings.number, session.conn, session.user, on)))

    def expire_at(self, session: Session, expires_at: int) -> None:
        """Close the session when its token runs out (plus leeway), unless it was refreshed."""
        session.expires_at = expires_at
        due = self.now.mono + max(0, expires_at + self.settings.leeway_ms - self.now.wall)
        if session.expiry_due <= due + EXPIRY_SLACK_MS:
            return  # a timeout looks before that, and arms the next: else every Refresh would leave one until its end
        session.expiry_due = due
        together = self.expiring.get(due)
        if together is not None:
            together.append(session.conn)
            return
        self.expiring[due] = [session.conn]
        self.call_at(due, Sessions._expire, self, due)

    def detach_later(self, user: bytes, conn: int, number: int, device: int) -> None:
        """Detach until the shard has confirmed it."""
        if conn not in self.detaching:
            self.detaching[conn] = (user_unit(user), Detach(user, self.settings.number, conn, number, device))
            self._detach(conn)

    def _detach(self, conn: int) -> None:
        waiting = self.detaching.get(conn)
        if waiting is not None:
            self.to_units.append(waiting)
            self.call_at(self.now.mono + ATTACH_REPEAT_MS, Sessions._detach, self, conn)

    def _expire(self, due: int) -> None:
        for conn in self.expiring.pop(due):
            self._expired(conn, due)

    def _expired(self, conn: int, due: int) -> None:
        session = self.sessions.get(conn)
        if session is None or session.expiry_due != due:
            return  # an earlier timeout looks after it
        session.expiry_due = NEVER
        if session.expires_at + self.settings.leeway_ms <= self.now.wall:
            self.close(session, CloseCode.TOKEN_EXPIRED)
        else:  # refreshed, or the wall clock was set back
            self.expire_at(session, session.expires_at)

    def close_connection(self, conn: int, code: int) -> None:
        """Send a close frame to a connection."""
        self._count_closed(code)
        self.to_engine.append(Close(CLOSE, conn, code))

    def _count_closed(self, code: object) -> None:
        assert isinstance(code, int)
        self.counters["iris_sessions_closed_total", code] += 1
