"""One user in memory with a turn of its own: for rules that need no world around them."""

from __future__ import annotations

from iris.core.catalogue import Limits
from iris.core.frames import SEND, Send
from iris.core.ids import direct_conversation, seq_of
from iris.core.rows import EVERYONE, STATE_ACTIVE, AccountRow, DeviceRow, UserRows
from iris.core.turn import Now, Turn
from iris.core.user import Session, User

BOB, ADA = bytes(16), b"\x01" * 16
CONVERSATION = direct_conversation(ADA, BOB)
MESSAGE_ID = b"i" * 16
EDGE, CONN, SENDER_CONN, DEVICE, SENDER_DEVICE, EPOCH = 41, 42, 43, 7, 8, 3
NOW = Now(50_000, 60_000, 0)
FRAME = Send(SEND, SENDER_CONN, CONVERSATION, 5, 1, 0, MESSAGE_ID, 0, b"hello", 11, 12)
FIRST = seq_of(EPOCH, 1)


def bob() -> tuple[User, Turn]:
    """Bob with one device, connected, and no mark of ada yet."""
    account = AccountRow(BOB, STATE_ACTIVE, "bob", "", "", "", "", 1, EVERYONE, EVERYONE, True, 1, 9)
    devices = [DeviceRow(BOB, DEVICE, "", 1, b"", b"", 1)]
    rows = UserRows(account, devices, [], [], [], [], [], [], [], [], [], None, None, None, None)
    user, turn = User(BOB, rows), Turn(Limits(), EPOCH, 16)
    turn.now = NOW
    user.marks = {ADA: {}}
    user.enter(Session(user, EDGE, CONN, 1, 1, user.linked(DEVICE), "jti"), None)
    return user, turn
