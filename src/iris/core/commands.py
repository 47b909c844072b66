"""What edges and other units say to a shard, and the session records that a shard says to an edge.

Commands to a user start with its id; commands to any unit (users and names) start with the unit. The fabric may lose,
repeat and delay every one of them: who needs an answer asks again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from iris.core.frames import Send
from iris.core.requests import Auth, Request
from iris.core.rows import MarkRow, MessageRow, NameRow, UserRows


# --- from an edge ---
class Attach(NamedTuple):
    """A connection wants to be the session of its device. Repeated until answered with Attached or AttachRefused.

    `number` rises with every connection of an edge; numbers of different edges compare as their clocks do. `attempt`
    rises when the edge attaches a connection anew, not when it repeats itself; answers carry it.
    """

    user: bytes
    edge: int
    conn: int
    number: int
    attempt: int
    auth: Auth
    seq: int
    rev: int


class Detach(NamedTuple):
    """The connection is gone. Repeated until answered with Detached. `number`: as in its Attach."""

    user: bytes
    edge: int
    conn: int
    number: int
    device: int


class SendIn(NamedTuple):
    """A Send, to the recipient. `copies`: the sender has other devices that want an own copy."""

    user: bytes
    edge: int
    sender: bytes
    device: int
    copies: bool
    send: Send


class AckIn(NamedTuple):
    user: bytes
    edge: int
    conn: int
    device: int
    seq: int
    rev: int


class ReadIn(NamedTuple):
    user: bytes
    edge: int
    conn: int
    device: int
    conversation: bytes
    seq: int


class TypingIn(NamedTuple):
    """To the user who shall see it."""

    user: bytes
    sender: bytes
    conversation: bytes
    active: bool


class WatchIn(NamedTuple):
    """To the watched user; answered with a Presence frame."""

    user: bytes
    edge: int
    conn: int
    watcher: bytes
    on: bool


class Reauth(NamedTuple):
    """A session shows a newer token. Answered with Reauthed or a Problem frame."""

    user: bytes
    edge: int
    conn: int
    auth: Auth


# --- to an edge; the kinds are above those of frames.py ---
ATTACHED: Final = 32
ATTACH_REFUSED: Final = 33
SESSION_UPDATE: Final = 34
DETACHED: Final = 35
REAUTHED: Final = 36
ATTACH_AGAIN: Final = 37
CLOSE_SESSION: Final = 38


class Attached(NamedTuple):
    kind: int
    conn: int
    attempt: int
    number: int
    user: bytes
    device: int
    head: int
    head_rev: int
    oldest: int
    reset: bool
    copies: bool
    sends_per_second: int


class AttachRefused(NamedTuple):
    kind: int
    conn: int
    attempt: int
    close_code: int


class AttachAgain(NamedTuple):
    """The client is further than the session that this Attach has made: attach with the newest Ack."""

    kind: int
    conn: int
    attempt: int


class SessionUpdate(NamedTuple):
    """What the edge must know of the sender has changed."""

    kind: int
    conn: int
    copies: bool
    sends_per_second: int


class Detached(NamedTuple):
    kind: int
    conn: int


class CloseSession(NamedTuple):
    """Close the connection. Repeated until its Detach, which comes also from an edge that has it no more."""

    kind: int
    conn: int
    code: int
    number: int  # as in its Attach
    user: bytes
    device: int


class Reauthed(NamedTuple):
    kind: int
    conn: int
    expires_at: int


# --- from another unit's outbox, and back ---
class ItemIn(NamedTuple):
    """A numbered item. Taken when prev <= mark < number; prev is the pending number before it, or 0."""

    unit: bytes
    source: bytes
    number: int
    prev: int
    body: tuple[object, ...]


class ItemsDone(NamedTuple):
    """The target has committed every item up to `number`."""

    unit: bytes
    target: bytes
    number: int


class ItemRefused(NamedTuple):
    """The target refuses this item for good and has committed that it is past it."""

    unit: bytes
    target: bytes
    number: int
    code: int


class RegisterIn(NamedTuple):
    """A max register's value. Answered with RegisterDone once a value at least as high is durable."""

    unit: bytes
    source: bytes
    kind: int
    topic: bytes
    value: int


class RegisterDone(NamedTuple):
    unit: bytes
    target: bytes
    kind: int
    topic: bytes
    value: int


# --- from the API ---
class RequestIn(NamedTuple):
    unit: bytes
    request: Request


# --- from the store ---
class Loaded(NamedTuple):
    user: bytes
    rows: UserRows


class NameLoaded(NamedTuple):
    unit: bytes
    row: NameRow | None


class MarksLoaded(NamedTuple):
    user: bytes
    sender: bytes
    rows: list[MarkRow]


class Paged(NamedTuple):
    user: bytes
    after: int
    upto: int
    rows: list[MessageRow]
    purpose: tuple[object, ...]


# --- from the node ---
class Wake(NamedTuple):
    """Load this user, if it is not: it has outbox rows to send, or rows to expire."""

    user: bytes


class EdgeGone(NamedTuple):
    """The lease of an edge has lapsed: its sessions and watches are over. For every shard."""

    edge: int


Command = (
    Attach | Detach | SendIn | AckIn | ReadIn | TypingIn | WatchIn | Reauth | ItemIn | ItemsDone | ItemRefused
    | RegisterIn | RegisterDone | RequestIn | Loaded | NameLoaded | MarksLoaded | Paged | Wake
)  # fmt: skip
