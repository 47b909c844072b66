"""Sessions at the shard: attach, resume, re-authentication, end.

The shard is the authority on who may connect: the account, the device, `gen` and the revoked token ids. The newest
connection of a device wins; the older one is closed REPLACED, and an Attach of it that comes late is refused (Attach
numbers rise). A resume cursor ahead of the stored one is an Ack that got lost: its rows are read and counted as acked
before the pump starts. But first its own row is looked for: a store that was restored does not know the numbers that
were given after its backup, and what waits below such a cursor is nothing that the device has.
"""

from __future__ import annotations

from typing import Final

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
from iris.core.tables import NO_ITEMS, own
from iris.core.turn import LoadPage, Turn
from iris.core.user import Device, Session, User

ATTEMPT_MAX: Final = 1 << 62  # above every attempt: the connection is over
FOR_ATTACH: Final = 4  # purpose of a page: (FOR_ATTACH, device)
FOR_RESUME: Final = 2  # purpose of a page: Session.purpose(FOR_RESUME)


def stands(user: User, auth: Auth) -> bool:
    """Whether a token is still good: account, device, gen and jti."""
    account = user.account
    return (
        user.active
        and account is not None
        and user.device(auth.device) is not None
        and auth.gen == account.gen
        and auth.jti not in user.revoked
    )


def on_attach(user: User, attach: Attach, turn: Turn) -> None:
    """A connection wants to be the session of its device."""
    if not _admitted(user, attach, turn):
        return
    number, seq = attach.auth.device, attach.seq
    if seq > user.head or attach.rev > user.registers.head:  # given after the backup that this store goes on from
        _attach(user, attach, True, turn)
    elif seq <= user.linked(number).seq or any(row.seq == seq for row in user.tail):
        _attach(user, attach, False, turn)
    else:
        user.checking = own(user.checking)
        user.checking[number] = attach
        turn.ask(LoadPage(user.id, seq - 1, seq, 1, 0, (FOR_ATTACH, number)))


def on_cursor_page(user: User, page: Paged, turn: Turn) -> None:
    """Whether the row that a cursor names is there."""
    _, number = page.purpose
    attach = user.checking.get(number)  # type: ignore[call-overload]
    if attach is None or attach.seq != page.upto:
        return  # another one has come since
    del user.checking[attach.auth.device]
    if _admitted(user, attach, turn):
        _attach(user, attach, not page.rows and attach.seq > user.linked(attach.auth.device).seq, turn)


def _admitted(user: User, attach: Attach, turn: Turn) -> bool:
    """Whether the connection is to become the session of its device; if not, it is answered."""
    auth = attach.auth
    if not stands(user, auth):
        _refuse(attach, CloseCode.TOKEN_REVOKED, turn)
        return False
    old = user.session_at(auth.device)
    same = old is not None and (old.edge, old.conn) == (attach.edge, attach.conn)
    if old is not None and same and old.attempt == attach.attempt:  # the same again
        _answer_attach(user, old, attach, turn)
        pump.rewind(user, old, turn)
        return False
    if old is not None and old.edge != attach.edge and old.number >= attach.number:
        _refuse(attach, CloseCode.SHARD_MOVED, turn)  # an older connection; if only the clocks differ, it comes again
        return False
    known = user.newest_attach(attach.edge, auth.device)
    if known >= (attach.number, attach.attempt):  # it was under way for long, and is over
        if known[0] > attach.number:
            _refuse(attach, CloseCode.REPLACED, turn)
        return False
    return True


def _attach(user: User, attach: Attach, reset: bool, turn: Turn) -> None:
    """It becomes the session. reset: its cursor is none of this store."""
    auth = attach.auth
    user.checking.pop(auth.device, None)
    old = user.session_at(auth.device)
    same = old is not None and (old.edge, old.conn) == (attach.edge, attach.conn)
    if not user.sessions:
        user.tail_from = user.head
    device = user.linked(auth.device)
    session = Session(user, attach.edge, attach.conn, attach.number, attach.attempt, device, auth.jti)
    user.enter(session, old)
    session.reset = reset
    if old is not None and not same:
        mailbox.close_connection(user, turn, old, CloseCode.REPLACED)
    seq, rev = attach.seq, attach.rev
    if reset:  # as the client does, which is told these heads
        head, head_rev = _heads(user, session)
        seq, rev = min(seq, head), min(rev, head_rev)
    seq = max(seq, _missed(user, device, attach.seq))
    session.acked = session.prev = seq
    session.sent = max(seq if reset else seq or device.seq, user.floor)
    session.rev_acked = session.rev_sent = session.rev_top = rev
    _answer_attach(user, session, attach, turn)
    if old is None:
        update_sessions(user, turn, but=auth.device)
    presence.came_online(user, turn)
    if turn.now.wall - device.row.seen_at >= mailbox.DAY_MS:
        seen(device, turn)
    if rev > device.rev:
        device.rev = rev
        turn.write(device.cursor_row(user.id))
    if seq > device.seq:
        session.loading = True
        _ask_resumed(user, session, turn)
    pump.pump(user, session, turn)


def seen(device: Device, turn: Turn) -> None:
    """The device is there; a day more or less makes no difference to device_days."""
    device.row = device.row._replace(seen_at=turn.now.wall)
    turn.write(device.row)


def write_rev(user: User, device: Device, turn: Turn) -> None:
    """Write the cursor if its rev waits for that."""
    if device.rev > device.rev_written:
        turn.write(device.cursor_row(user.id))


def on_resume_page(user: User, page: Paged, turn: Turn) -> None:
    """Rows that a device had acked without our knowing."""
    session = user.session_of(page.purpose)
    if session is None:
        return
    device = session.device
    receipts.advance(user, device, [row for row in page.rows if row.kind != ROW_REFUSED], turn)
    if page.rows:
        device.seq = max(device.seq, page.rows[-1].seq)
        _ask_resumed(user, session, turn)
    else:
        device.seq = max(device.seq, page.upto)
        session.loading = False
        mailbox.trim(user, turn, turn.limits.trim_rows_min)
        pump.pump(user, session, turn)
    turn.write(device.cursor_row(user.id))


def on_detach(user: User, detach: Detach, turn: Turn) -> None:
    """A connection is gone."""
    user.closing.pop((detach.edge, detach.conn), None)
    _forget_checks(user, detach.edge, detach.conn)
    user.remember(detach.edge, detach.device, detach.number, ATTEMPT_MAX)
    if user.session(detach.device, detach.edge, detach.conn) is not None:
        end(user, detach.device, turn)
    turn.to_edge(detach.edge, Detached(DETACHED, detach.conn))


def end(user: User, device: int, turn: Turn) -> None:
    """Forget a session whose connection is gone or lost."""
    session = user.leave(device)
    assert session is not None
    seen(session.device, turn)
    write_rev(user, session.device, turn)
    if not user.sessions:
        user.tail = NO_ITEMS
        user.tail_from = user.head
        presence.went_offline(user, turn)
        mailbox.trim(user, turn, 1)
    else:
        update_sessions(user, turn)


def edge_gone(user: User, edge: int, turn: Turn) -> None:
    """The lease of an edge has lapsed: its sessions and watches are over."""
    for key in [key for key in user.watchers if key[0] == edge]:
        del user.watchers[key]
    for key in [key for key in user.closing if key[0] == edge]:
        del user.closing[key]
    _forget_checks(user, edge)
    for device in [session.device.number for session in user.sessions if session.edge == edge]:
        end(user, device, turn)


def _forget_checks(user: User, edge: int, conn: int | None = None) -> None:
    """Connections of this edge, or only this one, that wait until their cursor has been looked for."""
    for device, attach in list(user.checking.items()):
        if attach.edge == edge and conn in (None, attach.conn):
            del user.checking[device]


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
    for session in user.sessions:
        if session.device.number != but:
            turn.to_edge(session.edge, SessionUpdate(SESSION_UPDATE, session.conn, copies, rate))


def _refuse(attach: Attach, code: int, turn: Turn) -> None:
    turn.to_edge(attach.edge, AttachRefused(ATTACH_REFUSED, attach.conn, attach.attempt, int(code)))


def _heads(user: User, session: Session) -> tuple[int, int]:
    """The newest row and the newest rev, for Welcome; with a reset from where the device goes on.

    That is from the lowest row that is kept. Its own cursor says nothing, nor does the stored one: when the server was
    restored more than once, or the device was too, what it once acked may not be what it has now. What it has it is
    sent again, and knows by its id.
    """
    if session.reset:
        return user.floor, 0
    return user.last_seq, user.registers.head


def _missed(user: User, device: Device, seq: int) -> int:
    """Up to where rows above this cursor are gone that the device should have got; 0 when none is.

    A new device says 0 and misses none. One that has acked or lost rows and says 0 has lost its store, was restored
    from a copy of before its first message, or was cut before it: it goes on at the stored cursor, whether the rows up
    to there have been deleted yet or not.
    """
    if seq:
        return user.floor if seq < user.floor else 0
    return max(device.seq, user.floor) if device.acked or device.lost else 0


def _answer_attach(user: User, session: Session, attach: Attach, turn: Turn) -> None:
    missed = _missed(user, session.device, attach.seq)
    oldest = missed + 1 if missed else 0
    copies, rate = sender_facts(user, turn)
    turn.to_edge(
        attach.edge,
        Attached(
            ATTACHED, attach.conn, attach.attempt, attach.number, user.id, attach.auth.device,
            *_heads(user, session), oldest, session.reset, copies, rate,
        ),
    )  # fmt: skip


def _ask_resumed(user: User, session: Session, turn: Turn) -> None:
    purpose, limits = session.purpose(FOR_RESUME), turn.limits
    turn.ask(
        LoadPage(user.id, session.device.seq, session.acked, limits.page_rows_max, limits.deliver_window_bytes, purpose)
    )
