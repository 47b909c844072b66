"""Sends, at the recipient's shard: the rule of the numbered stream, the refusals, the row.

The row, the mark and the own copy on its way to the sender's other devices are one unit of one commit; Accepted and
Deliver wait for it. A lasting refusal spends the number and is stored like a row; a passing one writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from iris.core import mailbox, outbox
from iris.core.catalogue import ErrorCode
from iris.core.commands import MarksLoaded, SendIn
from iris.core.frames import (
    ACCEPTED,
    REJECTED,
    RETRY_AFTER,
    RETRY_GAP,
    RETRY_NEVER,
    RETRY_NEW_STREAM,
    Accepted,
    Rejected,
)
from iris.core.ids import user_unit
from iris.core.mark import Mark, Outcome, Verdict
from iris.core.rows import CONTACTS, ROW_MESSAGE, DropMark, MarkRow
from iris.core.tables import own
from iris.core.turn import LoadMarks, Turn
from iris.core.user import User

RETRY_MS: Final = 1_000  # what a passing refusal asks the sender to wait
MAILBOX_RETRY_MS: Final = 30_000
MINUTE_MS: Final = 60_000


def on_send(user: User, command: SendIn, turn: Turn) -> None:
    """One Send to this user."""
    sender, device = command.sender, command.device
    send = command.send
    if not user.active:
        reject(command, turn, ErrorCode.UNKNOWN_USER, RETRY_NEVER)
        return
    marks = user.marks.get(sender)
    if marks is None:
        _wait_for_marks(user, command, turn)
        return
    mark = marks.get(device)
    if mark is None:
        mark = marks[device] = Mark(turn.limits.send_window)
    verdict, known, number = mark.judge(send.stream, send.client_seq, send.answered, send.message_id)
    ANSWERS[verdict](user, command, mark, known, number, turn)


def on_marks(user: User, loaded: MarksLoaded, turn: Turn) -> None:
    """The marks of a sender are here: the Sends that wait for them go on, in order."""
    if loaded.sender not in user.marks:
        rows: dict[int, list[MarkRow]] = {}
        for row in loaded.rows:
            rows.setdefault(row.device, []).append(row)
        marks = {device: Mark(turn.limits.send_window) for device in rows}
        for device, mark in marks.items():
            mark.load(rows[device])
        oldest = min(turn.now.wall - turn.limits.mark_days * mailbox.DAY_MS, turn.now.horizon)
        for device in [device for device, mark in marks.items() if mark.last_at < oldest]:
            del marks[device]
            turn.write(DropMark(user.id, loaded.sender, device))
            turn.count("iris_marks_dropped_total")
        while len(user.marks) >= turn.limits.marks_in_memory_max:
            del user.marks[next(iter(user.marks))]
        user.marks = own(user.marks)
        user.marks[loaded.sender] = marks
    for command in user.waiting.pop(loaded.sender, ()):
        on_send(user, command, turn)


def _on_new(user: User, command: SendIn, mark: Mark, known: Outcome | None, number: int, turn: Turn) -> None:
    _new(user, command, mark, turn)


def _on_repeat(user: User, command: SendIn, mark: Mark, known: Outcome | None, number: int, turn: Turn) -> None:
    assert known is not None
    turn.count("iris_repeats_total")
    _answer(command, known, turn)


def _on_moved(user: User, command: SendIn, mark: Mark, known: Outcome | None, number: int, turn: Turn) -> None:
    assert known is not None
    send = command.send
    turn.write(mark.move(user.id, command.sender, command.device, known, send.stream, send.client_seq))
    _on_repeat(user, command, mark, known, number, turn)


def _on_stale(user: User, command: SendIn, mark: Mark, known: Outcome | None, number: int, turn: Turn) -> None:
    mark.close(command.send.stream)
    reject(command, turn, ErrorCode.STREAM_STALE, RETRY_NEW_STREAM, current_stream=number)


def _on_gap(user: User, command: SendIn, mark: Mark, known: Outcome | None, number: int, turn: Turn) -> None:
    reject(command, turn, ErrorCode.SEQUENCE_GAP, RETRY_GAP, expected=number)


ANSWERS: dict[int, Callable[[User, SendIn, Mark, Outcome | None, int, Turn], None]] = {
    Verdict.NEW: _on_new,
    Verdict.REPEAT: _on_repeat,
    Verdict.MOVED: _on_moved,
    Verdict.STALE: _on_stale,
    Verdict.GAP: _on_gap,
}


def reject(
    command: SendIn, turn: Turn, code: int, retry: int, expected: int = 0, current_stream: int = 0, after_ms: int = 0
) -> None:
    """Answer a Send with a refusal."""
    send = command.send
    turn.count_code("iris_refused_total", code)
    turn.to_edge(
        command.edge,
        Rejected(
            REJECTED, send.conn, send.conversation, send.stream, send.client_seq, send.message_id, code, retry,
            expected, current_stream, after_ms,
        ),
    )  # fmt: skip


def _wait_for_marks(user: User, command: SendIn, turn: Turn) -> None:
    waiting = user.waiting.get(command.sender)
    if waiting is None:
        user.waiting = own(user.waiting)
        user.waiting[command.sender] = [command]
        turn.ask(LoadMarks(user.id, command.sender))
    elif len(waiting) < turn.limits.parked_commands_max:
        waiting.append(command)
    else:
        reject(command, turn, ErrorCode.OVERLOADED, RETRY_AFTER, after_ms=RETRY_MS)


def _new(user: User, command: SendIn, mark: Mark, turn: Turn) -> None:
    """The next number and an unknown message: it gets its one outcome for ever, or a passing refusal."""
    send = command.send
    if turn.full or (command.copies and user.outbox.waiting(user_unit(command.sender)) >= turn.limits.outbox_rows_max):
        reject(command, turn, ErrorCode.OVERLOADED, RETRY_AFTER, after_ms=RETRY_MS)
        return
    if not _may_write(user, command.sender):
        _refuse(user, command, mark, turn)
        return
    if mailbox.full(user, turn, len(send.payload)):
        reject(command, turn, ErrorCode.MAILBOX_FULL, RETRY_AFTER, after_ms=MAILBOX_RETRY_MS)
        return
    at = _at(user, command, turn)
    seq = mailbox.append(
        user, turn, ROW_MESSAGE, send.conversation, command.sender, command.device, send.message_id, at, 0,
        send.payload, send.content_type, send.alg,
    )  # fmt: skip
    # Here and below by position, past the records' own constructors, which take twice as long.
    outcome = tuple.__new__(Outcome, (send.stream, send.client_seq, send.message_id, seq, at, 0))
    turn.writes.append(mark.record(user.id, command.sender, command.device, outcome))
    if command.copies:
        body = (
            outbox.COPY, send.conversation, send.message_id, at, seq, command.device, send.payload, send.content_type,
            send.alg,
        )  # fmt: skip
        user.outbox.add(turn, user_unit(command.sender), body)
    turn.accepted += 1
    _answer(command, outcome, turn)


def _refuse(user: User, command: SendIn, mark: Mark, turn: Turn) -> None:
    """A lasting refusal. Always NOT_ALLOWED, so that nobody learns of a block."""
    send = command.send
    if turn.now.mono - mark.refused_at >= MINUTE_MS:
        mark.refused_at, mark.refusals = turn.now.mono, 0
    mark.refusals += 1
    if mark.refusals > turn.limits.refusals_per_minute_max:
        wait = mark.refused_at + MINUTE_MS - turn.now.mono
        reject(command, turn, ErrorCode.RATE_LIMITED, RETRY_AFTER, after_ms=wait)
        return
    at = _at(user, command, turn)
    mailbox.append_refused(user, turn, send.conversation, command.sender, command.device, at)
    outcome = Outcome(send.stream, send.client_seq, send.message_id, 0, at, int(ErrorCode.NOT_ALLOWED))
    turn.write(mark.record(user.id, command.sender, command.device, outcome))
    _answer(command, outcome, turn)


def _may_write(user: User, sender: bytes) -> bool:
    if user.account is None or ((user.blocks or user.blocked_by) and user.blocked_with(sender)):
        return False
    return user.account.messages != CONTACTS or sender in user.contacts


def _at(user: User, command: SendIn, turn: Turn) -> int:
    """The message's time: after everything in its conversation, and after what its sender had seen there."""
    now, conversation, after = turn.now.wall, command.send.conversation, command.send.after
    last = user.last_at.get(conversation)
    if last is None:  # forgotten, or not since the start: the sender's marks know
        last = max(other.last_at for other in user.marks[command.sender].values())
        if len(user.last_at) >= turn.limits.conversations_max:
            del user.last_at[next(iter(user.last_at))]
        user.last_at = own(user.last_at)
    if after > now + turn.limits.clock_skew_ms:
        turn.count("iris_after_ignored_total")
        after = 0
    at = now if now > last and now > after else max(last, after) + 1
    user.last_at[conversation] = at
    return at


def _answer(command: SendIn, outcome: Outcome, turn: Turn) -> None:
    send = command.send
    if outcome.code:
        reject(command, turn, outcome.code, RETRY_NEVER)
        return
    fields = (
        ACCEPTED, send.conn, send.conversation, send.stream, send.client_seq, send.message_id, outcome.seq, outcome.at,
    )  # fmt: skip
    turn.effects.edge[command.edge].append(tuple.__new__(Accepted, fields))
