"""From the profile's rows and the core's records to what people see: text ids, names for numbers."""

from __future__ import annotations

from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.catalogue import ErrorCode
from iris_sdk.content import Content, Delete, Deleted, Edit, Reaction, decode
from iris_sdk.core import effects as fx
from iris_sdk.errors import Status
from iris_sdk.events import (
    Acted,
    ConnectionChange,
    ConnectionState,
    Event,
    HistoryGap,
    Message,
    OwnCopy,
    Presence,
    ReadSync,
    Row,
    StateChange,
    Typing,
)
from iris_sdk.holder import Ephemeral, public_state
from iris_sdk.ids import peer_of, user_text
from iris_sdk.rows import HistoryRow, ReadRow

_STATUS = {int(pb.STATUS_ONLINE): "online", int(pb.STATUS_OFFLINE): "offline"}


def error_name(code: int) -> str:
    """The catalogue's name of a refusal; the number as text when it is of a later version; "" for 0."""
    try:
        return ErrorCode(code).name if code else ""
    except ValueError:
        return str(code)


def peer_text(conversation: bytes, user: bytes) -> str:
    """The other one in a conversation; "" when this version does not know such conversations."""
    try:
        return user_text(peer_of(conversation, user))
    except ValueError:
        return ""


def to_event(row: HistoryRow | ReadRow, after: int, user: bytes) -> Event | None:
    """What a row that changed means to somebody who has seen everything up to `after`; None for nothing."""
    n, conversation = row.place(after), row.conversation.hex()
    if isinstance(row, ReadRow):
        return ReadSync(n, conversation, peer_text(row.conversation, user), row.seq)
    if row.kind == "gap":
        return HistoryGap(n, row.at)
    message_id = row.message_id.hex()
    peer, new = peer_text(row.conversation, user), row.kind == "message" or (row.kind == "own" and row.n > after)
    content = _content(row) if new else None
    if isinstance(content, Reaction | Edit | Delete):
        return Acted(n, message_id, conversation, user_text(row.sender), row.device, row.seq, row.at, content)
    if content is not None and row.kind == "message":
        return Message(
            n, message_id, conversation, user_text(row.sender), row.device, row.seq, row.at, row.text, row.payload,
            row.content_type, content,
        )  # fmt: skip
    if content is not None:
        return OwnCopy(
            n, message_id, conversation, peer, user_text(row.sender), row.device, row.seq, row.at, row.text,
            row.payload, row.content_type, row.state, content,
        )  # fmt: skip
    if row.state == "queued":
        return None
    return StateChange(n, message_id, conversation, peer, row.state, row.seq, row.at, error_name(row.code))


def to_row(row: HistoryRow, user: bytes) -> Row:
    return Row(
        row.n, row.changed, row.kind, row.conversation.hex(), peer_text(row.conversation, user),
        user_text(row.sender) if row.sender else "", row.device, row.message_id.hex(), row.seq, row.at, row.state,
        error_name(row.code), row.text, row.payload, _content(row),
    )  # fmt: skip


def _content(row: HistoryRow) -> Content:
    return Deleted() if row.wiped else decode(row.payload, row.content_type, row.alg)


def to_status(row: HistoryRow) -> Status:
    """`seq` and `at` are the server's: 0 before it has accepted."""
    settled = row.seq > 0
    return Status(row.message_id.hex(), row.state, row.seq, row.at if settled else 0, error_name(row.code), row.n)


def to_ephemeral(seen: Ephemeral) -> tuple[str, Event]:
    """(what it replaces in a slow reader's table, the event)."""
    match seen:
        case fx.PresenceSeen():
            user = user_text(seen.user)
            return f"p{user}", Presence(user, _STATUS.get(seen.status, "hidden"), seen.last_seen)
        case fx.TypingSeen():
            conversation, sender = seen.conversation.hex(), user_text(seen.sender)
            return f"t{conversation}{sender}", Typing(conversation, sender, seen.active)
        case fx.StateEntered():
            return "c", ConnectionChange(ConnectionState(public_state(seen.state)), seen.reason)
