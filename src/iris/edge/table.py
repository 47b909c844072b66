"""What a session does with a frame: one row for every (state, kind of frame).

The engine has already refused what is not a frame, comes before Hello or is a second Hello.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from iris.core.catalogue import CloseCode, ErrorCode
from iris.core.commands import AckIn, ReadIn, Reauth, SendIn, TypingIn
from iris.core.frames import (
    ACK,
    CLOSED,
    HELLO,
    READ,
    REFRESH,
    REJECTED,
    RETRY_AFTER,
    RETRY_NEVER,
    SEND,
    SET_TYPING,
    WATCH,
    Rejected,
    Send,
)
from iris.core.ids import CONVERSATION_BYTES, USER_BYTES, peer_of, user_unit
from iris.edge.session import Bucket, Session, State
from iris.edge.sessions import Sessions

Frame = tuple[Any, ...]
WATCHES_PER_SIGNAL: Final = 8  # so many watched users count as one signal: each may be a user to load
NUMBER_MAX: Final = (1 << 53) - 1  # of streams and of Sends: exact in every language
PAUSE_MS: Final = 1_000  # what a refusal asks the client to wait


def _send(edge: Sessions, session: Session, frame: Frame) -> None:
    if not (0 < frame[3] <= NUMBER_MAX and 0 < frame[4] <= NUMBER_MAX):
        edge.close(session, CloseCode.BAD_FRAME)
        return
    conversation: bytes = frame[2]
    user = session.user
    low, high = conversation[:USER_BYTES], conversation[USER_BYTES:]
    peer = high if low == user else low
    if len(conversation) != CONVERSATION_BYTES or low > high or (low != user and high != user):
        _reject(edge, frame, ErrorCode.BAD_CONVERSATION, RETRY_NEVER, 0)
    elif peer == user:
        _reject(edge, frame, ErrorCode.SELF, RETRY_NEVER, 0)
    elif not session.node.lease.stands(edge.now.mono):
        _reject(edge, frame, ErrorCode.OVERLOADED, RETRY_AFTER, PAUSE_MS)
    elif not (session.sends or _first_sends(edge, session)).take(session.sends_per_second, edge.now.mono):
        _reject(edge, frame, ErrorCode.RATE_LIMITED, RETRY_AFTER, PAUSE_MS)
    else:
        # Past the records' own constructors, which take twice as long; the engine's frames have the right length.
        send = tuple.__new__(Send, frame)
        command = tuple.__new__(SendIn, (peer, edge.settings.number, user, session.device, session.copies, send))
        edge.to_units.append((b"u" + peer, command))


def _first_sends(edge: Sessions, session: Session) -> Bucket:
    session.sends = Bucket(session.sends_per_second, edge.now.mono)
    return session.sends


def _send_paused(edge: Sessions, session: Session, frame: Frame) -> None:
    _reject(edge, frame, ErrorCode.OVERLOADED, RETRY_AFTER, PAUSE_MS)


def _ack(edge: Sessions, session: Session, frame: Frame) -> None:
    session.ack_seq, session.ack_rev = frame[2], frame[3]
    fields = (session.user, edge.settings.number, session.conn, session.device, frame[2], frame[3])
    edge.to_units.append((session.unit, tuple.__new__(AckIn, fields)))


def _remember_ack(edge: Sessions, session: Session, frame: Frame) -> None:
    session.ack_seq, session.ack_rev = max(session.ack_seq, frame[2]), max(session.ack_rev, frame[3])


def _read(edge: Sessions, session: Session, frame: Frame) -> None:
    if _allowed(edge, session, READ):
        command = ReadIn(session.user, edge.settings.number, session.conn, session.device, frame[2], frame[3])
        edge.to_units.append((session.unit, command))


def _typing(edge: Sessions, session: Session, frame: Frame) -> None:
    peer = peer_of(frame[2], session.user)
    if peer is None or peer == session.user:
        edge.problem(session, SET_TYPING, ErrorCode.BAD_CONVERSATION)
    elif _allowed(edge, session, SET_TYPING):
        edge.to_units.append((user_unit(peer), TypingIn(peer, session.user, frame[2], frame[3])))


def _watch(edge: Sessions, session: Session, frame: Frame) -> None:
    wanted = tuple(dict.fromkeys(frame[2]))
    if len(wanted) > edge.limits.watches_max:
        edge.problem(session, WATCH, ErrorCode.TOO_MANY_WATCHES)
        return
    if not _allowed(edge, session, WATCH, 1 + len(wanted) / WATCHES_PER_SIGNAL):
        return
    for target in set(session.watches).difference(wanted):
        edge.watch(session, target, False)
    for target in wanted:  # those watched before too: a client that repeats Watch is told again
        edge.watch(session, target, True)
    session.watches = wanted


def _watch_later(edge: Sessions, session: Session, frame: Frame) -> None:
    wanted = tuple(dict.fromkeys(frame[2]))
    if len(wanted) > edge.limits.watches_max:
        edge.problem(session, WATCH, ErrorCode.TOO_MANY_WATCHES)
    else:
        for target in set(session.watches).difference(wanted):
            edge.watch(session, target, False)
        session.watches = wanted  # sent when the session is attached


def _refresh(edge: Sessions, session: Session, frame: Frame) -> None:
    if not _allowed(edge, session, REFRESH):
        return
    auth = edge.check(frame[2])
    if isinstance(auth, ErrorCode):
        edge.problem(session, REFRESH, auth)
    elif auth.user != session.user or auth.device != session.device:
        edge.problem(session, REFRESH, ErrorCode.TOKEN_INVALID)
    else:
        session.gen, session.jti = auth.gen, auth.jti
        edge.to_units.append((session.unit, Reauth(session.user, edge.settings.number, session.conn, auth)))


def _busy(edge: Sessions, session: Session, frame: Frame) -> None:
    edge.problem(session, frame[0], ErrorCode.OVERLOADED, PAUSE_MS)


def _ignore(edge: Sessions, session: Session, frame: Frame) -> None:
    """A frame that was under way when the close frame was sent."""


def _closed(edge: Sessions, session: Session, frame: Frame) -> None:
    edge.gone(session)


def _allowed(edge: Sessions, session: Session, frame: int, cost: float = 1.0) -> bool:
    if not session.node.lease.stands(edge.now.mono):
        edge.problem(session, frame, ErrorCode.OVERLOADED, PAUSE_MS)
        return False
    rate, now = edge.limits.signals_per_second_max, edge.now.mono
    if session.signals is None:
        session.signals = Bucket(rate, now)
    if not session.signals.take(rate, now, cost):
        edge.problem(session, frame, ErrorCode.RATE_LIMITED, PAUSE_MS)
        return False
    return True


def _reject(edge: Sessions, frame: Frame, code: int, retry: int, after_ms: int) -> None:
    edge.counters["iris_refused_total", code] += 1
    send = Send._make(frame)
    edge.to_engine.append(
        Rejected(
            REJECTED, send.conn, send.conversation, send.stream, send.client_seq, send.message_id, code, retry, 0, 0,
            after_ms,
        )
    )  # fmt: skip


TABLE: dict[tuple[State, int], Callable[[Sessions, Session, Frame], None]] = {
    (State.ATTACHING, SEND): _send_paused,
    (State.ATTACHING, ACK): _remember_ack,
    (State.ATTACHING, READ): _busy,
    (State.ATTACHING, SET_TYPING): _busy,
    (State.ATTACHING, WATCH): _watch_later,
    (State.ATTACHING, REFRESH): _busy,
    (State.ATTACHING, CLOSED): _closed,
    (State.READY, SEND): _send,
    (State.READY, ACK): _ack,
    (State.READY, READ): _read,
    (State.READY, SET_TYPING): _typing,
    (State.READY, WATCH): _watch,
    (State.READY, REFRESH): _refresh,
    (State.READY, CLOSED): _closed,
    (State.CLOSING, SEND): _ignore,
    (State.CLOSING, ACK): _ignore,
    (State.CLOSING, READ): _ignore,
    (State.CLOSING, SET_TYPING): _ignore,
    (State.CLOSING, WATCH): _ignore,
    (State.CLOSING, REFRESH): _ignore,
    (State.CLOSING, CLOSED): _closed,
}
CLIENT_KINDS = (HELLO, SEND, ACK, READ, SET_TYPING, WATCH, REFRESH, CLOSED)
