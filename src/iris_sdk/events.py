"""What `Client.events()` gives, and the rows of the history. Ids are text, times ms since 1970.

Events with `n` come from the profile: they are there after the commit that made them true, and can be read again.
Presence, Typing and ConnectionChange speak of now: a slow reader sees only the newest of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from iris_sdk.content import Action, Content, Unknown

_NOTHING = Unknown(b"", 0, 0)


class ConnectionState(StrEnum):
    """What the client's connection is doing."""

    OFFLINE = "offline"  # between attempts, or not asked to connect
    CONNECTING = "connecting"
    CATCHING_UP = "catching_up"  # connected; the past is still coming
    LIVE = "live"
    HELD_ELSEWHERE = "held_elsewhere"  # another process holds the profile and its connection
    CLOSED = "closed"  # for good: see Client.closed_reason


@dataclass(frozen=True, slots=True)
class Message:
    """Somebody wrote to me. `text` is None when there are no words to read; `content` says why: Unknown or Deleted."""

    n: int
    message_id: str
    conversation: str
    sender: str
    device: int
    seq: int
    at: int
    text: str | None
    payload: bytes
    content_type: int
    content: Content = _NOTHING
    kind: ClassVar[str] = "message"


@dataclass(frozen=True, slots=True)
class OwnCopy:
    """I wrote to somebody, from another of my devices."""

    n: int
    message_id: str
    conversation: str
    peer: str
    sender: str
    device: int
    seq: int  # in the recipient's mailbox
    at: int
    text: str | None
    payload: bytes
    content_type: int
    state: str
    content: Content = _NOTHING
    kind: ClassVar[str] = "own"


@dataclass(frozen=True, slots=True)
class Acted:
    """Somebody reacted to a message, edited or deleted it: another, or I from another of my devices.

    Whether it counts is for `Client.shown` to say: an edit of somebody else's message does not.
    """

    n: int
    message_id: str
    conversation: str
    sender: str
    device: int
    seq: int
    at: int
    action: Action
    kind: ClassVar[str] = "action"


@dataclass(frozen=True, slots=True)
class StateChange:
    """A message of mine is accepted, delivered, read, refused or expired. Steps may be skipped."""

    n: int
    message_id: str
    conversation: str
    peer: str
    state: str
    seq: int
    at: int
    code: str  # of a refusal
    kind: ClassVar[str] = "state"


@dataclass(frozen=True, slots=True)
class ReadSync:
    """I have read a conversation up to the message with this seq, on one of my devices."""

    n: int
    conversation: str
    peer: str
    seq: int
    kind: ClassVar[str] = "read"


@dataclass(frozen=True, slots=True)
class HistoryGap:
    """The server could not keep some older messages for this device any longer."""

    n: int
    at: int
    kind: ClassVar[str] = "gap"


@dataclass(frozen=True, slots=True)
class Presence:
    """Somebody whom I watch is online, offline or hidden. `last_seen` is 0 when it is not told."""

    user: str
    status: str
    last_seen: int
    kind: ClassVar[str] = "presence"


@dataclass(frozen=True, slots=True)
class Typing:
    """Somebody is typing, or is no longer."""

    conversation: str
    sender: str
    active: bool
    kind: ClassVar[str] = "typing"


@dataclass(frozen=True, slots=True)
class ConnectionChange:
    """The connection's state. `reason` names the close code, where there was one."""

    state: ConnectionState
    reason: str
    kind: ClassVar[str] = "connection"


Event = Message | OwnCopy | Acted | StateChange | ReadSync | HistoryGap | Presence | Typing | ConnectionChange


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the history.

    `kind`: message (from somebody else), sent (by this device), own (by another of mine), gap. `changed` is the
    number of the row's last change, on the same line as `n`.
    """

    n: int
    changed: int
    kind: str
    conversation: str
    peer: str
    sender: str
    device: int
    message_id: str
    seq: int
    at: int
    state: str
    code: str
    text: str | None
    payload: bytes
    content: Content = _NOTHING


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation of mine."""

    conversation: str
    peer: str
    last_at: int
    unread: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that is durable in the outbox."""

    message_id: str
    n: int
