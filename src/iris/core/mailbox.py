"""The mailbox: one numbered stream of rows per user, and what leaves it.

A row's seq is epoch << 32 | counter. `pos` counts rows without the refused ones, so that what a device lacks is a
subtraction; `due` counts (row, device) pairs for the conservation audit. Rows below every device's cursor are
deleted in ranges of at least trim_rows_min, or when the user goes idle. A device that lags mailbox_lag_rows_max
rows behind is cut.
"""

from __future__ import annotations

from typing import Final

from iris.core import presence, pump
from iris.core.catalogue import CloseCode
from iris.core.commands import CLOSE_SESSION, CloseSession
from iris.core.ids import COUNTER_MAX
from iris.core.rows import ROW_REFUSED, CountersRow, CutMailbox, MessageRow
from iris.core.tables import NO_ITEMS, own
from iris.core.turn import Turn
from iris.core.user import Session, User

DAY_MS: Final = 86_400_000
NO_ID = bytes(16)
CLOSE_REPEAT_MS: Final = 1_000


def next_seq(user: User, turn: Turn) -> int:
    """The number of the next row: above everything this user ever had."""
    first = turn.first_seq
    seq = user.head + 1 if user.head >= first else first
    assert seq & COUNTER_MAX, "a mailbox has taken 2**32 rows in one epoch"
    return seq


def full(user: User, turn: Turn, payload_bytes: int) -> bool:
    """Whether the most advanced device lacks as much as a mailbox may hold."""
    pos, size = user.lead
    limits = turn.limits
    return user.pos - pos >= limits.mailbox_rows_max or user.size - size + payload_bytes > limits.mailbox_bytes_max


def append(
    user: User,
    turn: Turn,
    kind: int,
    conversation: bytes,
    sender: bytes,
    device: int,
    message_id: bytes,
    at: int,
    peer_seq: int,
    payload: bytes,
    content_type: int,
    alg: int,
) -> int:
    """Write a row and offer it to the user's sessions; returns its seq."""
    seq = next_seq(user, turn)
    before = user.last_seq
    pos = user.pos = user.pos + 1
    length = len(payload)
    size = user.size = user.size + length
    due = user.due = user.due + (len(user.devices) or 1)
    # By position, past the record's own constructor, which takes twice as long.
    row = tuple.__new__(
        MessageRow,
        (
            user.id, seq, kind, conversation, sender, device, message_id, at, peer_seq, payload, content_type, alg,
            pos, size, due,
        ),
    )  # fmt: skip
    user.head = user.last_seq = seq
    if not user.oldest_at:
        user.oldest_at = at
    turn.writes.append(row)
    turn.bytes += length
    if user.sessions:
        tail = user.tail
        if tail:
            tail.append(row)
            limits = turn.limits
            while len(tail) > limits.deliver_window or size - tail[0].size > limits.deliver_window_bytes:
                user.tail_from = tail.pop(0).seq
        else:
            user.tail = [row]
        for session in user.sessions:
            pump.offer(user, session, row, before, turn)
    else:
        user.tail_from = seq
    if pos - user.trimmed_pos > turn.limits.mailbox_lag_rows_max:
        cut_laggards(user, turn)
    return seq


def append_refused(user: User, turn: Turn, conversation: bytes, sender: bytes, device: int, at: int) -> None:
    """Write the row of a refused message: it holds a number, nobody is sent it and no quota counts it."""
    seq = next_seq(user, turn)
    turn.write(
        MessageRow(
            user.id, seq, ROW_REFUSED, conversation, sender, device, NO_ID, at, user.last_seq, b"", 0, 0,
            user.pos, user.size, user.due,
        )
    )  # fmt: skip
    user.head = seq
    if not user.oldest_at:
        user.oldest_at = at
    if not user.tail:
        user.tail_from = seq


def counters_row(user: User) -> CountersRow:
    """The counters as they stand, to be written with whatever changed them."""
    user.counters = user.counters._replace(user=user.id, floor=user.floor, pos=user.pos, size=user.size, due=user.due)
    return user.counters


def pending(user: User) -> int:
    """(row, device) pairs that wait for an Ack."""
    if user.devices:
        return sum(user.pos - device.pos for device in user.devices)
    return user.pos - (user.base.pos if user.base else 0)


def imbalance(user: User) -> int:
    """due - (acked + pending + expired + cut + unlinked): must be 0."""
    counters = user.counters
    acked = counters.acked + sum(device.acked for device in user.devices)
    return user.due - acked - pending(user) - counters.expired - counters.cut - counters.unlinked


def lowest_cursor(user: User) -> tuple[int, int]:
    """(seq, pos) up to which every device has acked."""
    if user.devices:
        device = min(user.devices, key=lambda other: other.seq)
        return device.seq, device.pos
    return (user.base.seq, user.base.pos) if user.base else (user.floor, user.trimmed_pos)


def trim(user: User, turn: Turn, rows_min: int) -> None:
    """Delete what every device has, when that is at least `rows_min` rows.

    A device that was set back gets again what is kept; so it is kept while that device is connected, but no more of it
    than any other device may lag behind.
    """
    back = [session for session in user.sessions if session.acked < session.device.seq]
    if back and user.pos - user.trimmed_pos <= turn.limits.mailbox_lag_rows_max:
        return
    for session in back:
        close_session(user, turn, session.device.number, CloseCode.HISTORY_GAP)
    seq, pos = lowest_cursor(user)
    if seq > user.floor and pos - user.trimmed_pos >= rows_min:
        delete_upto(user, turn, seq, pos)
        turn.count("iris_trims_total")


def delete_upto(user: User, turn: Turn, seq: int, pos: int) -> None:
    """Delete the rows up to `seq`, whose pos is `pos`."""
    user.floor = seq
    user.trimmed_pos = pos
    if seq >= user.head:
        user.oldest_at = 0
    turn.write(CutMailbox(user.id, seq))
    turn.write(counters_row(user))


def cut_laggards(user: User, turn: Turn) -> None:
    """Move every device that lags too far to the most advanced cursor; it is told HISTORY_GAP."""
    best = max(user.devices, key=lambda other: other.seq, default=None)
    if best is None:
        return
    found = False
    for device in user.devices:
        lag = best.pos - device.pos
        if lag and user.pos - device.pos > turn.limits.mailbox_lag_rows_max:
            user.counters = user.counters._replace(cut=user.counters.cut + lag)
            turn.count("iris_cut_total", lag)
            found = True
            device.lost += lag
            device.seq, device.pos, device.size = best.seq, best.pos, best.size
            turn.write(device.cursor_row(user.id))
            close_session(user, turn, device.number, CloseCode.HISTORY_GAP)
    if found:
        turn.write(counters_row(user))
        trim(user, turn, 1)


def close_session(user: User, turn: Turn, device: int, code: int) -> None:
    """End a device's session and its connection."""
    session = user.leave(device)
    if session is None:
        return
    close_connection(user, turn, session, code)
    if not user.sessions:
        user.tail = NO_ITEMS
        user.tail_from = user.head
        presence.went_offline(user, turn)


def close_connection(user: User, turn: Turn, session: Session, code: int) -> None:
    """Tell the edge to close a connection, again and again until it says that it is gone."""
    close = CloseSession(CLOSE_SESSION, session.conn, code, session.number, user.id, session.device.number)
    user.closing = own(user.closing)
    user.closing[session.edge, session.conn] = close
    turn.to_edge(session.edge, close)
    _close_later(user, turn)


def _close_later(user: User, turn: Turn) -> None:
    if not user.closing_armed:
        user.closing_armed = True
        turn.call_at(turn.now.mono + CLOSE_REPEAT_MS, _close_again, user, turn)


def _close_again(user: User, turn: Turn) -> None:
    user.closing_armed = False
    for (edge, _), close in user.closing.items():
        turn.to_edge(edge, close)
    if user.closing:
        _close_later(user, turn)
