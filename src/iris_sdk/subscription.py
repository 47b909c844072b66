"""Who waits for what: readers of events, waiters for a message's state.

Rows are never queued here: a reader remembers a number and reads the profile from there, so it may be as slow as it
likes and nothing is lost and nothing grows. What only matters now (presence, typing, connection) is kept once per
subject.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from iris_sdk.convert import to_event
from iris_sdk.errors import ClientClosed
from iris_sdk.events import Event
from iris_sdk.rows import HistoryRow
from iris_sdk.store import Reader

SUBJECTS_MAX = 1024  # of what only matters now, per reader; the oldest goes


class Subscription:
    """An async iterator over events. See Client.events."""

    def __init__(self, watchers: Watchers, reader: Reader, user: bytes, position: int) -> None:
        self._watchers, self._reader, self._user = watchers, reader, user
        self._position = position
        self._ready: deque[Event] = deque()
        self._now: dict[str, Event] = {}

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        while True:
            if self._ready:
                return self._ready.popleft()
            if self._now:
                return self._now.pop(next(iter(self._now)))
            if self._watchers.closed:
                if self._watchers.error is not None:
                    raise self._watchers.error
                raise StopAsyncIteration
            change = self._watchers.change  # before reading, so that nothing slips between
            if not self._read():
                await change.wait()

    def show(self, key: str, event: Event) -> None:
        """An event that replaces an earlier one of the same subject."""
        self._now.pop(key, None)
        self._now[key] = event
        if len(self._now) > SUBJECTS_MAX:
            del self._now[next(iter(self._now))]

    def _read(self) -> bool:
        """Whether the profile had something new."""
        rows = self._reader.changes(self._position)
        for row in rows:
            event = to_event(row, self._position, self._user)
            if event is not None:
                self._ready.append(event)
        if rows:
            self._position = rows[-1].place(self._position)
        return bool(rows)


class Watchers:
    """All who wait in one client."""

    def __init__(self, reader: Reader, user: bytes) -> None:
        self.closed = False
        self.error: Exception | None = None
        self._reader, self._user = reader, user
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._change = asyncio.Event()
        self._messages: dict[bytes, list[asyncio.Event]] = {}
        self._messages_after = 0

    def subscribe(self, position: int) -> Subscription:
        subscription = Subscription(self, self._reader, self._user, position)
        self._subscriptions.add(subscription)
        return subscription

    @property
    def change(self) -> asyncio.Event:
        """Set at the next change after this was read."""
        return self._change

    async def next_change(self) -> None:
        """Wait for the next change. Raises ClientClosed, or what closed the client."""
        if not self.closed:
            await self._change.wait()
        self.check()

    def check(self) -> None:
        if self.closed:
            raise self.error or ClientClosed("the client is closed")

    def notify(self) -> None:
        """The profile has changed."""
        if self.closed:
            return
        self._wake()
        while self._messages:
            rows = self._reader.changes(self._messages_after)
            if not rows:
                break
            self._messages_after = rows[-1].place(self._messages_after)
            for row in rows:
                if isinstance(row, HistoryRow):
                    for waiter in self._messages.get(row.message_id, ()):
                        waiter.set()

    def publish(self, key: str, event: Event) -> None:
        for subscription in self._subscriptions:
            subscription.show(key, event)
        self._wake()

    def close(self, error: Exception | None) -> None:
        """No more changes: readers end, or raise `error`."""
        if not self.closed:
            self.closed, self.error = True, error
            self._wake()
            for waiters in self._messages.values():
                for waiter in waiters:
                    waiter.set()

    @asynccontextmanager
    async def message(self, message_id: bytes) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Inside, call the given function to wait until the message has changed (since the last call)."""
        if not self._messages:
            self._messages_after = self._reader.position()
        waiter = asyncio.Event()
        self._messages.setdefault(message_id, []).append(waiter)

        async def changed() -> None:
            await waiter.wait()
            waiter.clear()
            self.check()

        try:
            yield changed
        finally:
            waiters = self._messages[message_id]
            waiters.remove(waiter)
            if not waiters:
                del self._messages[message_id]

    def _wake(self) -> None:
        self._change.set()
        self._change = asyncio.Event()
