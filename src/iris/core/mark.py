"""The receiver's half of the numbered stream of Sends: one Mark per sender device, kept in the recipient's unit.

It holds the newest stream S, its high-water mark h, and the outcomes of the last `send_window` messages across
streams. `judge` is the rule of docs/protocol.md, in its order; it changes nothing. `record` and `move` spend a number.
A mark must be durable with the row it speaks of, in one unit, before anyone hears of either.

A message that comes again under a new number keeps its place in the ring (`move`). If it took another one, a client
that is cut off twice in the midst of sending its window again would push out the outcomes of the messages that it has
not got to, and those would be stored a second time. For the same reason a new outcome takes the place of the one with
the lowest stream and number, which after a move need not be the one stored first: a client sends what it has no answer
for in its order, so what still counts was moved to this stream before a new message comes, less than a window lower.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import NamedTuple

from iris.core.rows import MarkRow


class Outcome(NamedTuple):
    """What became of one message: accepted at `seq` (code 0), or refused with `code`."""

    stream: int
    client_seq: int
    message_id: bytes
    seq: int
    at: int
    code: int


class Verdict(IntEnum):
    """What a Send is."""

    NEW = auto()  # the next number, an unknown message
    REPEAT = auto()  # answered before: the outcome again, nothing is spent
    MOVED = auto()  # the next number, a message known from an older number: that outcome, the number is spent
    STALE = auto()  # STREAM_STALE
    GAP = auto()  # SEQUENCE_GAP


_NEW = (Verdict.NEW, None, 0)  # the usual answer, made once: looking up a member of an Enum takes 100 ns


class Mark:
    """Marks of one sender device in one recipient's unit."""

    __slots__ = ("_by_id", "_ring", "closed", "high", "last_at", "ordinal", "refusals", "refused_at", "stream")

    def __init__(self, window: int) -> None:
        self.stream = 0
        self.high = 0
        self.closed = -1  # a stream that was answered STALE: see `close`
        self.ordinal = 0
        self.last_at = 0
        self.refusals = 0  # stored refusals since refused_at (mono ms): refusals_per_minute_max
        self.refused_at = 0
        self._ring: list[Outcome | None] = [None] * window
        self._by_id: dict[bytes, Outcome] = {}  # in the order of stream and number

    def judge(
        self, stream: int, client_seq: int, answered: int, message_id: bytes
    ) -> tuple[Verdict, Outcome | None, int]:
        """What to do with a Send: the verdict, the outcome to repeat, and `current_stream` or `expected` where told."""
        if stream < self.stream:
            return Verdict.STALE, None, self.stream
        high = self.high if stream == self.stream else 0
        if answered > high:
            return Verdict.STALE, None, self.stream
        if client_seq > high + 1:
            return Verdict.GAP, None, high + 1
        known = self._by_id.get(message_id)
        if client_seq <= high:
            if known is not None and known.client_seq == client_seq and known.stream == stream:
                return Verdict.REPEAT, known, 0
            return Verdict.STALE, None, self.stream
        if known is not None:
            return Verdict.MOVED, known, 0
        if stream == self.closed:
            return Verdict.STALE, None, self.stream
        return _NEW

    def close(self, stream: int) -> None:
        """After STALE nothing new is taken under this stream.

        A restored client sends new messages under numbers of its past. Those up to the mark are stale; the one that
        happens to have the next number, sent in the same breath, would be stored before them. Memory is enough:
        on another connection the client begins again with the lowest number, which is stale again.
        """
        if stream >= self.stream:
            self.closed = stream

    def record(self, user: bytes, sender: bytes, device: int, outcome: Outcome) -> MarkRow:
        """Spend the outcome's number; returns the row that makes it durable."""
        stream, client_seq, message_id, _, at, _ = outcome
        ring, by_id = self._ring, self._by_id
        slot = self.ordinal % len(ring)
        old = ring[slot]
        if old is not None:
            if old is not next(iter(by_id.values())):
                slot = self._room()
                self.ordinal += (slot - self.ordinal) % len(ring)
                old = ring[slot]
            if old is not None:
                del by_id[old.message_id]
        ring[slot] = by_id[message_id] = outcome
        if at > self.last_at:
            self.last_at = at
        fields = (user, sender, device, slot, self.ordinal) + outcome  # noqa: RUF005  # unpacking makes a list first
        row = tuple.__new__(MarkRow, fields)
        self.ordinal += 1
        self.stream, self.high = stream, client_seq
        return row

    def move(self, user: bytes, sender: bytes, device: int, known: Outcome, stream: int, client_seq: int) -> MarkRow:
        """Spend another number for a message whose outcome is known; returns the row that makes it durable."""
        window = len(self._ring)
        slot = next(slot for slot, outcome in enumerate(self._ring) if outcome is known)
        ordinal = self.ordinal - 1 - (self.ordinal - 1 - slot) % window
        moved = known._replace(stream=stream, client_seq=client_seq)
        self._ring[slot] = moved
        del self._by_id[moved.message_id]
        self._by_id[moved.message_id] = moved
        self.stream, self.high = stream, client_seq
        return MarkRow(user, sender, device, slot, ordinal, *moved)

    def load(self, rows: list[MarkRow]) -> None:
        """Take the stored outcomes. Their slots may be those of another `send_window`: the ordinal says the place."""
        for row in sorted(rows, key=lambda row: (row.ordinal, row.stream, row.client_seq)):
            self._ring[row.ordinal % len(self._ring)] = Outcome(*row[5:])
            self.ordinal = row.ordinal + 1
            self.last_at = max(self.last_at, row.at)
        known = [outcome for outcome in self._ring if outcome is not None]
        self._by_id = {outcome.message_id: outcome for outcome in sorted(known, key=lambda outcome: outcome[:2])}
        for slot, outcome in enumerate(self._ring):
            if outcome is not None and self._by_id[outcome.message_id] is not outcome:
                self._ring[slot] = None  # left behind by a message that was moved under another send_window
        for row in rows:
            self.stream, self.high = max((self.stream, self.high), (row.stream, row.client_seq))

    def _room(self) -> int:
        """A slot for a new outcome when that of the next ordinal still counts."""
        if len(self._by_id) < len(self._ring):
            return self._ring.index(None)
        oldest = next(iter(self._by_id.values()))
        return next(slot for slot, outcome in enumerate(self._ring) if outcome is oldest)
