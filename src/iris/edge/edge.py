"""The edge: between the engine's connections and the shards that own their users. Pure: no I/O, no clock, no task.

It checks tokens (signature and time), limits each device, knows which shard a frame goes to, and nothing else of
the rules. Frames from shards pass through to the engine untouched. In: batches of frames, batches of items from
shards, the time. Out: `to_engine`, `take_units()`, `renewals`, which the shell takes after each call. While the lease
with a shard node does not stand, the sessions of its users are paused: Sends are refused OVERLOADED, an Ack is
remembered, nothing is dropped silently.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from iris.core.catalogue import CloseCode, ErrorCode, Limits
from iris.core.commands import (
    ATTACH_AGAIN,
    ATTACH_REFUSED,
    ATTACHED,
    CLOSE_SESSION,
    DETACHED,
    REAUTHED,
    SESSION_UPDATE,
    Attach,
    AttachAgain,
    Attached,
    AttachRefused,
    CloseSession,
    Reauthed,
    SessionUpdate,
    WatchIn,
)
from iris.core.frames import (
    CLOSED,
    GO_AWAY,
    HELLO,
    PRESENCE,
    REFRESHED,
    WELCOME,
    GoAway,
    Hello,
    Refreshed,
    Welcome,
)
from iris.core.ids import user_unit
from iris.edge.session import Session, State
from iris.edge.sessions import ATTACH_REPEAT_MS, EdgeSettings, Sessions
from iris.edge.table import TABLE
from iris.fabric.port import Renewed

FEATURES: tuple[str, ...] = ()  # what this server has beyond version 1
CONNECTIONS_PER_MS: Final = 1_024  # numbers are times, in parts of a ms: so they rise over restarts, and edges compare
FRAME_KIND_MAX: Final = 31  # kinds up to here go to the engine as they are


class Edge(Sessions):
    """One edge: frames of clients in, items of shards in, time in."""

    __slots__ = ("connections", "mistakes", "renewals")

    def __init__(
        self,
        settings: EdgeSettings,
        limits: Limits,
        keys: Callable[[], Mapping[str, bytes]],
        owner: Callable[[bytes], int] | None = None,
    ) -> None:
        """See Sessions."""
        super().__init__(settings, limits, keys, owner)
        self.connections = 0  # the highest number given
        self.renewals: list[tuple[int, int, int]] = []  # (node, number, number of the newest batch to it)
        self.mistakes: list[str] = []  # tracebacks, for the shell to log
        self.call_at(0, self._renew)

    def on_frames(self, frames: Sequence[tuple[object, ...]]) -> None:
        """Frames of clients, in the order of each connection."""
        sessions = self.sessions
        for frame in frames:
            kind = frame[0]
            try:
                if kind == HELLO:
                    self._hello(Hello._make(frame))
                    continue
                session = sessions.get(frame[1])  # type: ignore[call-overload]
                if session is not None:
                    TABLE[session.state, kind](self, session, frame)  # type: ignore[index]
            except Exception:  # a mistake of ours: it costs this connection, not the rest of the batch
                self._mistaken(frame)

    def on_items(self, node: int, number: int, items: Sequence[tuple[object, ...]]) -> None:
        """Frames and session records from shards: the batch of this number of their node.

        A late one is dropped: what it says may be older than what is known, and nothing in it would tell.
        """
        if not self.nodes[node].arrivals.got(number):
            return
        out, unwelcomed = self.to_engine, self.unwelcomed
        for item in items:
            kind = item[0]
            if kind == PRESENCE:
                session = self.sessions.get(item[1])  # type: ignore[call-overload]
                if session is not None and item[2] in session.watches:
                    out.append(item)
                else:
                    self._unwatch(item)
            elif kind <= FRAME_KIND_MAX:  # type: ignore[operator]
                if not (unwelcomed and item[1] in unwelcomed):  # else its Attached is lost, and will be asked for again
                    out.append(item)
            else:
                self._record(item)

    def on_renewed(self, node: int, answer: Renewed) -> None:
        """A shard node has renewed the lease. After a gap its sessions attach anew, and its users are watched anew."""
        link = self.nodes[node]
        if not link.renewed(answer, self.now.mono):
            return
        if link.lost:
            self.counters["iris_batches_lost_total"] += link.lost
        for session in self.sessions.values():
            if session.state is State.CLOSING:
                continue
            if session.node is link:
                self._attach_anew(session)
            elif session.state is State.READY:
                for target in session.watches:
                    if self.owner(user_unit(target)) == node:
                        self.watch(session, target, True)

    def take_units(self) -> list[tuple[int, int, list[tuple[bytes, tuple[object, ...]]]]]:
        """What shards are to be told: (node, number of the batch, batch)."""
        if not self.to_units:
            return []
        units, self.to_units = self.to_units, []
        nodes = self.nodes
        batches: dict[int, list[tuple[bytes, tuple[object, ...]]]] = {}
        if len(nodes) == 1:
            batches[self.settings.nodes[0]] = units
        else:
            for entry in units:
                batches.setdefault(self.owner(entry[0]), []).append(entry)
        out = []
        for number, batch in batches.items():
            link = nodes[number]
            link.sent += 1
            out.append((number, link.sent, batch))
        return out

    def go_away(self) -> None:
        """The node is about to stop: tell every client to spread its reconnect."""
        for session in self.sessions.values():
            if session.welcomed:
                self.to_engine.append(GoAway(GO_AWAY, session.conn, self.limits.go_away_ms))

    def close_all(self) -> None:
        """Close every connection: GOING_AWAY."""
        for session in self.sessions.values():
            self.close(session, CloseCode.GOING_AWAY)

    def _mistaken(self, frame: tuple[object, ...]) -> None:
        """The frame's action has raised: end its connection, keep what happened for the log."""
        self.counters["iris_internal_errors_total"] += 1
        self.mistakes.append(traceback.format_exc())
        conn = frame[1]
        assert isinstance(conn, int)
        if frame[0] == CLOSED:
            self.forget(conn)
        elif (session := self.sessions.get(conn)) is not None:
            self.close(session, CloseCode.SERVER_ERROR)
        else:
            self.close_connection(conn, CloseCode.SERVER_ERROR)

    def _hello(self, hello: Hello) -> None:
        auth = self.check(hello.token)
        if isinstance(auth, ErrorCode):
            expired = auth is ErrorCode.TOKEN_EXPIRED
            self.close_connection(hello.conn, CloseCode.TOKEN_EXPIRED if expired else CloseCode.TOKEN_INVALID)
            return
        features = tuple(name for name in hello.features if name in FEATURES)
        unit = user_unit(auth.user)
        node = self.nodes[self.owner(unit)]
        session = Session(hello.conn, auth, unit, node, hello.seq, hello.rev, features)
        self.connections = session.number = max(self.connections + 1, self.now.wall * CONNECTIONS_PER_MS)
        self.sessions[hello.conn] = session
        self.unwelcomed.add(hello.conn)
        self.expire_at(session, session.expires_at)
        self._attach_anew(session)

    def _attach_anew(self, session: Session) -> None:
        """A new attempt: answers to earlier ones no longer count."""
        session.state = State.ATTACHING
        session.started_at = self.now.mono
        session.attempt += 1
        self._attach(session)

    def _attach(self, session: Session) -> None:
        session.asked_at = self.now.mono
        attach = Attach(
            session.user, self.settings.number, session.conn, session.number, session.attempt, session.auth,
            session.ack_seq, session.ack_rev,
        )  # fmt: skip
        self.to_units.append((session.unit, attach))
        self.call_at(self.now.mono + ATTACH_REPEAT_MS, Edge._attach_late, self, session.conn)

    def _attach_late(self, conn: int) -> None:
        session = self.sessions.get(conn)
        if session is None or session.state is not State.ATTACHING:
            return
        now = self.now.mono
        if now - session.started_at >= self.limits.attach_timeout_ms and session.node.lease.stands(now):
            self.close(session, CloseCode.SHARD_MOVED)
        elif now - session.asked_at >= ATTACH_REPEAT_MS:
            self._attach(session)

    def _renew(self) -> None:
        now = self.now.mono
        for node in self.nodes.values():
            self.renewals.append((node.number, node.lease.renew(now), node.sent))
        self.call_at(now + self.limits.lease_renew_ms, self._renew)

    def _unwatch(self, item: tuple[object, ...]) -> None:
        """A connection that is gone, or watches somebody else, is still a watcher: say again that it is not."""
        conn, target = item[1], item[2]
        assert isinstance(conn, int)
        assert isinstance(target, bytes)
        self.to_units.append((user_unit(target), WatchIn(target, self.settings.number, conn, b"", False)))

    def _record(self, item: tuple[object, ...]) -> None:
        kind, conn = item[0], item[1]
        assert isinstance(conn, int)
        RECORDS[kind](self, conn, self.sessions.get(conn), item)  # type: ignore[index]

    def _on_detached(self, conn: int, session: Session | None, item: tuple[object, ...]) -> None:
        self.detaching.pop(conn, None)

    def _on_attached(self, conn: int, session: Session | None, item: tuple[object, ...]) -> None:
        attached = Attached._make(item)
        if session is None:  # the Attach came after the Detach
            self.detach_later(attached.user, conn, attached.number, attached.device)
        elif session.state is State.ATTACHING and session.attempt == attached.attempt:
            self._attached(session, attached)

    def _on_close_session(self, conn: int, session: Session | None, item: tuple[object, ...]) -> None:
        close = CloseSession._make(item)
        if session is None:  # the Attach came after the Detach, and the Attached is lost
            self.detach_later(close.user, conn, close.number, close.device)
        else:
            self.close(session, close.code)

    def _on_attach_refused(self, conn: int, session: Session | None, item: tuple[object, ...]) -> None:
        refused = AttachRefused._make(item)
        if session is not None and session.state is not State.CLOSING and session.attempt == refused.attempt:
            self.close(session, refused.close_code)

    def _on_attach_again(self, conn: int, session: Session | None, item: tuple[object, ...]) -> None:
        attempt = AttachAgain._make(item).attempt
        if session is not None and session.state is not State.CLOSING and session.attempt == attempt:
            self._attach_anew(session)

    def _on_session_update(self, conn: int, session: Session | None, item: tuple[object, ...]) -> None:
        if session is None or session.state is State.CLOSING:
            return
        update = SessionUpdate._make(item)
        session.copies = update.copies
        session.sends_per_second = update.sends_per_second

    def _on_reauthed(self, conn: int, session: Session | None, item: tuple[object, ...]) -> None:
        if session is None or session.state is State.CLOSING:
            return
        expires_at = Reauthed._make(item).expires_at
        self.expire_at(session, expires_at)
        self.to_engine.append(Refreshed(REFRESHED, conn, expires_at))

    def _attached(self, session: Session, attached: Attached) -> None:
        session.copies = attached.copies
        if session.welcomed and (attached.reset or attached.oldest):
            self.close(session, CloseCode.SHARD_MOVED)  # only a new Welcome can say that
            return
        session.state = State.READY
        session.sends_per_second = attached.sends_per_second
        for target in session.watches:
            self.watch(session, target, True)
        if not session.welcomed:
            session.welcomed = True
            self.unwelcomed.discard(session.conn)
            if not self.unwelcomed:
                self.unwelcomed.clear()  # gives back the place that a storm of log-ins has taken
            self.to_engine.append(self._welcome(session, attached))

    def _welcome(self, session: Session, attached: Attached) -> Welcome:
        limits = self.limits
        told = (
            limits.payload_bytes_max, limits.send_window, limits.ping_interval_ms, limits.idle_timeout_ms,
            limits.watches_max, limits.send_repeat_ms,
        )  # fmt: skip
        name = self.settings.incarnation + session.conn.to_bytes(8, "big")
        return Welcome(
            WELCOME, session.conn, name, self.now.wall, attached.head, attached.head_rev, attached.oldest,
            attached.reset, session.user, session.device, session.features, session.expires_at, told,
        )  # fmt: skip


RECORDS: dict[int, Callable[[Edge, int, Session | None, tuple[object, ...]], None]] = {
    ATTACHED: Edge._on_attached,
    ATTACH_REFUSED: Edge._on_attach_refused,
    ATTACH_AGAIN: Edge._on_attach_again,
    CLOSE_SESSION: Edge._on_close_session,
    DETACHED: Edge._on_detached,
    REAUTHED: Edge._on_reauthed,
    SESSION_UPDATE: Edge._on_session_update,
}
assert CLOSED <= FRAME_KIND_MAX < min(RECORDS)
