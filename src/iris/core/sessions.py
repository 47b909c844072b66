"""Sessions at the shard: attach, resume, re-authentication, end.

The shard is the authority on who may connect: the account, the device, `gen` and the revoked token ids. The newest
connection of a device wins; the older one is closed REPLACED. A resume cursor ahead of the stored one is an Ack
that got lost: its rows are read and counted as acked before the pump starts.
"""

from __future__ import annotations

from iris.core import mailbox, presence, pump, receipts
from iris.core.catalogue import CloseCode, ErrorCode
from iris.core.commands import (
    ATTACH_REFUSED,
    ATTACHED,
    DETACHED,
    REAUTHED,
    SESSION_UPDATE,
    Attach,
    Attached,
    AttachRefused,
    Detach,
    Detached,
    Paged,
    Reauth,
    Reauthed,
    SessionUpdate,
)
from iris.core.frames import PROBLEM, REFRESH, RETRY_NEVER, Problem
from iris.core.requests import Auth
from iris.core.rows import ROW_REFUSED
from iris.core.turn import LoadPage, Turn
from iris.core.user import Session, User

FOR_RESUME = 2  # purpose of a page: (FOR_RESUME, device, edge, conn)


def stands(user: User, auth: Auth) -> bool:
    """Whether a token is still good: account, device, gen and jti."""
    account = user.account
    return (
        user.active
        and account is not None
        and auth.device in user.devices
        and auth.gen == account.gen
        and auth.jti not in user.revoked
    )


def on_attach(user: User, attach: Attach, turn: Turn) -> None:
    """A connection wants to be the session of its device."""
    auth = attach.auth
    if not stands(user, auth):
        turn.to_edge(attach.edge, AttachRefused(ATTACH_REFUSED, attach.conn, int(CloseCode.TOKEN_REVOKED)))
        return
    old = user.sessions.get(auth.device)
    if old is not None and (old.edge, old.conn) != (attach.edge, attach.conn):
        mailbox.close_session(user, turn, auth.device, CloseCode.REPLACED)
    first = not user.sessions
    if first:
        user.tail_from = user.head
    device = user.devices[auth.device]
    session = user.sessions[auth.device] = Session(user, attach.edge, attach.conn, device, auth.jti)
    reset = attach.seq > user.head or attach.rev > user.registers.head
    seq, rev = min(attach.seq, user.head), min(attach.rev, user.registers.head)
    oldest = 0
    if 0 < seq < user.floor:
        oldest, seq = user.floor + 1, user.floor
    session.acked = session.prev = seq
    session.sent = max(seq or device.seq, user.floor)
    session.rev_acked = session.rev_sent = session.rev_top = rev
    copies, rate = sender_facts(user, turn)
    turn.to_edge(
        attach.edge,
        Attached(ATTACHED, attach.conn, user.last_seq, user.registers.head, oldest, reset, copies, rate),
    )
    if old is None:
        update_sessions(user, turn, but=auth.device)
    presence.came_online(user, turn)
    if rev > device.rev:
        device.rev = rev
        turn.write(device.cursor_row(user.id))
    if seq > device.seq:
        session.loading = True
        _ask_resumed(user, session, turn)
    pump.pump(user, session, turn)


def on_resume_page(user: User, page: Paged, turn: Turn) -> None:
    """Rows that a device had acked without our knowing."""
    _, number, edge, conn = page.purpose
    assert isinstance(number, int)
    assert isinstance(edge, int)
    assert isinstance(conn, int)
    session = user.session(number, edge, conn)
    if session is None:
        return
    device = session.device
    receipts.advance(user, device, [row for row in page.rows if row.kind != ROW_REFUSED], user.best_seq, turn)
    if page.rows:
        device.seq = max(device.seq, page.rows[-1].seq)
        _ask_resumed(user, session, turn)
    else:
        device.seq = max(device.seq, page.upto)
        session.loading = False
        pump.pump(user, session, turn)
    turn.write(device.cursor_row(user.id))


def on_detach(user: User, detach: Detach, turn: Turn) -> None:
    """A connection is gone."""
    if user.session(detach.device, detach.edge, detach.conn) is not None:
        end(user, detach.device, turn)
    turn.to_edge(detach.edge, Detached(DETACHED, detach.conn))


def end(user: User, device: int, turn: Turn) -> None:
    """Forget a session whose connection is gone or lost."""
    session = user.sessions.pop(device)
    session.device.row = session.device.row._replace(seen_at=turn.now.wall)
    turn.write(session.device.row)
    if not user.sessions:
        user.tail.clear()
        user.tail_from = user.head
        presence.went_offline(user, turn)
        mailbox.trim(user, turn, 1)
    else:
        update_sessions(user, turn)


def close(user: User, device: int, code: int, turn: Turn) -> None:
    """End a session from our side."""
    if device in user.sessions:
        mailbox.close_session(user, turn, device, code)
        if not user.sessions:
            presence.went_offline(user, turn)


def on_reauth(user: User, reauth: Reauth, turn: Turn) -> None:
    """A session shows a newer token."""
    auth = reauth.auth
    session = user.session(auth.device, reauth.edge, reauth.conn)
    if session is None:
        return
    if not stands(user, auth):
        turn.count_code("iris_refused_total", ErrorCode.TOKEN_REVOKED)
        problem = Problem(PROBLEM, reauth.conn, int(ErrorCode.TOKEN_REVOKED), REFRESH, RETRY_NEVER, 0, "")
        turn.to_edge(reauth.edge, problem)
        return
    session.jti = auth.jti
    turn.to_edge(reauth.edge, Reauthed(REAUTHED, reauth.conn, auth.expires_at))


def sender_facts(user: User, turn: Turn) -> tuple[bool, int]:
    """What edges must know of this user as a sender: own copies wanted, Sends per second for each session."""
    limits = turn.limits
    rate = limits.user_sends_per_second_max // max(1, len(user.sessions))
    return len(user.devices) > 1, max(1, min(limits.sends_per_second_max, rate))


def update_sessions(user: User, turn: Turn, but: int = 0) -> None:
    """Tell the edges of the user's sessions what has changed, all but device `but`."""
    copies, rate = sender_facts(user, turn)
    for session in user.sessions.values():
        if session.device.number != but:
            turn.to_edge(session.edge, SessionUpdate(SESSION_UPDATE, session.conn, copies, rate))


def _ask_resumed(user: User, session: Session, turn: Turn) -> None:
    purpose = (FOR_RESUME, session.device.number, session.edge, session.conn)
    limits = turn.limits
    turn.ask(
        LoadPage(user.id, session.device.seq, session.acked, limits.page_rows_max, limits.deliver_window_bytes, purpose)
    )
