"""Timeouts on a virtual clock: a heap of (when, what to call, with what). The owner says what time it is.

Functions and their arguments, not closures: one of those takes 300 bytes, and some wait for hours.

There is no cancel: a timeout that fires checks whether its reason still holds. Who arms them bounds their number
(one for a session's window, one for a user's outbox, …).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, TypeVarTuple

Arguments = TypeVarTuple("Arguments")


class Timers:
    """Pending timeouts. Times are mono ms."""

    __slots__ = ("_heap", "_ties")

    def __init__(self) -> None:
        self._heap: list[tuple[Any, ...]] = []  # (when, tie, function, its arguments …)
        self._ties = 0

    def call_at(self, when: int, timeout: Callable[[*Arguments], None], *arguments: *Arguments) -> None:
        """Call `timeout` with these arguments in the first run at or after `when`."""
        self._ties += 1
        heapq.heappush(self._heap, (when, self._ties, timeout, *arguments))

    @property
    def timeouts(self) -> int:
        """How many are pending."""
        return len(self._heap)

    def next_timeout(self) -> int | None:
        """When the next timeout is due."""
        return self._heap[0][0] if self._heap else None

    def run_timeouts(self, now: int) -> None:
        """Call what is due at `now`; what is set meanwhile waits for the next run."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap))
        for _, _, timeout, *arguments in due:
            timeout(*arguments)
