"""Rows that wait for a better moment: a rev that a device has acked."""

from __future__ import annotations

from iris.core import receipts, sending, sessions
from iris.core.commands import AckIn, Detach, RegisterIn, SendIn
from iris.core.ids import user_unit
from iris.core.inbox import on_register
from iris.core.outbox import DELIVERED
from iris.core.rows import CursorRow
from iris.core.turn import Turn
from iris.core.user import User
from tests.support.one_user import ADA, BOB, CONN, CONVERSATION, DEVICE, EDGE, FIRST, FRAME, SENDER_DEVICE, bob


def with_receipt() -> tuple[User, Turn]:
    """Bob has been shown a receipt and has acked it, nothing else."""
    user, turn = bob()
    on_register(user, RegisterIn(user.unit, user_unit(ADA), DELIVERED, CONVERSATION, 99), turn)
    turn.take()
    receipts.on_ack(user, AckIn(BOB, EDGE, CONN, DEVICE, 0, FIRST), turn)
    return user, turn


def cursors(turn: Turn) -> list[CursorRow]:
    return [row for row in turn.take()[0] if isinstance(row, CursorRow)]


def test_a_rev_alone_is_no_commit_of_its_own() -> None:
    user, turn = with_receipt()
    assert turn.take()[0] == []
    assert user.linked(DEVICE).rev == FIRST


def test_a_rev_goes_with_the_next_acked_row() -> None:
    user, turn = with_receipt()
    sending.on_send(user, SendIn(BOB, EDGE, ADA, SENDER_DEVICE, False, FRAME), turn)
    turn.take()
    receipts.on_ack(user, AckIn(BOB, EDGE, CONN, DEVICE, FIRST, FIRST), turn)
    assert cursors(turn) == [CursorRow(BOB, DEVICE, FIRST, FIRST, 1, 5, 1)]


def test_a_rev_is_written_once_when_the_session_ends() -> None:
    user, turn = with_receipt()
    sessions.on_detach(user, Detach(BOB, EDGE, CONN, 1, DEVICE), turn)
    assert cursors(turn) == [CursorRow(BOB, DEVICE, 0, FIRST, 0, 0, 0)]
    sessions.write_rev(user, user.linked(DEVICE), turn)
    assert cursors(turn) == []
