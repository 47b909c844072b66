"""What the core asks of its shell: effects, and the writes that a Commit carries.

All are plain records. Ids are bytes, times ms. A shell performs effects in the order in which it polls them.
"""

from __future__ import annotations

from typing import NamedTuple

from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.core.lifecycle import State

# --- writes: facts for the profile; the profile's adapter (store.py) says what each does to its tables ---


class SaveMessage(NamedTuple):
    """A row of the mailbox: from somebody else, or a copy of what one of my devices sent. May be known already."""

    own: bool
    conversation: bytes
    sender: bytes
    device: int
    message_id: bytes
    seq: int
    peer_seq: int
    at: int
    payload: bytes
    content_type: int
    alg: int


class SaveAnswer(NamedTuple):
    """The server's one answer to a message of the outbox: accepted (code 0) or refused.

    It leaves the outbox as soon as all before it have answers; the stream's `base` moves by as many.
    """

    message_id: bytes
    conversation: bytes
    seq: int
    at: int
    code: int


class SaveStream(NamedTuple):
    """Unanswered messages are numbered anew, from 1 in this stream; nothing is sent under it before this is durable."""

    conversation: bytes
    stream: int


class SaveCursor(NamedTuple):
    """Everything up to here is in the same commit or an earlier one."""

    seq: int
    rev: int


class SaveReceipt(NamedTuple):
    """How far the peer is, in seqs of the peer's mailbox; merged by maximum."""

    conversation: bytes
    delivered: int
    read: int


class SaveRead(NamedTuple):
    """How far this user has read; merged by maximum."""

    conversation: bytes
    seq: int


class DropReadWanted(NamedTuple):
    """The server does not know this read position (it was restored): stop asking for it."""

    conversation: bytes


class SaveGap(NamedTuple):
    """The server could not keep some rows for this device."""

    at: int


class Expire(NamedTuple):
    """Accepted messages with `at` below this, still not delivered, are expired for good."""

    before_at: int


Write = SaveMessage | SaveAnswer | SaveStream | SaveCursor | SaveReceipt | SaveRead | DropReadWanted | SaveGap | Expire

# --- effects ---


class Commit(NamedTuple):
    """Make all writes durable in one transaction, then call `committed(number)`. One is in flight at a time."""

    number: int
    writes: tuple[Write, ...]


class NeedToken(NamedTuple):
    """Call `token(...)`, `token_unavailable(...)` or `logged_out(...)`. `fresh`: the one in hand is no longer good."""

    fresh: bool


class Connect(NamedTuple):
    """Open a WebSocket, then call `opened(...)`, or `lost(...)` when that failed.

    `hello`: for the upgrade, which saves a round trip; None when it must wait for a commit.
    """

    hello: pb.ClientFrame | None


class CloseConnection(NamedTuple):
    """Close the WebSocket; no `lost(...)` is expected for it."""

    code: int


class SendFrame(NamedTuple):
    frame: pb.ClientFrame


class SendMessage(NamedTuple):
    """A Send frame whose payload the shell takes from the outbox: the core never holds payloads."""

    conversation: bytes
    stream: int
    client_seq: int
    answered: int
    message_id: bytes
    after: int


class StateEntered(NamedTuple):
    state: State
    reason: str  # name of a close code, or ""


class PresenceSeen(NamedTuple):
    user: bytes
    status: int
    last_seen: int


class TypingSeen(NamedTuple):
    conversation: bytes
    sender: bytes
    active: bool


Effect = (
    Commit | NeedToken | Connect | CloseConnection | SendFrame | SendMessage
    | StateEntered | PresenceSeen | TypingSeen
)  # fmt: skip
