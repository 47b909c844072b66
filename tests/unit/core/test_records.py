"""Records on the way of every message are built by position, past their own constructors: each field has its value."""

from __future__ import annotations

from typing import Any

from iris.core import inbox, receipts, sending
from iris.core.catalogue import Limits
from iris.core.commands import AckIn, RegisterDone, RegisterIn, SendIn
from iris.core.frames import ACCEPTED, ACK, DELIVER, RECEIPT, SEND, Accepted, Deliver, Receipt, Send
from iris.core.ids import user_unit
from iris.core.outbox import DELIVERED
from iris.core.requests import Auth
from iris.core.rows import (
    REGISTER_RECEIPT,
    ROW_MESSAGE,
    CursorRow,
    Gone,
    MarkRow,
    MessageRow,
    OutboxRegisterRow,
    RegisterRow,
)
from iris.edge.edge import Edge
from iris.edge.session import Session as EdgeSession
from iris.edge.session import State
from iris.edge.sessions import EdgeSettings
from iris.edge.table import TABLE
from tests.support.one_user import (
    ADA,
    BOB,
    CONN,
    CONVERSATION,
    DEVICE,
    EDGE,
    FIRST,
    FRAME,
    MESSAGE_ID,
    NOW,
    SENDER_CONN,
    SENDER_DEVICE,
    bob,
)


def of(items: list[Any], kind: type[Any]) -> Any:
    """The one item of a type."""
    (found,) = [item for item in items if type(item) is kind]
    return found


def test_a_send_and_its_ack() -> None:
    user, turn = bob()
    sending.on_send(user, SendIn(BOB, EDGE, ADA, SENDER_DEVICE, False, FRAME), turn)
    writes, effects = turn.take()
    frames = [frame for batch in effects.edge.values() for frame in batch]
    assert of(writes, MessageRow) == MessageRow(
        user=BOB, seq=FIRST, kind=ROW_MESSAGE, conversation=CONVERSATION, sender=ADA, device=SENDER_DEVICE,
        message_id=MESSAGE_ID, at=NOW.wall, peer_seq=0, payload=b"hello", content_type=11, alg=12, pos=1, size=5, due=1,
    )  # fmt: skip
    assert of(writes, MarkRow) == MarkRow(
        user=BOB, sender=ADA, device=SENDER_DEVICE, slot=0, ordinal=0, stream=5, client_seq=1, message_id=MESSAGE_ID,
        seq=FIRST, at=NOW.wall, code=0,
    )  # fmt: skip
    assert of(frames, Accepted) == Accepted(
        kind=ACCEPTED, conn=SENDER_CONN, conversation=CONVERSATION, stream=5, client_seq=1, message_id=MESSAGE_ID,
        seq=FIRST, at=NOW.wall,
    )  # fmt: skip
    assert of(frames, Deliver) == Deliver(
        kind=DELIVER, conn=CONN, seq=FIRST, prev=0, row_kind=ROW_MESSAGE, conversation=CONVERSATION, sender=ADA,
        device=SENDER_DEVICE, message_id=MESSAGE_ID, at=NOW.wall, peer_seq=0, payload=b"hello", content_type=11, alg=12,
    )  # fmt: skip

    receipts.on_ack(user, AckIn(BOB, EDGE, CONN, DEVICE, FIRST, 0), turn)
    writes, effects = turn.take()
    target = user_unit(ADA)
    assert of(writes, CursorRow) == CursorRow(user=BOB, device=DEVICE, seq=FIRST, rev=0, pos=1, size=5, acked=1, lost=0)
    assert of(writes, OutboxRegisterRow) == OutboxRegisterRow(
        user=BOB, target=target, kind=DELIVERED, topic=CONVERSATION, value=FIRST
    )
    register = RegisterIn(unit=target, source=user.unit, kind=DELIVERED, topic=CONVERSATION, value=FIRST)
    assert effects.units == [(target, register)]
    assert type(effects.units[0][1]) is RegisterIn

    inbox.on_register_done(user, RegisterDone(user.unit, target, DELIVERED, CONVERSATION, FIRST), turn)
    gone = of(turn.take()[0], Gone).row
    assert type(gone) is OutboxRegisterRow
    assert gone[:4] == (BOB, target, DELIVERED, CONVERSATION)


def test_a_receipt() -> None:
    user, turn = bob()
    source = user_unit(ADA)
    inbox.on_register(user, RegisterIn(user.unit, source, DELIVERED, CONVERSATION, 99), turn)
    writes, effects = turn.take()
    assert of(writes, RegisterRow) == RegisterRow(
        user=BOB, conversation=CONVERSATION, kind=REGISTER_RECEIPT, rev=FIRST, a=99, b=0
    )
    assert of([frame for batch in effects.edge.values() for frame in batch], Receipt) == Receipt(
        kind=RECEIPT, conn=CONN, rev=FIRST, prev_rev=0, conversation=CONVERSATION, delivered=99, read=0
    )
    ((to, done),) = effects.units
    assert (to, type(done)) == (source, RegisterDone)
    assert done == RegisterDone(unit=source, target=user.unit, kind=DELIVERED, topic=CONVERSATION, value=99)


def test_what_an_edge_makes_of_frames() -> None:
    edge = Edge(EdgeSettings(EDGE, bytes(8), 0), Limits(), dict)
    edge.nodes[0].lease.until = 1
    auth = Auth(ADA, SENDER_DEVICE, 1, "jti", 1)
    session = EdgeSession(SENDER_CONN, auth, edge.nodes[0], 0, 0, ())
    session.sends_per_second = 1
    TABLE[State.READY, SEND](edge, session, tuple(FRAME))
    TABLE[State.READY, ACK](edge, session, (ACK, SENDER_CONN, 21, 22))
    (to, send), (_, ack) = edge.to_units
    assert (to, type(send), type(ack)) == (user_unit(BOB), SendIn, AckIn)
    assert send == SendIn(user=BOB, edge=EDGE, sender=ADA, device=SENDER_DEVICE, copies=True, send=FRAME)
    assert type(of(list(send), Send)) is Send
    assert ack == AckIn(user=ADA, edge=EDGE, conn=SENDER_CONN, device=SENDER_DEVICE, seq=21, rev=22)
