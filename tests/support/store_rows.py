"""Rows for tests of the store: one sample of each type, any row for hypothesis, and a commit that is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, get_type_hints

from hypothesis import strategies as st

from iris.core import rows
from iris.core.rows import MarkRow, MessageRow, Row, Write
from iris.store import Store, StoreError

ADA, BOB, CYN = b"\x00\x01" + b"a" * 14, b"\x00\x01" + b"b" * 14, b"\xff" * 16
EPOCH = 1 << 32
ROW_TYPES: tuple[type[Row], ...] = rows.Row.__args__


def message(user: bytes, number: int, payload: bytes = b"hello", *, kind: int = rows.ROW_MESSAGE) -> MessageRow:
    """Mailbox row `number` of a user, from Bob, in a mailbox of equal rows."""
    return MessageRow(
        user, EPOCH | number, kind, user + BOB, BOB, 1, number.to_bytes(16, "big"), 1_700_000_000_000 + number, 0,
        payload, 1, 0, number, number * len(payload), number,
    )  # fmt: skip


def mark(user: bytes, sender: bytes, device: int, ordinal: int, code: int = 0) -> MarkRow:
    """Outcome `ordinal` of a sender device."""
    return MarkRow(
        user, sender, device, ordinal % 32, ordinal, 1, ordinal, bytes(16), EPOCH | ordinal, 1_700_000_000_000, code
    )


def account(user: bytes, handle: str = "ada", next_device: int = 3) -> rows.AccountRow:
    """An active account."""
    return rows.AccountRow(
        user, rows.STATE_ACTIVE, handle, "", "", "Ada L.", "$argon2id$v=19$x",
        2, 1, 2, True, 1_700_000_000_000, next_device,
    )  # fmt: skip


SAMPLES: list[Row] = [
    message(ADA, 5, b"\x00payload\xff"),
    message(ADA, 6, b"", kind=rows.ROW_REFUSED)._replace(pos=5, size=45),
    mark(ADA, BOB, 2, 37, 1203),
    account(ADA),
    rows.DeviceRow(ADA, 1, "phone ☎", 1_700_000_000_000, b"r" * 32, b"", 1_700_000_000_001),
    rows.CursorRow(ADA, 1, EPOCH | 5, 7, 5, 25, 4),
    rows.RegisterRow(ADA, ADA + BOB, rows.REGISTER_RECEIPT, 9, EPOCH | 3, EPOCH | 2),
    rows.OutboxItemRow(ADA, b"u" + BOB, EPOCH | 3, (1, b"\x00\xff", "ö", True, False, 1 << 53)),
    rows.OutboxRegisterRow(ADA, b"u" + BOB, 2, ADA + BOB, 1 << 53),
    rows.InboxMarkRow(ADA, b"u" + BOB, EPOCH | 8),
    rows.ContactRow(ADA, BOB, "Bob", 1_700_000_000_000),
    rows.BlockRow(ADA, BOB, 3),
    rows.BlockedByRow(ADA, BOB, 4),
    rows.RevokedRow(ADA, "jti-1", 1_700_000_000_000),
    rows.CountersRow(ADA, EPOCH | 2, 5, 25, 5, 1, 2, 3, 4),
    rows.SeenRow(ADA, 1_700_000_000_000),
    rows.DeadLetterRow(ADA, b"@bob", EPOCH | 1, (3, "x"), 1203, 1_700_000_000_000),
    rows.NameRow(b"@ada", 1, (ADA, BOB), ((b"u" + BOB, EPOCH | 4),)),
    rows.NodeRow("horizon", 1_700_000_000_000),
]

_unit64 = st.integers(0, (1 << 63) - 1)
_ITEM = st.one_of(_unit64, st.booleans(), st.binary(max_size=40), st.text(max_size=20))
_BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    int: _unit64,
    str: st.text(max_size=40),
    bytes: st.binary(max_size=200),
    bool: st.booleans(),
    tuple[object, ...]: st.lists(_ITEM, min_size=1, max_size=6).map(tuple),
    tuple[bytes, ...]: st.lists(st.binary(max_size=40), max_size=5).map(tuple),
    tuple[tuple[bytes, int], ...]: st.lists(st.tuples(st.binary(max_size=40), _unit64), max_size=5).map(tuple),
}
_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "user": st.binary(min_size=16, max_size=16),
    "device": st.integers(0, (1 << 32) - 1),
    "kind": st.integers(0, 255),
    "slot": st.integers(0, (1 << 16) - 1),
    "code": st.integers(0, (1 << 32) - 1),
    "content_type": st.integers(-(1 << 31), (1 << 31) - 1),
    "alg": st.integers(-(1 << 31), (1 << 31) - 1),
}


def _rows_of(kind: type[Row]) -> st.SearchStrategy[Any]:
    fields = {}
    for name, hint in get_type_hints(kind).items():
        fields[name] = _BY_NAME[name] if name in _BY_NAME else _BY_TYPE[hint]
        if kind is MarkRow and name == "sender":
            fields[name] = _BY_NAME["user"]
    return st.builds(kind, **fields)


def any_row() -> st.SearchStrategy[Row]:
    """A row of any type with any fields that fit."""
    return st.one_of([_rows_of(kind) for kind in ROW_TYPES])


async def commit(store: Store, writes: Sequence[Write]) -> None:
    """Commit and wait until it is durable. Raises what the store reports."""
    reported: asyncio.Future[StoreError | None] = asyncio.get_running_loop().create_future()
    store.submit(writes, reported.set_result)
    error = await asyncio.wait_for(reported, 30)
    if error is not None:
        raise error
