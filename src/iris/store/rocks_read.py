"""Reading rows out of RocksDB: the queries of the port, as plain functions on an open database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any

from rocksdict import Rdict

from iris.core.ids import USER_BYTES
from iris.core.rows import (
    AccountRow,
    BlockedByRow,
    BlockRow,
    ContactRow,
    CountersRow,
    CursorRow,
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
    SeenRow,
    UserRows,
)
from iris.store.codec import decode, decode_message
from iris.store.keys import (
    ACCOUNT,
    MAILBOX,
    NAME,
    NODE,
    OUTBOX,
    SEQ_MAX,
    SMALL,
    UNIT_BYTES,
    Unreadable,
    after,
    mailbox_range,
    marks,
    table,
    unit,
)
from iris.store.port import StoreDamaged
from iris.store.rocks_db import Cursor, scan_prefix, translate

_SEQ_AT = UNIT_BYTES


class guard:
    """Turns what a read may raise into a StoreError. A class, since contextlib would cost more than a point read."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            return
        if isinstance(error, Unreadable):
            raise StoreDamaged(
                f"{self._path}: a row is unreadable: {error}. Stop iris and see `iris store check`"
            ) from error
        if type(error) is Exception:  # all that rocksdict raises
            problem = translate(error, self._path)
            if isinstance(problem, StoreDamaged):
                problem = StoreDamaged(f"{problem}. Stop iris and see `iris store check`")
            raise problem from error


def load_user(db: Rdict, user: bytes) -> UserRows:
    """The small tables, the outbox, and the ends of the mailbox: a seek each."""
    rows: dict[type[Any], list[Any]] = {}
    for prefix in (SMALL, OUTBOX):
        for key, value in scan_prefix(db, unit(prefix, user)):
            row = decode(key, value, user)
            rows.setdefault(type(row), []).append(row)
    first, last = _ends(db, user)

    def one(kind: type[Any]) -> Any:
        found = rows.get(kind)
        return found[0] if found else None

    def several(kind: type[Any]) -> list[Any]:
        return rows.get(kind, [])

    return UserRows(
        account=one(AccountRow),
        devices=several(DeviceRow),
        cursors=several(CursorRow),
        registers=several(RegisterRow),
        outbox_items=several(OutboxItemRow),
        outbox_registers=several(OutboxRegisterRow),
        inbox_marks=several(InboxMarkRow),
        contacts=several(ContactRow),
        blocks=several(BlockRow),
        blocked_by=several(BlockedByRow),
        revoked=several(RevokedRow),
        counters=one(CountersRow),
        seen=one(SeenRow),
        first=first,
        last=last,
    )


def _ends(db: Rdict, user: bytes) -> tuple[MessageRow | None, MessageRow | None]:
    prefix = unit(MAILBOX, user)
    cursor = Cursor(db, prefix, after(prefix))
    it = cursor.it
    if not it.valid():
        it.status()
        return None, None
    first = decode_message(user, int.from_bytes(it.key()[_SEQ_AT:], "big"), it.value())
    it.seek_to_last()
    if not it.valid():
        it.status()
    return first, decode_message(user, int.from_bytes(it.key()[_SEQ_AT:], "big"), it.value())


def load_name(db: Rdict, name: bytes) -> NameRow | None:
    """The row of a name unit."""
    key = NAME + name
    value = db.get(key)
    if value is None:
        return None
    row = decode(key, value)
    assert isinstance(row, NameRow)
    return row


def load_marks(db: Rdict, user: bytes, sender: bytes) -> list[MarkRow]:
    """Every outcome of one sender, by device and slot."""
    return [
        row for key, value in scan_prefix(db, marks(user, sender)) if isinstance(row := decode(key, value), MarkRow)
    ]


def page_mailbox(db: Rdict, user: bytes, after_seq: int, upto: int, rows_max: int, bytes_max: int) -> list[MessageRow]:
    """Rows with after_seq < seq <= upto, within both bounds but for the first row."""
    rows: list[MessageRow] = []
    if rows_max <= 0 or after_seq >= min(upto, SEQ_MAX):
        return rows
    cursor = Cursor(db, *mailbox_range(user, after_seq, upto))
    it = cursor.it
    total = 0
    while it.valid():
        row = decode_message(user, int.from_bytes(it.key()[_SEQ_AT:], "big"), it.value())
        total += len(row.payload)
        if rows and total > bytes_max:
            return rows
        rows.append(row)
        if len(rows) == rows_max:
            return rows
        it.next()
    it.status()  # an unreadable block looks like the end; only this tells
    return rows


async def users_with_outbox(db: Rdict, path: Path) -> AsyncIterator[bytes]:
    """Users that have outbox rows. One seek a user; rows may be written while it runs."""
    first: bytes = OUTBOX
    while True:
        with guard(path):
            user = _first_user(db, first, after(OUTBOX))
        if user is None:
            return
        first = after(unit(OUTBOX, user))
        yield user


def users(db: Rdict, after_user: bytes, limit: int) -> list[bytes]:
    """Up to `limit` users above `after_user` that have an account row."""
    found: list[bytes] = []
    first, end = after(SMALL + after_user) if after_user else SMALL, after(SMALL)
    while len(found) < limit and (user := _first_user(db, first, end)) is not None:
        if db.get(table(user, ACCOUNT)) is not None:
            found.append(user)
        first = after(unit(SMALL, user))
    return found


def _first_user(db: Rdict, first: bytes, end: bytes) -> bytes | None:
    if first >= end:
        return None
    cursor = Cursor(db, first, end)
    it = cursor.it
    if not it.valid():
        it.status()
        return None
    key: bytes = it.key()
    return key[1 : 1 + USER_BYTES]


def node_value(db: Rdict, key: str) -> int | None:
    """A number of the node."""
    raw = NODE + key.encode()
    value = db.get(raw)
    if value is None:
        return None
    row = decode(raw, value)
    assert isinstance(row, NodeRow)
    return row.value
