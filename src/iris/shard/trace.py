"""Trace points: where a message was when. Kept as the batches themselves, so a point costs nothing per message.

Limit: TRACE_ITEMS_MAX items over all batches; the oldest batches go. What a restart forgets, the store still says
in part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from iris.core.commands import AckIn, SendIn
from iris.core.frames import ACCEPTED, DELIVER
from iris.core.rows import MessageRow

TRACE_ITEMS_MAX = 200_000

Point = tuple[int, str, bytes | None, int | None, int | None]  # (wall ms, point, user, device, seq)


class Trace:
    """The newest batches, by the point they passed."""

    def __init__(self) -> None:
        self._batches: deque[tuple[str, int, Sequence[object]]] = deque()
        self._items = 0

    def note(self, point: str, wall: int, batch: Sequence[object]) -> None:
        """A batch passes a point now."""
        self._batches.append((point, wall, batch))
        self._items += len(batch)
        while self._items > TRACE_ITEMS_MAX:
            self._items -= len(self._batches.popleft()[2])

    def points(self, message_id: bytes) -> list[Point]:
        """Every point that a message has passed, in order of time."""
        return sorted(self._find(message_id), key=lambda found: found[0])

    def _find(self, message_id: bytes) -> Iterator[Point]:
        seq, user = 0, b""
        for point, wall, batch in self._batches:
            for item in batch:
                if point == "received":
                    command = item[1] if isinstance(item, tuple) else None
                    if isinstance(command, SendIn) and command.send.message_id == message_id:
                        yield wall, point, command.sender, command.device, None
                    elif isinstance(command, AckIn) and command.user == user and 0 < seq <= command.seq:
                        yield wall, "acked", user, command.device, command.seq
                elif isinstance(item, MessageRow):
                    if item.message_id == message_id:
                        if not seq:
                            seq, user = item.seq, item.user
                        yield wall, point, item.user, None, item.seq
                elif isinstance(item, tuple) and item[0] == DELIVER and item[8] == message_id:
                    yield wall, "delivered", None, None, item[2]
                elif isinstance(item, tuple) and item[0] == ACCEPTED and item[5] == message_id:
                    yield wall, "accepted", None, None, item[6]
