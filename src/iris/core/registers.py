"""The max registers that a user's devices are shown: receipts and read positions, in the order of their revisions.

A register only grows. Each change takes the user's next `rev`; a device is sent changed registers in rev order,
each with the rev sent before it, and takes, acks and resumes them exactly like mailbox rows. A register that
changed again is sent once, at its newest rev. Limit: conversations_max; the register changed longest ago goes
first.
"""

from __future__ import annotations

from bisect import bisect_right

from iris.core.rows import RegisterRow
from iris.core.tables import NO_ITEMS, NOTHING

Key = tuple[bytes, int]  # (conversation, REGISTER_…)


class Registers:
    """The registers of one user."""

    __slots__ = ("_order", "_rows", "head")

    def __init__(self) -> None:
        self.head = 0  # the newest rev
        self._rows: dict[Key, RegisterRow] = {}
        self._order: list[tuple[int, Key]] = []  # by rev; entries whose register has moved on are skipped

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, conversation: bytes, kind: int) -> RegisterRow | None:
        return self._rows.get((conversation, kind))

    def load(self, rows: list[RegisterRow]) -> None:
        """Take the stored registers."""
        if rows:
            self._rows = {(row.conversation, row.kind): row for row in rows}
            self._order = sorted((row.rev, key) for key, row in self._rows.items())
            self.head = self._order[-1][0]

    def raise_to(self, user: bytes, conversation: bytes, kind: int, a: int, b: int, rev: int) -> RegisterRow | None:
        """Merge by maximum. The row to store under `rev`, or None when nothing grew. `rev` is above `head`."""
        key = (conversation, kind)
        old = self._rows.get(key)
        if old is not None:
            a, b = max(a, old.a), max(b, old.b)
            if a == old.a and b == old.b:
                return None
        # By position: one for every receipt.
        row = self._rows[key] = tuple.__new__(RegisterRow, (user, conversation, kind, rev, a, b))
        self._order.append((rev, key))
        self.head = rev
        if len(self._order) > 2 * len(self._rows) + 64:
            self._order = [entry for entry in self._order if self._rows[entry[1]].rev == entry[0]]
        return row

    def drop_oldest(self) -> RegisterRow | None:
        """Forget the register changed longest ago; returns it."""
        while self._order:
            rev, key = self._order.pop(0)
            row = self._rows.get(key)
            if row is not None and row.rev == rev:
                return self._rows.pop(key)
        return None

    def after(self, rev: int, limit: int) -> list[RegisterRow]:
        """Registers above `rev` in rev order, at most `limit`."""
        found: list[RegisterRow] = []
        for position in range(bisect_right(self._order, rev, key=lambda entry: entry[0]), len(self._order)):
            if len(found) == limit:
                break
            entry_rev, key = self._order[position]
            row = self._rows.get(key)
            if row is not None and row.rev == entry_rev:
                found.append(row)
        return found


NO_REGISTERS = Registers()  # of every user who has none: see tables.py. The first that is raised makes a user's own
NO_REGISTERS._rows, NO_REGISTERS._order = NOTHING, NO_ITEMS
