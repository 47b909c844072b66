"""Is a store whole? Every row is read and decoded, and what must hold between rows is checked.

Changes nothing. Needs the store stopped. Damage goes into the report rather than into an exception, so that one run
names all of it (the first hundred problems, and the count).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from rocksdict import Rdict

from iris.core.ids import user_text
from iris.core.rows import (
    ROW_REFUSED,
    AccountRow,
    CountersRow,
    CursorRow,
    DeviceRow,
    MessageRow,
    OutboxItemRow,
    Row,
)
from iris.store.codec import decode
from iris.store.folder import IDENTITY, READY, ROCKS, STATES, FolderLock, folder_bytes, read_identity
from iris.store.keys import MAILBOX, MARKS, META, NAME, NODE, OUTBOX, SMALL, Unreadable, after
from iris.store.port import StoreDamaged, StoreError, StoreForeign
from iris.store.rocks_db import META_COMMIT, META_EPOCH, META_SCHEMA, meta, open_db, scan, scan_prefix
from iris.store.rocks_open import inspect, read_witness

PROBLEMS_SHOWN: Final = 100
_PARTS = {
    "names": NAME,
    "node": NODE,
    "users": SMALL,
    "outboxes": OUTBOX,
    "mailboxes": MAILBOX,
    "marks": MARKS,
}


@dataclass(slots=True)
class Report:
    """What a check found. `rows` counts by row type, such as MessageRow."""

    path: str
    state: str
    num_shards: int
    schema: int = 0
    epoch: int = 0
    commit: int = 0
    witness: int = 0
    bytes: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    problems_total: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.problems_total == 0

    @property
    def users(self) -> int:
        """Accounts, deleted ones included."""
        return self.rows.get("AccountRow", 0)

    def add(self, problem: str) -> None:
        """Note one thing that is wrong."""
        self.problems_total += 1
        if len(self.problems) < PROBLEMS_SHOWN:
            self.problems.append(problem)


def check(path: str) -> Report:
    """Look at every row of a stopped store or a backup. Changes nothing.

    Raises StoreLocked when it is running, StoreForeign when it is no store or a newer one, StoreDamaged when not even
    its identity is readable.
    """
    folder = Path(path)
    identity = read_identity(folder)
    if identity is None:
        raise StoreForeign(f"{folder} holds no store")
    lock = FolderLock(folder) if identity.state == READY else None
    report = Report(path, identity.state, identity.num_shards, bytes=folder_bytes(folder))
    if identity.state not in STATES:
        report.add(f"{folder / IDENTITY} says the unknown state {identity.state!r}: it is damaged, or of a newer iris")
    try:
        try:
            inspect(folder, identity)
        except StoreDamaged as error:
            report.add(str(error))
        try:
            report.witness = read_witness(folder, identity)
            db = open_db(folder / ROCKS, read_only=True)
        except StoreDamaged as error:
            if report.ok:
                report.add(str(error))
            return report
        try:
            _check_rows(db, report)
        finally:
            db.close()
    finally:
        if lock is not None:
            lock.close()
    return report


def _check_rows(db: Rdict, report: Report) -> None:
    try:
        report.commit, report.epoch, report.schema = (
            meta(db, key) or 0 for key in (META_COMMIT, META_EPOCH, META_SCHEMA)
        )
    except Exception as error:
        report.add(f"the store's own numbers are unreadable: {error}")
    counts: Counter[str] = Counter()
    heads: dict[bytes, int] = {}
    for part, prefix in _PARTS.items():
        rows = _counted(db, part, prefix, report, counts)
        if prefix == MAILBOX:
            _check_mailboxes(rows, report, heads)
        elif prefix == OUTBOX:
            _check_outboxes(rows, report)
        else:
            for _ in rows:
                pass
    _check_users(db, report, heads)
    report.rows = dict(sorted(counts.items()))
    _check_strangers(db, report)


def _counted(db: Rdict, part: str, prefix: bytes, report: Report, counts: Counter[str]) -> Iterator[Row]:
    """The rows of one part that can be read; what cannot is noted."""
    pairs = scan_prefix(db, prefix)
    while True:
        try:
            key, value = next(pairs)
        except StopIteration:
            return
        except Exception as error:
            report.add(f"{part}: a block is unreadable, the rows after it were not looked at: {error}")
            return
        try:
            row = decode(key, value)
        except Unreadable as error:
            report.add(f"{part}: {error} (key {key[:40].hex()})")
            continue
        counts[type(row).__name__] += 1
        yield row


def _check_mailboxes(rows: Iterator[Row], report: Report, heads: dict[bytes, int]) -> None:
    """Within a mailbox pos, size and due never fall, and a row that counts moves pos."""
    before: MessageRow | None = None
    for row in rows:
        if not isinstance(row, MessageRow):
            continue
        heads[row.user] = row.seq
        if row.seq >> 32 > report.epoch:
            report.add(f"{_place(row)}: its epoch {row.seq >> 32} is above the store's, {report.epoch}")
        if before is not None and before.user == row.user:
            counted = row.kind != ROW_REFUSED
            if row.pos < before.pos + counted:
                report.add(f"{_place(row)}: pos {row.pos} after {before.pos}")
            if row.size < before.size:
                report.add(f"{_place(row)}: size {row.size} after {before.size}")
            if row.due < before.due:
                report.add(f"{_place(row)}: due {row.due} after {before.due}")
        before = row


def _check_outboxes(rows: Iterator[Row], report: Report) -> None:
    for row in rows:
        if isinstance(row, OutboxItemRow) and row.number >> 32 > report.epoch:
            report.add(
                f"outbox of {user_text(row.user)}: item {row.number} has an epoch above the store's, {report.epoch}"
            )


def _check_users(db: Rdict, report: Report, heads: dict[bytes, int]) -> None:
    """Cursors lie within their mailbox; nothing is left below the floor; devices were given out by the account."""
    account: AccountRow | None = None
    floors: dict[bytes, int] = {}
    try:
        for key, value in scan_prefix(db, SMALL):
            try:
                row = decode(key, value)
            except Unreadable:
                continue  # noted before
            if isinstance(row, AccountRow):
                account = row
            elif isinstance(row, CountersRow):
                floors[row.user] = row.floor
            elif isinstance(row, CursorRow) and row.seq >> 32 > report.epoch:
                report.add(f"cursor of {user_text(row.user)}, device {row.device}: its epoch is above the store's")
            elif isinstance(row, CursorRow) and row.user in heads and row.seq > heads[row.user]:
                head = heads[row.user]
                report.add(f"cursor of {user_text(row.user)}, device {row.device}: {row.seq} is above the head {head}")
            elif isinstance(row, DeviceRow) and (
                account is None or account.user != row.user or row.device >= account.next_device
            ):
                report.add(f"device {row.device} of {user_text(row.user)}: its account never gave out that number")
        for user, floor in floors.items():
            first = next(scan(db, MAILBOX + user, after(MAILBOX + user)), None)
            if first is not None and int.from_bytes(first[0][-8:], "big") <= floor:
                report.add(f"mailbox of {user_text(user)}: rows at or below its floor {floor}")
    except StoreError:
        raise
    except Exception as error:
        if report.ok:
            report.add(f"users: a block is unreadable: {error}")


def _check_strangers(db: Rdict, report: Report) -> None:
    """Keys that no part of the layout covers."""
    tables = sorted(_PARTS.values())
    starts = [after(META), *map(after, tables)]
    for first, end in zip(starts, [*tables, b"\xff" * 64], strict=True):
        try:
            for key, _ in islice(scan(db, first, end), 1):
                report.add(f"key {key[:40].hex()} belongs to no table")
        except Exception as error:
            report.add(f"between the tables, a block is unreadable: {error}")


def _place(row: MessageRow) -> str:
    return f"mailbox of {user_text(row.user)}, seq {row.seq}"
