"""What waits for the disk: writes in their order, and what becomes true when they are there.

One Commit is in flight at a time; what comes meanwhile gathers for the next one, so the disk's speed sets the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from iris_sdk.core import effects as fx
from iris_sdk.core.sending import Entry, Outbound


@dataclass(slots=True)
class Batch:
    """The writes of one Commit, with the answers and streams that become durable by it, and the cursor it reaches."""

    writes: list[fx.Write] = field(default_factory=list)
    answers: list[tuple[Outbound, Entry]] = field(default_factory=list)
    streams: list[tuple[Outbound, int]] = field(default_factory=list)
    cursor: tuple[int, int] = (0, 0)


class Ledger:
    """Writes on their way."""

    def __init__(self, seq: int, rev: int) -> None:
        self._cursor = (seq, rev)
        self._number = 0
        self._next = Batch()
        self._in_flight: Batch | None = None

    @property
    def busy(self) -> bool:
        """A Commit is in flight."""
        return self._in_flight is not None

    @property
    def backlog(self) -> int:
        """Writes that wait for the next Commit."""
        return len(self._next.writes)

    def write(self, write: fx.Write) -> None:
        self._next.writes.append(write)

    def answer(self, outbound: Outbound, entry: Entry, write: fx.SaveAnswer) -> None:
        self._next.writes.append(write)
        self._next.answers.append((outbound, entry))

    def stream(self, outbound: Outbound, write: fx.SaveStream) -> None:
        self._next.writes.append(write)
        self._next.streams.append((outbound, write.stream))

    def commit(self, seq: int, rev: int) -> fx.Commit | None:
        """The next Commit, which takes the cursor to (seq, rev); None when one is in flight or nothing waits."""
        if self._in_flight is not None:
            return None
        batch = self._next
        batch.cursor = (seq, rev)
        if batch.cursor != self._cursor:
            self._cursor = batch.cursor
            batch.writes.append(fx.SaveCursor(seq, rev))
        if not batch.writes:
            return None
        self._in_flight, self._next = batch, Batch()
        self._number += 1
        return fx.Commit(self._number, tuple(batch.writes))

    def committed(self, number: int) -> Batch:
        """The Commit in flight is on the disk."""
        batch = self._in_flight
        assert batch is not None, "committed without a Commit"
        assert number == self._number, "commits are confirmed in order"
        self._in_flight = None
        return batch
