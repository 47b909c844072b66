"""The delivery pump: from the mailbox and the registers to each session, in order, within a window.

Rows come from memory while the session keeps up and from the store while it catches up; both go through `_deliver`.
Every Deliver names the row before it, so a lost one can never be acked over. An Ack of an unchanged cursor asks for
a rewind (at most one in rewind_interval_ms), and a window that stays unacked for deliver_repeat_ms rewinds by
itself.
"""

from __future__ import annotations

from typing import Final

from iris.core.frames import DELIVER, READ_SYNC, RECEIPT, Deliver, ReadSync, Receipt
from iris.core.rows import REGISTER_RECEIPT, ROW_REFUSED, MessageRow, RegisterRow
from iris.core.turn import LoadPage, Turn
from iris.core.user import Session, User

FOR_PUMP: Final = 1  # purpose of a page: Session.purpose(FOR_PUMP)


def offer(user: User, session: Session, row: MessageRow, before: int, turn: Turn) -> None:
    """A new row: deliver it now if the session has everything before it and room in its window."""
    if session.sent >= before and not session.loading:
        if _room(session, turn):
            _deliver(session, row, turn)
        else:
            turn.count("iris_pump_paused_total")


def pump(user: User, session: Session, turn: Turn) -> None:
    """Send rows and registers after what was sent, while the window has room."""
    _pump_registers(user, session, turn)
    if session.loading:
        return
    if session.sent < user.tail_from and session.sent < user.last_seq:
        if _room(session, turn):
            session.loading = True
            rows = min(turn.limits.deliver_window - len(session.window), turn.limits.page_rows_max)
            size = turn.limits.deliver_window_bytes - session.bytes
            turn.ask(LoadPage(user.id, session.sent, user.tail_from, rows, size, session.purpose(FOR_PUMP)))
        return
    for row in user.tail:
        if row.seq > session.sent:
            if not _room(session, turn):
                break
            _pass(session, row, turn)


def paged(user: User, session: Session, after: int, upto: int, rows: list[MessageRow], turn: Turn) -> None:
    """A page has come: send it, and go on."""
    session.loading = False
    if after == session.sent:
        for row in rows:
            _pass(session, row, turn)
        if not rows:
            session.sent = max(session.sent, upto)
    pump(user, session, turn)


def rewind(user: User, session: Session, turn: Turn) -> None:
    """Send again what was sent and not acked."""
    turn.count("iris_rewinds_total")
    session.rewound_at = session.moved_at = turn.now.mono
    prev = session.acked
    for row in session.window:
        turn.to_edge(session.edge, _frame(session, row, prev))
        prev = row.seq
    session.rev_window.clear()
    session.rev_sent = session.rev_acked
    pump(user, session, turn)


def offer_register(user: User, session: Session, row: RegisterRow, before: int, turn: Turn) -> None:
    """A changed register: send it now if the session has every one before it."""
    if session.rev_sent >= before and len(session.rev_window) < turn.limits.register_window:
        _send_register(session, row, turn)


def _pump_registers(user: User, session: Session, turn: Turn) -> None:
    room = turn.limits.register_window - len(session.rev_window)
    if room > 0 and session.rev_sent < user.registers.head:
        for row in user.registers.after(session.rev_sent, room):
            _send_register(session, row, turn)


def _room(session: Session, turn: Turn) -> bool:
    limits = turn.limits
    return session.bytes < limits.deliver_window_bytes and len(session.window) < limits.deliver_window


def _pass(session: Session, row: MessageRow, turn: Turn) -> None:
    """The next row: deliver it if it is one for this device."""
    if row.kind == ROW_REFUSED or row.pos <= session.start_pos:
        session.sent = row.seq
    else:
        _deliver(session, row, turn)


def _deliver(session: Session, row: MessageRow, turn: Turn) -> None:
    turn.effects.edge[session.edge].append(_frame(session, row, session.prev))
    session.prev = session.sent = row.seq
    if session.window:
        session.window.append(row)
    else:
        session.window = [row]
        if not session.rev_window:
            session.moved_at = turn.now.mono
    session.bytes += len(row.payload)
    if not session.armed:
        _arm(session, turn)


def _frame(session: Session, row: MessageRow, prev: int) -> Deliver:
    # From row_kind to alg the fields are the row's, in its order; built without the record's own slow constructor.
    fields = (DELIVER, session.conn, row[1], prev) + row[2:12]  # noqa: RUF005  # unpacking makes a list first
    return tuple.__new__(Deliver, fields)


def _send_register(session: Session, row: RegisterRow, turn: Turn) -> None:
    prev, session.rev_sent = session.rev_sent, row.rev
    session.rev_top = max(session.rev_top, row.rev)
    if row.kind == REGISTER_RECEIPT:
        frame: Receipt | ReadSync = tuple.__new__(
            Receipt, (RECEIPT, session.conn, row.rev, prev, row.conversation, row.a, row.b)
        )
    else:
        frame = ReadSync(READ_SYNC, session.conn, row.rev, prev, row.conversation, row.a)
    turn.effects.edge[session.edge].append(frame)
    if session.rev_window:
        session.rev_window.append(row.rev)
    else:
        session.rev_window = [row.rev]
        if not session.window:
            session.moved_at = turn.now.mono
    if not session.armed:
        _arm(session, turn)


def _arm(session: Session, turn: Turn) -> None:
    session.armed = True
    turn.call_at(session.moved_at + turn.limits.deliver_repeat_ms, _unacked, session, turn)


def _unacked(session: Session, turn: Turn) -> None:
    """A window has been unacked for long, unless it has moved since."""
    user = session.user
    session.armed = False
    if session not in user.sessions or not (session.window or session.rev_window):
        return
    if turn.now.mono - session.moved_at >= turn.limits.deliver_repeat_ms:
        rewind(user, session, turn)
    if not session.armed and (session.window or session.rev_window):
        _arm(session, turn)
