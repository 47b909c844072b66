"""What comes from other units' outboxes to a user, and what comes back for the user's own.

The receiving half of the outbox's numbered stream: an item is taken when prev <= mark < number, together with its
effect and the mark in one unit, and confirmed when that is durable. A user that is gone confirms everything.
"""

from __future__ import annotations

from iris.core import accounts, mailbox, outbox, receipts
from iris.core.catalogue import ErrorCode
from iris.core.commands import ItemIn, ItemRefused, ItemsDone, RegisterDone, RegisterIn
from iris.core.ids import peer_of
from iris.core.rows import ROW_OWN_COPY, BlockedByRow, DeadLetterRow, Gone, InboxMarkRow
from iris.core.tables import own
from iris.core.turn import Turn
from iris.core.user import User


def on_item(user: User, item: ItemIn, turn: Turn) -> None:
    """An item of another unit's outbox."""
    mark = user.inbox_marks.get(item.source, 0)
    if not user.active:
        turn.to_unit(item.source, ItemsDone(item.source, item.unit, item.number))
        return
    if item.number > mark:
        if item.prev > mark or (item.body[0] == outbox.COPY and mailbox.full(user, turn, 0)):
            turn.count("iris_items_deferred_total")
            return  # the source repeats it, in order
        if item.body[0] == outbox.COPY:
            if not _take_copy(user, item, turn):
                _refuse(item, turn)
                return
        elif item.body[0] != outbox.TOMBSTONE:
            _refuse(item, turn)
            return
        mark = item.number
        _set_mark(user, item.source, mark, turn)
    turn.to_unit(item.source, ItemsDone(item.source, item.unit, mark))


def on_register(user: User, register: RegisterIn, turn: Turn) -> None:
    """A max register of another unit's outbox."""
    if user.active:
        source = register.source[1:]
        if register.kind in (outbox.DELIVERED, outbox.READ):
            receipts.on_position(user, register.kind, source, register.topic, register.value, turn)
        elif register.kind == outbox.BLOCK:
            known = user.blocked_by.get(source)
            if known is None or register.value > known.version:
                user.blocked_by = own(user.blocked_by)
                row = user.blocked_by[source] = BlockedByRow(user.id, source, register.value)
                turn.write(row)
                if len(user.blocked_by) > turn.limits.blocked_by_max:
                    _forget_blocked_by(user, turn)
                accounts.contacts_changed(user, turn)
    turn.to_unit(
        register.source,
        tuple.__new__(RegisterDone, (register.source, register.unit, register.kind, register.topic, register.value)),
    )


def on_items_done(user: User, done: ItemsDone, turn: Turn) -> None:
    """A target has committed this user's items."""
    for row in user.outbox.items_done(turn, done.target, done.number):
        if row.body[0] == outbox.CLAIM:
            accounts.on_claimed(user, done.target, turn)


def on_item_refused(user: User, refused: ItemRefused, turn: Turn) -> None:
    """A target refuses the item it should take next: a claim is answered, anything else becomes a dead letter in
    the end.
    """
    row = user.outbox.first(refused.target)
    if row is None or row.number != refused.number:
        return
    if row.body[0] == outbox.CLAIM:
        user.outbox.items_done(turn, refused.target, refused.number)
        accounts.on_claim_refused(user, refused.target, turn)
        return
    lane = user.outbox.lanes[refused.target]
    lane.refusals += 1
    if lane.refusals >= turn.limits.outbox_refusals_max:
        lane.refusals = 0
        turn.write(DeadLetterRow(user.id, row.target, row.number, row.body, refused.code, turn.now.wall))
        turn.count("iris_dead_letters_total")
        user.outbox.bury(turn, row)


def on_register_done(user: User, done: RegisterDone, turn: Turn) -> None:
    """A target holds a register's value."""
    user.outbox.register_done(turn, done.target, done.kind, done.topic, done.value)


def _set_mark(user: User, source: bytes, number: int, turn: Turn) -> None:
    """Move a source's mark; it is the newest then, and the oldest goes when there are too many."""
    marks = user.inbox_marks = own(user.inbox_marks)
    marks.pop(source, None)
    marks[source] = number
    turn.write(InboxMarkRow(user.id, source, number))
    if len(marks) > turn.limits.inbox_marks_max:
        oldest = next(name for name in marks if name != user.unit)  # its own is the last number of its outbox
        turn.write(Gone(InboxMarkRow(user.id, oldest, marks.pop(oldest))))
        turn.count("iris_inbox_marks_dropped_total")


def _forget_blocked_by(user: User, turn: Turn) -> None:
    rows = user.blocked_by
    gone = next((row for row in rows.values() if row.version % 2 == 0), None) or next(iter(rows.values()))
    del rows[gone.other]
    turn.write(Gone(gone))
    turn.count("iris_blocked_by_dropped_total")


def _take_copy(user: User, item: ItemIn, turn: Turn) -> bool:
    """Append an own copy; False when it is none of this user's."""
    _, conversation, message_id, at, peer_seq, device, payload, content_type, alg = item.body
    assert isinstance(conversation, bytes)
    assert isinstance(message_id, bytes)
    assert isinstance(payload, bytes)
    assert isinstance(at, int)
    assert isinstance(peer_seq, int)
    assert isinstance(device, int)
    assert isinstance(content_type, int)
    assert isinstance(alg, int)
    if peer_of(conversation, user.id) != item.source[1:]:
        return False
    mailbox.append(
        user, turn, ROW_OWN_COPY, conversation, user.id, device, message_id, at, peer_seq, payload, content_type, alg
    )
    return True


def _refuse(item: ItemIn, turn: Turn) -> None:
    turn.to_unit(item.source, ItemRefused(item.source, item.unit, item.number, int(ErrorCode.UNSUPPORTED)))
