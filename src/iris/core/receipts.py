"""Acks, and what they and reading tell others: delivered and read positions, read sync between one's own devices.

All of them are max registers: a position only grows, so every step may be repeated. Delivered is the highest seq
that at least one device of the recipient has; own copies and refused messages make none. The read position always
reaches one's own devices; the privacy switch of either side keeps it from the peer.
"""

from __future__ import annotations

from iris.core import mailbox, outbox, pump
from iris.core.catalogue import CloseCode, ErrorCode
from iris.core.commands import ATTACH_AGAIN, AckIn, AttachAgain, ReadIn
from iris.core.frames import PROBLEM, READ, RETRY_NEVER, Problem
from iris.core.ids import peer_of, seq_of, user_unit
from iris.core.rows import REGISTER_READ_SYNC, REGISTER_RECEIPT, ROW_MESSAGE, Gone, MessageRow
from iris.core.turn import Turn
from iris.core.user import Device, Session, User


def on_ack(user: User, ack: AckIn, turn: Turn) -> None:
    """A device has durably taken over everything up to ack.seq and ack.rev."""
    session = user.session(ack.device, ack.edge, ack.conn)
    if session is None:
        return
    if ack.seq > session.prev or ack.rev > session.rev_top:
        known = ack.seq <= user.head and ack.rev <= user.registers.head
        if session.reset or (session.attempt > 1 and known):  # a reset: its answer was lost, or the Attach was late
            turn.to_edge(ack.edge, AttachAgain(ATTACH_AGAIN, ack.conn, session.attempt))
            return
        mailbox.close_session(user, turn, ack.device, CloseCode.ACK_BEYOND)
        return
    if ack.seq <= session.acked and ack.rev <= session.rev_acked:
        _repeated(user, session, ack, turn)
        return
    device = session.device
    taken = _take(session.window, ack.seq)
    if taken:
        session.bytes -= sum([len(row.payload) for row in taken])
    session.acked = max(session.acked, ack.seq)
    if session.rev_window:
        session.rev_window = [rev for rev in session.rev_window if rev > ack.rev]
    session.rev_acked = max(session.rev_acked, ack.rev)
    session.moved_at = turn.now.mono
    advance(user, device, taken, turn)
    device.rev = max(device.rev, ack.rev)
    if taken:
        turn.writes.append(device.cursor_row(user.id))
    # A rev alone waits for the next cursor row, or the session's end: with an older one registers are only shown again.
    if user.pos - user.trimmed_pos >= turn.limits.trim_rows_min:
        mailbox.trim(user, turn, turn.limits.trim_rows_min)
        if session not in user.sessions:
            return  # it was set back, and is too far behind
    if user.tail and len(user.sessions) == 1:
        gone = _take(user.tail, session.acked)
        if gone:
            user.tail_from = gone[-1].seq
    if session.sent < user.last_seq or session.rev_sent < user.registers.head:
        pump.pump(user, session, turn)


def advance(user: User, device: Device, taken: list[MessageRow], turn: Turn) -> None:
    """Move a device's cursor over rows it has acked, and tell their senders, unless another device had them before.

    What a device had lies in (pos - acked, pos]: a device that was linked later starts at a higher pos.
    """
    if taken and taken[0].seq <= device.seq:  # acked before, by an earlier life of this device
        taken = [row for row in taken if row.seq > device.seq]
    if not taken:
        return
    last = taken[-1]
    device.seq, device.pos, device.size = last.seq, last.pos, last.size
    device.acked += len(taken)
    others = [other for other in user.devices if other is not device]
    delivered = {
        row.conversation: row for row in taken if row.kind == ROW_MESSAGE and not (others and _had(others, row))
    }
    for conversation, row in delivered.items():
        user.outbox.raise_register(turn, user_unit(row.sender), outbox.DELIVERED, conversation, row.seq)


def _had(devices: list[Device], row: MessageRow) -> bool:
    return any(device.pos - device.acked < row.pos <= device.pos for device in devices)


def on_read(user: User, read: ReadIn, turn: Turn) -> None:
    """The user has read a conversation up to a seq of the user's own mailbox."""
    if user.session(read.device, read.edge, read.conn) is None:
        return
    peer = peer_of(read.conversation, user.id)
    problem = 0
    if peer is None or peer == user.id:
        problem = ErrorCode.BAD_CONVERSATION
    elif read.seq > user.head:
        problem = ErrorCode.POSITION_UNKNOWN
    if problem or peer is None:
        turn.count_code("iris_refused_total", problem)
        turn.to_edge(read.edge, Problem(PROBLEM, read.conn, problem, READ, RETRY_NEVER, 0, ""))
        return
    grown = raise_register(user, turn, read.conversation, REGISTER_READ_SYNC, read.seq, 0)
    if grown and user.account is not None and user.account.read_receipts and not user.blocked_with(peer):
        user.outbox.raise_register(turn, user_unit(peer), outbox.READ, read.conversation, read.seq)


def on_position(user: User, kind: int, source: bytes, conversation: bytes, seq: int, turn: Turn) -> None:
    """A recipient's position in a conversation, for the sender."""
    if peer_of(conversation, user.id) != source or user.account is None:
        return
    if kind == outbox.DELIVERED:
        raise_register(user, turn, conversation, REGISTER_RECEIPT, seq, 0)
    elif user.account.read_receipts and not user.blocked_with(source):  # its shard may not know of the block yet
        raise_register(user, turn, conversation, REGISTER_RECEIPT, 0, seq)


def raise_register(user: User, turn: Turn, conversation: bytes, kind: int, a: int, b: int) -> bool:
    """Raise a register and show it to the sessions; False when nothing grew."""
    before = user.registers.head
    rev = max(before + 1, seq_of(turn.epoch, 1))
    row = user.registers.raise_to(user.id, conversation, kind, a, b, rev)
    if row is None:
        return False
    turn.write(row)
    if len(user.registers) > turn.limits.conversations_max * 2:
        dropped = user.registers.drop_oldest()
        if dropped is not None:
            turn.write(Gone(dropped))
            turn.count("iris_registers_dropped_total")
    for session in user.sessions:
        pump.offer_register(user, session, row, before, turn)
    return True


def _take(rows: list[MessageRow], upto: int) -> list[MessageRow]:
    """Remove the rows with seq <= upto from the front of a list in seq order; returns them."""
    if rows and rows[-1].seq <= upto:  # the usual case
        taken = rows[:]
        rows.clear()
        return taken
    count = 0
    for row in rows:
        if row.seq > upto:
            break
        count += 1
    taken = rows[:count]
    del rows[:count]
    return taken


def _repeated(user: User, session: Session, ack: AckIn, turn: Turn) -> None:
    """The cursor again: the client misses something. An older one says nothing."""
    if ack.seq != session.acked or ack.rev != session.rev_acked or not (session.window or session.rev_window):
        return
    if turn.now.mono - session.rewound_at >= turn.limits.rewind_interval_ms:
        pump.rewind(user, session, turn)
