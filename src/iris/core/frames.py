"""The protocol's frames as the flat tuples that cross the boundary to the engine, one record per frame.

The first item is the kind (a number of this file), the second the connection. protocol/iris/v1/frames.proto says
what the fields mean; ids and payloads are `bytes`, times are ms since 1970. The engine hands over and takes plain
tuples of these shapes: a record here is one of them with names.
"""

from __future__ import annotations

from typing import Final, NamedTuple

# From a client, in the order of ClientFrame's fields.
HELLO: Final = 1
SEND: Final = 2
ACK: Final = 3
READ: Final = 4
SET_TYPING: Final = 5
WATCH: Final = 6
REFRESH: Final = 7
CLOSED: Final = 15  # the connection is gone; sent once for each connection whose Hello was handed over

# To a client, in the order of ServerFrame's fields.
WELCOME: Final = 1
ACCEPTED: Final = 2
REJECTED: Final = 3
DELIVER: Final = 4
RECEIPT: Final = 5
READ_SYNC: Final = 6
PRESENCE: Final = 7
TYPING: Final = 8
GO_AWAY: Final = 9
REFRESHED: Final = 10
PROBLEM: Final = 11
CLOSE: Final = 15  # send a close frame with this code, then end the connection

KIND_MESSAGE: Final = 1
KIND_OWN_COPY: Final = 2
RETRY_NEVER: Final = 1
RETRY_AFTER: Final = 2
RETRY_GAP: Final = 3
RETRY_NEW_STREAM: Final = 4
STATUS_HIDDEN: Final = 1
STATUS_OFFLINE: Final = 2
STATUS_ONLINE: Final = 3


class Hello(NamedTuple):
    kind: int
    conn: int
    token: str
    seq: int
    rev: int
    features: tuple[str, ...]
    client: str
    address: str  # of the peer, from PROXY v2 where a configured load balancer said it


class Send(NamedTuple):
    kind: int
    conn: int
    conversation: bytes
    stream: int
    client_seq: int
    answered: int
    message_id: bytes
    after: int
    payload: bytes
    content_type: int
    alg: int


class Ack(NamedTuple):
    kind: int
    conn: int
    seq: int
    rev: int


class Read(NamedTuple):
    kind: int
    conn: int
    conversation: bytes
    seq: int


class SetTyping(NamedTuple):
    kind: int
    conn: int
    conversation: bytes
    active: bool


class Watch(NamedTuple):
    kind: int
    conn: int
    users: tuple[bytes, ...]


class Refresh(NamedTuple):
    kind: int
    conn: int
    token: str


class Closed(NamedTuple):
    kind: int
    conn: int
    code: int  # the close code: the one received, the one sent, or 1006 when there was none


class Welcome(NamedTuple):
    kind: int
    conn: int
    session: bytes
    time: int
    head: int
    head_rev: int
    oldest: int
    reset: bool
    user: bytes
    device: int
    features: tuple[str, ...]
    token_expires_at: int
    limits: tuple[int, int, int, int, int, int]  # in the order of iris.v1.Limits


class Accepted(NamedTuple):
    kind: int
    conn: int
    conversation: bytes
    stream: int
    client_seq: int
    message_id: bytes
    seq: int
    at: int


class Rejected(NamedTuple):
    kind: int
    conn: int
    conversation: bytes
    stream: int
    client_seq: int
    message_id: bytes
    code: int
    retry: int
    expected: int
    current_stream: int
    retry_after_ms: int


class Deliver(NamedTuple):
    kind: int
    conn: int
    seq: int
    prev: int
    row_kind: int
    conversation: bytes
    sender: bytes
    device: int
    message_id: bytes
    at: int
    peer_seq: int
    payload: bytes
    content_type: int
    alg: int


class Receipt(NamedTuple):
    kind: int
    conn: int
    rev: int
    prev_rev: int
    conversation: bytes
    delivered: int
    read: int


class ReadSync(NamedTuple):
    kind: int
    conn: int
    rev: int
    prev_rev: int
    conversation: bytes
    seq: int


class Presence(NamedTuple):
    kind: int
    conn: int
    user: bytes
    status: int
    last_seen: int


class Typing(NamedTuple):
    kind: int
    conn: int
    conversation: bytes
    sender: bytes
    active: bool


class GoAway(NamedTuple):
    kind: int
    conn: int
    within_ms: int


class Refreshed(NamedTuple):
    kind: int
    conn: int
    token_expires_at: int


class Problem(NamedTuple):
    kind: int
    conn: int
    code: int
    frame: int
    retry: int
    retry_after_ms: int
    detail: str


class Close(NamedTuple):
    kind: int
    conn: int
    code: int


ClientFrame = Hello | Send | Ack | Read | SetTyping | Watch | Refresh | Closed
ServerFrame = (
    Welcome | Accepted | Rejected | Deliver | Receipt | ReadSync
    | Presence | Typing | GoAway | Refreshed | Problem | Close
)  # fmt: skip
