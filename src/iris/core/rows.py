"""The rows of the store: what the core writes and what it is loaded from.

Every row belongs to one unit (its first field: a user id, or a name for NameRow) and is found by its key fields.
Writing a row replaces the one with the same key. A commit is a list of writes; the writes of one unit in one commit
appear together or not at all, those of different units may be torn apart by a crash (never out of commit order with
RocksDB). Times are ms since 1970. How a row becomes bytes is the store adapters' business.
"""

from __future__ import annotations

from typing import Final, NamedTuple

# MessageRow.kind; the first two as in iris.v1.Kind
ROW_MESSAGE: Final = 1
ROW_OWN_COPY: Final = 2
ROW_REFUSED: Final = 3
STATE_REGISTERING: Final = 1
STATE_ACTIVE: Final = 2
STATE_DELETED: Final = 3
EVERYONE: Final = 1
CONTACTS: Final = 2
NOBODY: Final = 3
REGISTER_RECEIPT: Final = 1
REGISTER_READ_SYNC: Final = 2


class MessageRow(NamedTuple):
    """One mailbox row. Key: (user, seq). ROW_REFUSED rows only hold a number: they have no payload and no pos of
    their own.
    """

    user: bytes
    seq: int
    kind: int
    conversation: bytes
    sender: bytes
    device: int
    message_id: bytes
    at: int
    peer_seq: int
    payload: bytes
    content_type: int
    alg: int
    pos: int  # rows of this mailbox up to this one, refused ones not counted: pending = head pos - cursor pos
    size: int  # payload bytes up to and with this row
    due: int  # (row, device) pairs up to and with this row


class MarkRow(NamedTuple):
    """One outcome of a sender device. Key: (user, sender, device, slot); the newest send_window outcomes are kept
    in a ring.
    """

    user: bytes
    sender: bytes
    device: int
    slot: int
    ordinal: int  # rises with every new outcome of this mark; slot = ordinal % send_window
    stream: int
    client_seq: int
    message_id: bytes
    seq: int  # of the mailbox row, 0 when refused
    at: int
    code: int  # 0 accepted, else an outcome code of errors.toml


class AccountRow(NamedTuple):
    """Key: (user)."""

    user: bytes
    state: int
    handle: str  # "" until the name unit has confirmed it
    wanted_handle: str  # a claim under way, else ""
    invite: str  # an invite being redeemed, else ""
    name: str
    password: str  # argon2id, encoded
    gen: int
    presence: int  # who sees online and last seen: EVERYONE, CONTACTS, NOBODY
    messages: int  # who may write: EVERYONE or CONTACTS
    read_receipts: bool
    created_at: int
    next_device: int  # never reused


class DeviceRow(NamedTuple):
    """A linked device. Key: (user, device)."""

    user: bytes
    device: int
    name: str
    linked_at: int
    refresh: bytes  # SHA-256 of the newest refresh secret; b"" when logged out
    refresh_before: bytes  # of the one before it
    seen_at: int


class CursorRow(NamedTuple):
    """How far a device has acked. Key: (user, device)."""

    user: bytes
    device: int
    seq: int
    rev: int
    pos: int  # of the row at seq
    size: int  # of the row at seq
    acked: int  # rows this device has acked, ever
    lost: int = 0  # rows that expired or were cut before it got them, ever


class RegisterRow(NamedTuple):
    """A max register shown to the user's devices. Key: (user, conversation, kind)."""

    user: bytes
    conversation: bytes
    kind: int  # REGISTER_RECEIPT: a = delivered, b = read by the peer; REGISTER_READ_SYNC: a = read by this user, b = 0
    rev: int
    a: int
    b: int


class OutboxItemRow(NamedTuple):
    """A numbered item on its way to another unit. Key: (user, target, number). Numbers rise (epoch << 32 | counter)."""

    user: bytes
    target: bytes  # a unit: "u" + user id, "@" + handle, "!" + invite
    number: int
    body: tuple[object, ...]  # (kind, …): ints, bytes, str and bool only; core/outbox.py knows them


class OutboxRegisterRow(NamedTuple):
    """A max register on its way to another unit. Key: (user, target, kind, topic). Only the newest value is kept."""

    user: bytes
    target: bytes
    kind: int
    topic: bytes
    value: int


class InboxMarkRow(NamedTuple):
    """The last number taken from another unit's outbox; of the unit itself: the last one that its own outbox has
    given. Key: (user, source).
    """

    user: bytes
    source: bytes
    number: int


class ContactRow(NamedTuple):
    """Key: (user, contact)."""

    user: bytes
    contact: bytes
    name: str
    added_at: int


class BlockRow(NamedTuple):
    """Whom this user blocks. Key: (user, other). version rises with every change and is odd while the block stands."""

    user: bytes
    other: bytes
    version: int


class BlockedByRow(NamedTuple):
    """Who blocks this user. Key: (user, other). version as in that user's BlockRow."""

    user: bytes
    other: bytes
    version: int


class RevokedRow(NamedTuple):
    """A revoked token id. Key: (user, jti)."""

    user: bytes
    jti: str
    until: int  # when the token expires by itself


class CountersRow(NamedTuple):
    """What the mailbox cannot say itself once rows are gone. Written with every CutMailbox and unlink. Key: (user)."""

    user: bytes
    floor: int  # every row with seq <= floor was deleted
    pos: int  # of the newest row, as MessageRow.pos
    size: int
    due: int
    acked: int  # (row, device) pairs acked by devices that are no longer linked
    expired: int  # pairs that left the mailbox otherwise
    cut: int
    unlinked: int


class SeenRow(NamedTuple):
    """When the user was last online. Key: (user)."""

    user: bytes
    at: int


class DeadLetterRow(NamedTuple):
    """An outbox item that its target refused for good. Key: (user, target, number)."""

    user: bytes
    target: bytes
    number: int
    body: tuple[object, ...]
    code: int
    at: int


class NameRow(NamedTuple):
    """Who holds a name. Key: (name)."""

    name: bytes
    capacity: int
    holders: tuple[bytes, ...]
    marks: tuple[tuple[bytes, int], ...]  # last outbox number taken of each of the newest sources


class NodeRow(NamedTuple):
    """A number of the node itself, such as the expiry horizon. Key: (key)."""

    key: str
    value: int


Row = (
    MessageRow | MarkRow | AccountRow | DeviceRow | CursorRow | RegisterRow | OutboxItemRow | OutboxRegisterRow
    | InboxMarkRow | ContactRow | BlockRow | BlockedByRow | RevokedRow | CountersRow | SeenRow
    | DeadLetterRow | NameRow | NodeRow
)  # fmt: skip


class Gone(NamedTuple):
    """Delete the row with the same key as `row` (its other fields do not matter)."""

    row: Row


class CutMailbox(NamedTuple):
    """Delete the user's mailbox rows with seq <= upto, as one range."""

    user: bytes
    upto: int


class DropMark(NamedTuple):
    """Delete every MarkRow of one sender device."""

    user: bytes
    sender: bytes
    device: int


class DropUnit(NamedTuple):
    """Delete every row of a user, mailbox and marks included. Later writes of the same commit stand."""

    user: bytes


Write = Row | Gone | CutMailbox | DropMark | DropUnit


class UserRows(NamedTuple):
    """Everything a user is loaded from. Mailbox rows and marks are read apart, when needed."""

    account: AccountRow | None
    devices: list[DeviceRow]
    cursors: list[CursorRow]
    registers: list[RegisterRow]
    outbox_items: list[OutboxItemRow]
    outbox_registers: list[OutboxRegisterRow]
    inbox_marks: list[InboxMarkRow]
    contacts: list[ContactRow]
    blocks: list[BlockRow]
    blocked_by: list[BlockedByRow]
    revoked: list[RevokedRow]
    counters: CountersRow | None
    seen: SeenRow | None
    first: MessageRow | None  # lowest row of the mailbox, refused ones included
    last: MessageRow | None  # highest row of the mailbox, refused ones included
