"""What waits for a turn of a shard node: batches of commands, in the order in which they came.

A turn takes pieces, and stops when half of what a commit may hold has come together; the rest waits for the next one.
So a burst is queued, not refused, and no commit grows so long that everybody feels it. Limits: waiting_commands_max
and waiting_bytes_max. What comes above them is taken up at once, and its Sends are refused where the commit is full.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from iris.core.catalogue import Limits
from iris.core.commands import SendIn
from iris.fabric.port import ToUnits

PIECES: Final = 64  # of a commit: a command writes some rows, one that brings a sender's marks those of all its Sends


class Inbox:
    """The commands that wait."""

    __slots__ = ("_batches", "_bytes", "_bytes_max", "_commands_max", "_piece", "_sizes", "_taken", "commands")

    def __init__(self, limits: Limits) -> None:
        self._batches: deque[ToUnits] = deque()
        self._sizes: deque[int] = deque()  # payload bytes of the first batches, as far as they were counted
        self._bytes = 0  # the sum of them
        self._taken = 0  # commands of the first batch
        self._piece = max(1, limits.commit_rows_max // PIECES)
        self._commands_max, self._bytes_max = limits.waiting_commands_max, limits.waiting_bytes_max
        self.commands = 0  # that wait

    def put(self, batch: ToUnits) -> None:
        """Behind everything that waits. Not an empty one."""
        self._batches.append(batch)
        self.commands += len(batch)

    def take(self) -> ToUnits:
        """The next piece of the first batch. There must be one."""
        batch, taken = self._batches[0], self._taken
        if len(batch) - taken > self._piece:
            batch = batch[taken : taken + self._piece]
            self._taken += self._piece  # its bytes are counted until the last piece is taken
        else:
            self._batches.popleft()
            if self._sizes:
                self._bytes -= self._sizes.popleft()
            if taken:
                batch, self._taken = batch[taken:], 0
        self.commands -= len(batch)
        return batch

    def over(self) -> bool:
        """Whether more waits than may. Payloads are counted here, so that nobody counts while there is room."""
        while len(self._sizes) < len(self._batches):
            size = payload_bytes(self._batches[len(self._sizes)])
            self._sizes.append(size)
            self._bytes += size
        return self.commands > self._commands_max or self._bytes > self._bytes_max


def payload_bytes(batch: Any) -> int:
    """The payloads of the Sends among commands."""
    return sum([len(command.send.payload) for _, command in batch if type(command) is SendIn])
