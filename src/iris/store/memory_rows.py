"""Rows in dictionaries: what MemoryStore keeps once as readers see it and once as the disk would have it.

Keys are those of keys.py, so both adapters list rows in the same order.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from typing import Any

from iris.core.rows import (
    AccountRow,
    BlockedByRow,
    BlockRow,
    ContactRow,
    CountersRow,
    CursorRow,
    CutMailbox,
    DeviceRow,
    DropMark,
    DropUnit,
    Gone,
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
    UserRows,
    Write,
)
from iris.store.codec import ENCODERS, encode
from iris.store.keys import BadRow, key_of, marks, marks_device, unit


class _User:
    """All rows of one user."""

    __slots__ = ("mailbox", "rows", "seqs")

    def __init__(self) -> None:
        self.rows: dict[bytes, Any] = {}  # but mailbox rows
        self.mailbox: dict[int, MessageRow] = {}
        self.seqs: list[int] = []  # of the mailbox, sorted

    def copy(self) -> _User:
        user = _User()
        user.rows, user.mailbox, user.seqs = self.rows.copy(), self.mailbox.copy(), self.seqs.copy()
        return user


class MemoryRows:
    """The rows of a whole store."""

    def __init__(self) -> None:
        self.users: dict[bytes, _User] = {}
        self.names: dict[bytes, NameRow] = {}
        self.node: dict[str, NodeRow] = {}

    def copy(self) -> MemoryRows:
        """Another set of the same rows (rows never change)."""
        rows = MemoryRows()
        rows.users = {user: kept.copy() for user, kept in self.users.items()}
        rows.names, rows.node = self.names.copy(), self.node.copy()
        return rows

    def rows(self) -> int:
        """How many rows there are."""
        return len(self.names) + len(self.node) + sum(len(u.rows) + len(u.mailbox) for u in self.users.values())

    def check(self, writes: Iterable[Write]) -> None:
        """Raises BadRow for what a store on disk could not write, before anything is changed."""
        for write in writes:
            if type(write) in ENCODERS:
                encode(write)  # type: ignore[arg-type]
            elif isinstance(write, Gone):
                key_of(write.row)
            elif isinstance(write, (CutMailbox, DropMark, DropUnit)):
                unit(b"", write.user)
            else:
                raise BadRow(f"{type(write).__name__} is no write")

    def apply(self, writes: Iterable[Write]) -> None:
        """Do the writes in order."""
        for write in writes:
            if isinstance(write, NameRow):
                self.names[write.name] = write
            elif isinstance(write, NodeRow):
                self.node[write.key] = write
            elif isinstance(write, DropUnit):
                self.users.pop(write.user, None)
            elif isinstance(write, CutMailbox):
                self._cut(write)
            elif isinstance(write, DropMark):
                self._drop_mark(write)
            elif isinstance(write, Gone):
                self._delete(write.row)
            elif isinstance(write, MessageRow):
                self._put_message(write)
            else:
                self._of(write.user).rows[key_of(write)] = write

    def _of(self, user: bytes) -> _User:
        found = self.users.get(user)
        if found is None:
            found = self.users[user] = _User()
        return found

    def _put_message(self, row: MessageRow) -> None:
        user = self._of(row.user)
        if row.seq not in user.mailbox:
            insort(user.seqs, row.seq)
        user.mailbox[row.seq] = row

    def _delete(self, row: Row) -> None:
        if isinstance(row, NameRow):
            self.names.pop(row.name, None)
        elif isinstance(row, NodeRow):
            self.node.pop(row.key, None)
        elif (user := self.users.get(row.user)) is None:
            return
        elif isinstance(row, MessageRow):
            if user.mailbox.pop(row.seq, None) is not None:
                user.seqs.remove(row.seq)
        else:
            user.rows.pop(key_of(row), None)

    def _cut(self, write: CutMailbox) -> None:
        user = self.users.get(write.user)
        if user is not None:
            end = bisect_right(user.seqs, write.upto)
            for seq in user.seqs[:end]:
                del user.mailbox[seq]
            del user.seqs[:end]

    def _drop_mark(self, write: DropMark) -> None:
        user = self.users.get(write.user)
        if user is not None:
            prefix = marks_device(write.user, write.sender, write.device)
            for key in [key for key in user.rows if key.startswith(prefix)]:
                del user.rows[key]

    def _sorted(self, user: bytes, kind: type[Any]) -> list[Any]:
        kept = self.users.get(user)
        if kept is None:
            return []
        return [row for _, row in sorted((key, row) for key, row in kept.rows.items() if type(row) is kind)]

    def has(self, user: bytes, kind: type[Any]) -> bool:
        """Whether a user has a row of a kind."""
        kept = self.users.get(user)
        return kept is not None and any(type(row) is kind for row in kept.rows.values())

    def has_outbox(self, user: bytes) -> bool:
        """Whether a user has outbox rows."""
        return self.has(user, OutboxItemRow) or self.has(user, OutboxRegisterRow)

    def load_user(self, user: bytes) -> UserRows:
        """See port.Store."""
        unit(b"", user)
        kept = self.users.get(user) or _User()

        def one(kind: type[Any]) -> Any:
            return next(iter(self._sorted(user, kind)), None)

        return UserRows(
            account=one(AccountRow),
            devices=self._sorted(user, DeviceRow),
            cursors=self._sorted(user, CursorRow),
            registers=self._sorted(user, RegisterRow),
            outbox_items=self._sorted(user, OutboxItemRow),
            outbox_registers=self._sorted(user, OutboxRegisterRow),
            inbox_marks=self._sorted(user, InboxMarkRow),
            contacts=self._sorted(user, ContactRow),
            blocks=self._sorted(user, BlockRow),
            blocked_by=self._sorted(user, BlockedByRow),
            revoked=self._sorted(user, RevokedRow),
            counters=one(CountersRow),
            seen=one(SeenRow),
            first=kept.mailbox[kept.seqs[0]] if kept.seqs else None,
            last=kept.mailbox[kept.seqs[-1]] if kept.seqs else None,
        )

    def load_marks(self, user: bytes, sender: bytes) -> list[MarkRow]:
        """See port.Store."""
        prefix = marks(user, sender)
        kept = self.users.get(user) or _User()
        return [row for key, row in sorted(kept.rows.items()) if key.startswith(prefix)]

    def page_mailbox(self, user: bytes, after: int, upto: int, rows_max: int, bytes_max: int) -> list[MessageRow]:
        """See port.Store."""
        kept = self.users.get(user) or _User()
        page: list[MessageRow] = []
        total = 0
        for at in range(bisect_right(kept.seqs, after), bisect_right(kept.seqs, upto)):
            row = kept.mailbox[kept.seqs[at]]
            total += len(row.payload)
            if len(page) >= rows_max or (page and total > bytes_max):
                break
            page.append(row)
        return page
