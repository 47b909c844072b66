"""The receiver's side: what of the mailbox and of the registers is taken, what is acked, when a rewind is asked for.

Mailbox rows (by seq) and registers (by rev) follow the same rule: take only what starts at or before the cursor and
ends after it; drop everything else and repeat the Ack of the unchanged cursor, at most once a second. So a lost batch
can never be acked over. Acked is only what is durable here.
"""

from __future__ import annotations

from typing import Final

REWIND_INTERVAL_MS: Final = 1000  # the server ignores more


class Cursor:
    """One of the two cursors."""

    __slots__ = ("durable", "taken")

    def __init__(self, position: int) -> None:
        self.taken = position  # in this process; the writes may still be on their way to the disk
        self.durable = position

    def take(self, prev: int, position: int) -> bool:
        """Whether the row at `position` is the next one; then it counts as taken."""
        if prev <= self.taken < position:
            self.taken = position
            return True
        return False


class Inbox:
    """Both cursors, and when to ack."""

    def __init__(self, seq: int, rev: int) -> None:
        self.seq = Cursor(seq)
        self.rev = Cursor(rev)
        self._acked = (seq, rev)  # in this session
        self._rewind = False
        self._rewind_at = 0  # not before

    def hello(self) -> tuple[int, int]:
        """The cursor for Hello. Only right when everything taken is durable."""
        self._acked = (self.seq.durable, self.rev.durable)
        self._rewind = False
        return self._acked

    def jump(self, seq: int, rev: int) -> None:
        """Go on from elsewhere, as Welcome said."""
        self.seq.taken, self.rev.taken = seq, rev

    def dropped(self) -> None:
        """A row was not the next one."""
        self._rewind = True

    def bridged(self) -> None:
        """A row was taken: what was asked for is coming."""
        self._rewind = False

    @property
    def settled(self) -> bool:
        """Everything taken is durable."""
        return self.seq.taken == self.seq.durable and self.rev.taken == self.rev.durable

    def committed(self, seq: int, rev: int) -> None:
        self.seq.durable, self.rev.durable = seq, rev

    def ack(self, now: int) -> tuple[int, int] | None:
        """The Ack to send now, if any: of new ground, or of the old one again, to ask for a rewind."""
        position = (self.seq.durable, self.rev.durable)
        if position != self._acked:
            self._acked = position
            return position
        if self._rewind and self.settled and now >= self._rewind_at:
            self._rewind = False
            self._rewind_at = now + REWIND_INTERVAL_MS
            return position
        return None

    def timeout(self) -> int | None:
        """When `ack` may have something although nothing happens."""
        return self._rewind_at if self._rewind and self.settled else None
