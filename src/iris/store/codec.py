"""What a row looks like on disk: each value starts with the version of its row's form, so that rows can evolve.

The rows of the hot path are packed by hand (about a microsecond each), the others are a msgpack array of the fields
that are not in the key. To change a row: raise its number in VERSIONS, write the new form, and put a reader of the old
one into OLD_FORMS; rows are rewritten in the new form whenever they change. tests/unit/store/test_codec.py holds golden
bytes, so that no form changes unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Any, get_type_hints

import msgspec

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
from iris.store.keys import (
    KEYS,
    BadRow,
    Unreadable,
    cursor_key,
    mark_key,
    message_key,
    outbox_register_key,
    register_key,
    split,
)

# version, kind, lengths of conversation, sender, message id; device, content type, alg, length of payload; at ... due
_MESSAGE = Struct(">BBBBBIiiIQQQQQ")
_MESSAGE_HEAD = _MESSAGE.size
# version, length of message id; ordinal, stream, client_seq, seq, at, code
_MARK = Struct(">BBQQQQQI")
_CURSOR = Struct(">BQQQQQQ")
_REGISTER = Struct(">BQQQ")
_OUTBOX_REGISTER = Struct(">BQ")
_pack_message, _unpack_message = _MESSAGE.pack, _MESSAGE.unpack_from
_pack_mark, _unpack_mark = _MARK.pack, _MARK.unpack_from
_pack_cursor, _pack_register, _pack_outbox_register = _CURSOR.pack, _REGISTER.pack, _OUTBOX_REGISTER.pack
# The same with ids of the usual length: one pack is faster than joining parts. Struct cuts and pads: check lengths.
_pack_usual_message = Struct(_MESSAGE.format + "32s16s16s").pack
_pack_usual_mark = Struct(_MARK.format + "16s").pack

# Written by this version. A value with another number is read by OLD_FORMS or refused.
VERSIONS: dict[type[Row], int] = {
    MessageRow: 1, MarkRow: 1, AccountRow: 1, DeviceRow: 1, CursorRow: 1, RegisterRow: 1, OutboxItemRow: 1,
    OutboxRegisterRow: 1, InboxMarkRow: 1, ContactRow: 1, BlockRow: 1, BlockedByRow: 1, RevokedRow: 1,
    CountersRow: 1, SeenRow: 1, DeadLetterRow: 1, NameRow: 1, NodeRow: 1,
}  # fmt: skip

# (row type, version) -> reader of that older form: key fields and value in, row out
OLD_FORMS: dict[tuple[type[Row], int], Callable[[tuple[Any, ...], bytes], Row]] = {}


def encode_message(row: MessageRow) -> tuple[bytes, bytes]:
    """Key and value of a mailbox row."""
    (
        user,
        seq,
        kind,
        conversation,
        sender,
        device,
        message_id,
        at,
        peer_seq,
        payload,
        content_type,
        alg,
        pos,
        size,
        due,
    ) = row
    a, b, c = len(conversation), len(sender), len(message_id)
    if a == 32 and b == c == 16:
        head = _pack_usual_message(
            1, kind, 32, 16, 16, device, content_type, alg, len(payload), at, peer_seq, pos, size, due,
            conversation, sender, message_id,
        )  # fmt: skip
        return message_key(user, seq), head + payload
    head = _pack_message(
        1, kind, a, b, c, device, content_type, alg, len(payload), at, peer_seq, pos, size, due
    )  # fmt: skip
    return message_key(user, seq), head + conversation + sender + message_id + payload


def decode_message(user: bytes, seq: int, value: bytes) -> MessageRow:
    """A mailbox row from its value. Raises Unreadable."""
    try:
        version, kind, a, b, c, device, content_type, alg, n, at, peer_seq, pos, size, due = _unpack_message(value)
    except StructError:
        raise _bad(MessageRow, value) from None
    if version != 1:
        row = _old(MessageRow, (user, seq), value)
        assert type(row) is MessageRow
        return row
    a += _MESSAGE_HEAD
    b += a
    c += b
    if len(value) != c + n:
        raise _bad(MessageRow, value)
    return MessageRow(
        user, seq, kind, value[_MESSAGE_HEAD:a], value[a:b], device, value[b:c],
        at, peer_seq, value[c:], content_type, alg, pos, size, due,
    )  # fmt: skip


def _encode_mark(row: MarkRow) -> tuple[bytes, bytes]:
    user, sender, device, slot, ordinal, stream, client_seq, message_id, seq, at, code = row
    if len(message_id) == 16:
        value = _pack_usual_mark(1, 16, ordinal, stream, client_seq, seq, at, code, message_id)
    else:
        value = _pack_mark(1, len(message_id), ordinal, stream, client_seq, seq, at, code) + message_id
    return mark_key(user, sender, device, slot), value


def _decode_mark(fields: Any, value: bytes) -> MarkRow:
    _, n, ordinal, stream, client_seq, seq, at, code = _unpack_mark(value)
    if len(value) != _MARK.size + n:
        raise _bad(MarkRow, value)
    return MarkRow._make((*fields, ordinal, stream, client_seq, value[_MARK.size :], seq, at, code))


def _encode_cursor(row: CursorRow) -> tuple[bytes, bytes]:
    user, device, seq, rev, pos, size, acked, lost = row
    return cursor_key(user, device), _pack_cursor(1, seq, rev, pos, size, acked, lost)


def _encode_register(row: RegisterRow) -> tuple[bytes, bytes]:
    user, conversation, kind, rev, a, b = row
    return register_key(user, conversation, kind), _pack_register(1, rev, a, b)


def _encode_outbox_register(row: OutboxRegisterRow) -> tuple[bytes, bytes]:
    user, target, kind, topic, value = row
    return outbox_register_key(user, target, kind, topic), _pack_outbox_register(1, value)


def _encode_item(row: OutboxItemRow) -> tuple[bytes, bytes]:
    return KEYS[OutboxItemRow](row), b"\x01" + _packer(row[3])


_packer = msgspec.msgpack.Encoder().encode
_body = msgspec.msgpack.Decoder(tuple[Any, ...]).decode

Encoder = Callable[[Any], tuple[bytes, bytes]]
Decoder = Callable[[Any, bytes], Row]


def _fixed(kind: Any, layout: Struct) -> Decoder:
    """A row whose other fields are all unsigned integers."""
    return lambda fields, value: kind(*fields, *layout.unpack(value)[1:])


def _packed(kind: Any, key_fields: int) -> tuple[Encoder, Decoder]:
    """A row whose other fields are a msgpack array, checked against the row's types when it is read."""
    types = list(get_type_hints(kind).values())[key_fields:]
    decoder = msgspec.msgpack.Decoder(tuple[tuple(types)])  # type: ignore[misc]
    version = bytes((VERSIONS[kind],))
    key = KEYS[kind]

    def encode(row: Any) -> tuple[bytes, bytes]:
        return key(row), version + _packer(row[key_fields:])

    def decode(fields: tuple[Any, ...], value: bytes) -> Any:
        return kind(*fields, *decoder.decode(memoryview(value)[1:]))

    return encode, decode


NAMES_MAX = 10_000  # different names that are shared; then it begins anew
_names: dict[str, str] = {}


def _shared_name(form: tuple[Encoder, Decoder]) -> tuple[Encoder, Decoder]:
    """Devices of the same name hold one text: there are few names and many devices."""
    encode, decode = form

    def decode_shared(fields: tuple[Any, ...], value: bytes) -> DeviceRow:
        row = decode(fields, value)
        assert isinstance(row, DeviceRow)
        if len(_names) >= NAMES_MAX:
            _names.clear()
        return row._replace(name=_names.setdefault(row.name, row.name))

    return encode, decode_shared


_FORMS: dict[type[Row], tuple[Encoder, Decoder]] = {
    MessageRow: (encode_message, lambda fields, value: decode_message(fields[0], fields[1], value)),
    MarkRow: (_encode_mark, _decode_mark),
    OutboxItemRow: (_encode_item, lambda fields, value: OutboxItemRow._make((*fields, _body(memoryview(value)[1:])))),
    CursorRow: (_encode_cursor, _fixed(CursorRow, _CURSOR)),
    RegisterRow: (_encode_register, _fixed(RegisterRow, _REGISTER)),
    OutboxRegisterRow: (_encode_outbox_register, _fixed(OutboxRegisterRow, _OUTBOX_REGISTER)),
    AccountRow: _packed(AccountRow, 1),
    DeviceRow: _shared_name(_packed(DeviceRow, 2)),
    InboxMarkRow: _packed(InboxMarkRow, 2),
    ContactRow: _packed(ContactRow, 2),
    BlockRow: _packed(BlockRow, 2),
    BlockedByRow: _packed(BlockedByRow, 2),
    RevokedRow: _packed(RevokedRow, 2),
    CountersRow: _packed(CountersRow, 1),
    SeenRow: _packed(SeenRow, 1),
    DeadLetterRow: _packed(DeadLetterRow, 3),
    NameRow: _packed(NameRow, 1),
    NodeRow: _packed(NodeRow, 1),
}

# Row type -> key and value of a row. Hot: one look-up and one call a row.
ENCODERS: dict[type[Any], Encoder] = {kind: encoder for kind, (encoder, _) in _FORMS.items()}


def encode(row: Row) -> tuple[bytes, bytes]:
    """Key and value of any row. Raises BadRow when a field does not fit."""
    try:
        return ENCODERS[type(row)](row)
    except (StructError, OverflowError, TypeError) as error:
        raise BadRow(f"{type(row).__name__}: {error}") from error


def decode(key: bytes, value: bytes, user: bytes | None = None) -> Row:
    """The row of a key and its value. Raises Unreadable. user: whose it is, where one object shall do for many rows."""
    kind, fields = split(key)
    if user is not None:
        fields = (user, *fields[1:])
    if value[:1] != bytes((VERSIONS[kind],)):
        return _old(kind, fields, value)
    try:
        return _FORMS[kind][1](fields, value)
    except (StructError, TypeError, ValueError):
        raise _bad(kind, value) from None


def _old(kind: type[Row], fields: tuple[Any, ...], value: bytes) -> Row:
    reader = OLD_FORMS.get((kind, value[0] if value else 0))
    if reader is None:
        raise _bad(kind, value)
    return reader(fields, value)


def _bad(kind: type[Row], value: bytes) -> Unreadable:
    number = value[0] if value else None
    if number != VERSIONS[kind]:
        return Unreadable(f"{kind.__name__}: form {number} is unknown, this version reads up to {VERSIONS[kind]}")
    return Unreadable(f"{kind.__name__}: {len(value)} bytes that are not its form {number}")
