"""Trace points: where a message was when. Kept as the batches themselves, so a point costs nothing per message.

received: its Send has reached the recipient's shard. pumped: a Deliver of it was made. committed: its row is
durable. handed: that Deliver went to the fabric. delivered: to the engine. accepted: its Accepted, likewise. acked:
a device has it. Limits: TRACE_ITEMS_MAX items over all batches, TRACE_BYTES_MAX bytes of payload that they keep in
memory; the oldest batches go. One in which nothing can be found, such as one of log-ins, is not kept. What a restart
forgets, the store still says in part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from iris.core.commands import AckIn, SendIn
from iris.core.frames import ACCEPTED, DELIVER, Accepted, Deliver
from iris.core.rows import MessageRow
from iris.shard.inbox import payload_bytes

TRACE_ITEMS_MAX = 10_000  # of some 1,400 messages; the collector looks at them when it runs (app.py)
TRACE_BYTES_MAX = 64 * 1024 * 1024
_FOUND = frozenset({SendIn, AckIn, MessageRow, Deliver, Accepted})  # what a search looks at
_PAID = ("received", "pumped")  # points at which payloads come in
_SECOND: Callable[[Any], object] = itemgetter(1)
_PAYLOAD = Deliver._fields.index("payload")

Point = tuple[int, str, bytes | None, int | None, int | None]  # (wall ms, point, user, device, seq)


class Trace:
    """The newest batches, by the point they passed."""

    def __init__(self) -> None:
        self._batches: deque[tuple[str, int, Sequence[object], int]] = deque()
        self._items = 0
        self._bytes = 0

    def note(self, point: str, wall: int, batch: Sequence[object]) -> None:
        """A batch passes a point now."""
        if _FOUND.isdisjoint(map(type, map(_SECOND, batch) if point == "received" else batch)):
            return
        size = _payload_bytes(point, batch) if point in _PAID else 0
        self._batches.append((point, wall, batch, size))
        self._items += len(batch)
        self._bytes += size
        while self._items > TRACE_ITEMS_MAX or self._bytes > TRACE_BYTES_MAX:
            _, _, gone, size = self._batches.popleft()
            self._items -= len(gone)
            self._bytes -= size

    def points(self, message_id: bytes) -> list[Point]:
        """Every point that a message has passed, in order of time."""
        return sorted(self._find(message_id), key=lambda found: found[0])

    def _find(self, message_id: bytes) -> Iterator[Point]:
        seq, user = 0, b""
        for point, wall, batch, _ in self._batches:
            for entry in batch:
                item: Any = entry[1] if point == "received" else entry  # type: ignore[index]
                if isinstance(item, SendIn):
                    if item.send.message_id == message_id:
                        yield wall, point, item.sender, item.device, None
                elif isinstance(item, AckIn):
                    if item.user == user and 0 < seq <= item.seq:
                        yield wall, "acked", user, item.device, item.seq
                elif isinstance(item, MessageRow):
                    if item.message_id == message_id:
                        if not seq:
                            seq, user = item.seq, item.user
                        yield wall, point, item.user, None, item.seq
                elif item[0] == DELIVER and item[8] == message_id:
                    yield wall, point, None, None, item[2]
                elif item[0] == ACCEPTED and item[5] == message_id and point == "delivered":
                    yield wall, "accepted", None, None, item[6]


def _payload_bytes(point: str, batch: Any) -> int:
    """The payloads that come in with a batch, from a client or from the store. What later points hold is the same."""
    if point == "received":
        return payload_bytes(batch)
    return sum([len(item[_PAYLOAD]) for item in batch if item[0] == DELIVER])
