"""One user as the durable rows tell it, and a message as its writer wrote it: what the truth is made of."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from iris.core.rows import CONTACTS, AccountRow, CursorRow, MessageRow, RegisterRow

Outcome = tuple[int, int, int]  # (seq, at, code) of a message


class Letter(NamedTuple):
    """A message as a person wrote it."""

    sender: bytes
    device: int
    peer: bytes
    id: bytes
    order: int  # rises with everything written in this world
    text: str


class Link:
    """A device as the server's rows know it."""

    __slots__ = ("gone_at", "linked_at", "number", "start")

    def __init__(self, number: int, now: int) -> None:
        self.number = number
        self.linked_at = now  # µs
        self.start: int | None = None  # rows above this seq are for it
        self.gone_at: int | None = None  # µs


class Unit:
    """The durable rows of one user, as far as promises speak of them."""

    def __init__(self, user: bytes) -> None:
        self.user = user
        self.account: AccountRow | None = None
        self.gen_at = self.changed_at = -(1 << 60)  # µs: `gen` was raised; who may see the user has changed
        self.links: dict[int, Link] = {}
        self.cursors: dict[int, CursorRow] = {}
        self.contacts: set[bytes] = set()
        self.blocks: dict[bytes, int] = {}
        self.blocked_by: dict[bytes, int] = {}
        self.revoked: dict[str, int] = {}  # jti -> µs
        self.rows: dict[int, MessageRow] = {}  # every mailbox row that was not lost with an old backup, trimmed or not
        self.stored_at: dict[int, int] = {}  # seq -> µs
        self.seqs: list[int] = []  # of rows, sorted, refused ones left out
        self.letters: dict[bytes, list[int]] = {}  # sender -> seqs of its messages, sorted
        self.places: dict[tuple[int, bytes, bytes], int] = {}  # (kind, sender, message_id) -> seq
        self.newest: dict[tuple[bytes, int], tuple[int, int]] = {}  # sender device -> (order, at) of its newest row
        self.outcomes: dict[tuple[bytes, int, bytes], Outcome] = {}
        self.registers: dict[tuple[bytes, int], RegisterRow] = {}
        self.revs: set[int] = set()  # every rev that was ever durable
        self.promised: dict[tuple[bytes, int, bytes], int] = {}  # (target, kind, topic) -> value in the outbox
        self.forgetful = False  # conversations_max: registers were dropped
        self.restored_at: int | None = None  # µs: set back to an older backup
        self.deleted = False

    def blocked_with(self, other: bytes) -> bool:
        """Whether one blocks the other, as far as this unit knows."""
        return self.blocks.get(other, 0) % 2 == 1 or self.blocked_by.get(other, 0) % 2 == 1

    def may_write(self, sender: bytes) -> bool:
        """Whether `sender` may write to this user."""
        account = self.account
        if account is None or self.blocked_with(sender):
            return False
        return account.messages != CONTACTS or sender in self.contacts

    def may_see(self, watcher: bytes) -> bool:
        """Whether `watcher` may see presence and last seen."""
        account = self.account
        if account is None or self.deleted or self.blocked_with(watcher):
            return False
        return account.presence == 1 or (account.presence == CONTACTS and watcher in self.contacts)

    def fallen_at(self, device: int, gen: int, jti: str) -> int | None:
        """Since when a token no longer stands, µs; None while it does."""
        link = self.links.get(device)
        falls = [] if link is None or link.gone_at is None else [link.gone_at]
        if self.account is None or self.account.gen != gen:
            falls.append(self.gen_at)
        if jti in self.revoked:
            falls.append(self.revoked[jti])
        return min(falls, default=None)

    def owed(self, after: int, upto: int) -> list[MessageRow]:
        """Rows for devices with after < seq <= upto."""
        seqs = self.seqs
        return [self.rows[seq] for seq in seqs[bisect_right(seqs, after) : bisect_right(seqs, upto)]]

    def written_by(self, sender: bytes, after: int, upto: int) -> list[MessageRow]:
        """Messages of one sender with after < seq <= upto."""
        seqs = self.letters.get(sender, [])
        return [self.rows[seq] for seq in seqs[bisect_right(seqs, after) : bisect_right(seqs, upto)]]
