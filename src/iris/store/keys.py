"""Where a row lies: the one key layout of every adapter that keeps rows in order.

    0x00 name                                       the store's own numbers (commit, epoch, schema, ...)
    N key                                           NodeRow
    A name                                          NameRow
    U user table ...                                the small tables of a user, read in one go when the user is loaded
    O user table target ...                         outbox rows: a restart finds who has some without reading all users
    M user seq                                      mailbox rows
    K user sender device slot                       marks

A user is 16 bytes, integers are big-endian, so keys sort as their fields do. Fields of any length that are not last
carry their length in front. Two keys of different rows can never be equal: each part has a fixed length or says its
own. This module knows rows and bytes, no database.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any, Final

from iris.core.ids import CONVERSATION_BYTES, USER_BYTES
from iris.core.rows import (
    AccountRow,
    BlockedByRow,
    BlockRow,
    ContactRow,
    CountersRow,
    CursorRow,
    DeadLetterRow,
    DeviceRow,
    InboxMarkRow,
    MarkRow,
    MessageRow,
    NameRow,
    NodeRow,
    OutboxItemRow,
    OutboxRegisterRow,
    RegisterRow,
    RevokedRow,
    Row,
    SeenRow,
)

META: Final = b"\x00"
NODE: Final = b"N"
NAME: Final = b"A"
SMALL: Final = b"U"
OUTBOX: Final = b"O"
MAILBOX: Final = b"M"
MARKS: Final = b"K"
UNIT_PREFIXES = (SMALL, OUTBOX, MAILBOX, MARKS)  # every row of a user lies under one of these and its id
UNIT_BYTES = 1 + USER_BYTES
SEQ_MAX: Final = (1 << 64) - 1

# Tables of U and O. Numbers are never reused.
ACCOUNT: Final = 1
DEVICE: Final = 2
CURSOR: Final = 3
REGISTER: Final = 4
INBOX_MARK: Final = 5
CONTACT: Final = 6
BLOCK: Final = 7
BLOCKED_BY: Final = 8
REVOKED: Final = 9
COUNTERS: Final = 10
SEEN: Final = 11
DEAD_LETTER: Final = 12
OUTBOX_ITEM: Final = 1
OUTBOX_REGISTER: Final = 2

_U32, _U64 = Struct(">I"), Struct(">Q")
_SLOT = Struct(">IH")
u32, u64 = _U32.pack, _U64.pack

# Whole keys of the hot rows, their variable parts in the usual lengths: one pack takes half the time of joining parts.
# Struct cuts and pads: lengths are checked before.
_MAILBOX_KEY = Struct(">1s16sQ").pack
_MARK_KEY = Struct(">1s16s16sIH").pack
_CURSOR_KEY = Struct(">1s16sBI").pack
_REGISTER_KEY = Struct(f">1s16sBB{CONVERSATION_BYTES}sI").pack
_OUTBOX_REGISTER_KEY = Struct(f">1s16sBB{UNIT_BYTES}sI").pack


class BadRow(ValueError):
    """A row that cannot be written: a field does not fit. A bug of the caller."""


class Unreadable(ValueError):
    """Bytes in the store that are no row."""


def unit(prefix: bytes, user: bytes) -> bytes:
    """The prefix of all rows of `user` in one part of the store."""
    if len(user) != USER_BYTES:
        raise _bad_id(user)
    return prefix + user


def _bad_id(user: bytes) -> BadRow:
    return BadRow(f"a user id has {USER_BYTES} bytes, not {len(user)}")


def after(prefix: bytes) -> bytes:
    """The lowest key above all keys that start with `prefix`."""
    head = prefix.rstrip(b"\xff")
    return head[:-1] + bytes((head[-1] + 1,))


def mailbox(user: bytes, seq: int) -> bytes:
    """The key of one mailbox row."""
    return unit(MAILBOX, user) + u64(seq)


def mailbox_range(user: bytes, after_seq: int, upto: int) -> tuple[bytes, bytes]:
    """From the first key above `after_seq` up to, not with, the first key above `upto`."""
    base = unit(MAILBOX, user)
    first = base + u64(after_seq + 1) if after_seq < SEQ_MAX else after(base)
    end = base + u64(upto + 1) if upto < SEQ_MAX else after(base)
    return first, end


def marks(user: bytes, sender: bytes) -> bytes:
    """The prefix of all marks of one sender."""
    return unit(MARKS, user) + unit(b"", sender)


def marks_device(user: bytes, sender: bytes, device: int) -> bytes:
    """The prefix of the marks of one sender device."""
    return marks(user, sender) + u32(device)


def table(user: bytes, number: int) -> bytes:
    """The prefix of one small table of a user."""
    return unit(SMALL, user) + bytes((number,))


def _sized(part: bytes) -> bytes:
    if len(part) > 255:
        raise BadRow(f"a key field has at most 255 bytes, not {len(part)}")
    return bytes((len(part),)) + part


def message_key(user: bytes, seq: int) -> bytes:
    """The key of a MessageRow."""
    if len(user) != USER_BYTES:
        raise _bad_id(user)
    return _MAILBOX_KEY(MAILBOX, user, seq)


def mark_key(user: bytes, sender: bytes, device: int, slot: int) -> bytes:
    """The key of a MarkRow."""
    if len(user) != USER_BYTES or len(sender) != USER_BYTES:
        raise _bad_id(user if len(user) != USER_BYTES else sender)
    return _MARK_KEY(MARKS, user, sender, device, slot)


def cursor_key(user: bytes, device: int) -> bytes:
    """The key of a CursorRow."""
    if len(user) != USER_BYTES:
        raise _bad_id(user)
    return _CURSOR_KEY(SMALL, user, CURSOR, device)


def register_key(user: bytes, conversation: bytes, kind: int) -> bytes:
    """The key of a RegisterRow."""
    if len(conversation) != CONVERSATION_BYTES or len(user) != USER_BYTES:
        return table(user, REGISTER) + _sized(conversation) + u32(kind)
    return _REGISTER_KEY(SMALL, user, REGISTER, CONVERSATION_BYTES, conversation, kind)


def outbox_register_key(user: bytes, target: bytes, kind: int, topic: bytes) -> bytes:
    """The key of an OutboxRegisterRow."""
    if len(target) != UNIT_BYTES or len(user) != USER_BYTES:
        return unit(OUTBOX, user) + b"\x02" + _sized(target) + u32(kind) + topic
    return _OUTBOX_REGISTER_KEY(OUTBOX, user, OUTBOX_REGISTER, UNIT_BYTES, target, kind) + topic


def _outbox_item(row: OutboxItemRow) -> bytes:
    return unit(OUTBOX, row.user) + b"\x01" + _sized(row.target) + u64(row.number)


KEYS: dict[type[Row], Callable[[Any], bytes]] = {
    MessageRow: lambda row: message_key(*row[:2]),
    MarkRow: lambda row: mark_key(*row[:4]),
    AccountRow: lambda row: table(row.user, ACCOUNT),
    DeviceRow: lambda row: table(row.user, DEVICE) + u32(row.device),
    CursorRow: lambda row: cursor_key(*row[:2]),
    RegisterRow: lambda row: register_key(*row[:3]),
    OutboxItemRow: _outbox_item,
    OutboxRegisterRow: lambda row: outbox_register_key(*row[:4]),
    InboxMarkRow: lambda row: table(row.user, INBOX_MARK) + row.source,
    ContactRow: lambda row: table(row.user, CONTACT) + row.contact,
    BlockRow: lambda row: table(row.user, BLOCK) + row.other,
    BlockedByRow: lambda row: table(row.user, BLOCKED_BY) + row.other,
    RevokedRow: lambda row: table(row.user, REVOKED) + row.jti.encode(),
    CountersRow: lambda row: table(row.user, COUNTERS),
    SeenRow: lambda row: table(row.user, SEEN),
    DeadLetterRow: lambda row: table(row.user, DEAD_LETTER) + _sized(row.target) + u64(row.number),
    NameRow: lambda row: NAME + row.name,
    NodeRow: lambda row: NODE + row.key.encode(),
}


def key_of(row: Row) -> bytes:
    """The key of any row. Raises BadRow when a field does not fit."""
    return KEYS[type(row)](row)


def _whole(part: bytes, size: int) -> bytes:
    if len(part) != size:
        raise Unreadable(f"{len(part)} bytes where {size} belong")
    return part


def _take(part: bytes) -> tuple[bytes, bytes]:
    """A sized field and what follows it."""
    end = 1 + part[0] if part else 1
    if len(part) < end:
        raise Unreadable("a field is cut short")
    return part[1:end], part[end:]


def _u32(part: bytes) -> int:
    return int.from_bytes(_whole(part, 4), "big")


def _u64(part: bytes) -> int:
    return int.from_bytes(_whole(part, 8), "big")


def _none(part: bytes) -> tuple[()]:
    _whole(part, 0)
    return ()


def _split_mark(part: bytes) -> tuple[bytes, int, int]:
    _whole(part, USER_BYTES + _SLOT.size)
    device, slot = _SLOT.unpack_from(part, USER_BYTES)
    return part[:USER_BYTES], device, slot


def _split_numbered(part: bytes) -> tuple[bytes, int]:
    target, rest = _take(part)
    return target, _u64(rest)


def _split_register(part: bytes) -> tuple[bytes, int]:
    conversation, rest = _take(part)
    return conversation, _u32(rest)


def _split_outbox_register(part: bytes) -> tuple[bytes, int, bytes]:
    target, rest = _take(part)
    return target, _u32(rest[:4]), rest[4:]


Split = Callable[[bytes], tuple[Any, ...]]

# (prefix, table or 0) -> row type and how the key fields after the user are read back
TABLES: dict[tuple[bytes, int], tuple[type[Row], Split]] = {
    (SMALL, ACCOUNT): (AccountRow, _none),
    (SMALL, DEVICE): (DeviceRow, lambda part: (_u32(part),)),
    (SMALL, CURSOR): (CursorRow, lambda part: (_u32(part),)),
    (SMALL, REGISTER): (RegisterRow, _split_register),
    (SMALL, INBOX_MARK): (InboxMarkRow, lambda part: (part,)),
    (SMALL, CONTACT): (ContactRow, lambda part: (part,)),
    (SMALL, BLOCK): (BlockRow, lambda part: (part,)),
    (SMALL, BLOCKED_BY): (BlockedByRow, lambda part: (part,)),
    (SMALL, REVOKED): (RevokedRow, lambda part: (part.decode(),)),
    (SMALL, COUNTERS): (CountersRow, _none),
    (SMALL, SEEN): (SeenRow, _none),
    (SMALL, DEAD_LETTER): (DeadLetterRow, _split_numbered),
    (OUTBOX, OUTBOX_ITEM): (OutboxItemRow, _split_numbered),
    (OUTBOX, OUTBOX_REGISTER): (OutboxRegisterRow, _split_outbox_register),
    (MAILBOX, 0): (MessageRow, lambda part: (_u64(part),)),
    (MARKS, 0): (MarkRow, _split_mark),
    (NAME, 0): (NameRow, _none),
    (NODE, 0): (NodeRow, _none),
}


def split(key: bytes) -> tuple[type[Row], tuple[Any, ...]]:
    """The row type of a key and its key fields. Raises Unreadable when the key is no row's."""
    prefix = key[:1]
    try:
        if prefix == NAME:
            return NameRow, (key[1:],)
        if prefix == NODE:
            return NodeRow, (key[1:].decode(),)
        if len(key) < UNIT_BYTES:
            raise Unreadable("too short")
        user, rest = key[1:UNIT_BYTES], key[UNIT_BYTES:]
        if prefix in (SMALL, OUTBOX):
            kind, fields = TABLES[prefix, rest[0]]
            return kind, (user, *fields(rest[1:]))
        kind, fields = TABLES[prefix, 0]
        return kind, (user, *fields(rest))
    except (LookupError, ValueError) as error:
        raise Unreadable(f"key {key[:40].hex()} is not the key of any row: {error}") from None
