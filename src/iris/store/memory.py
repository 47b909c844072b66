"""A store in memory that loses what a real one may lose: for tests and the simulator.

Rows of a commit are readable at once and durable when the test says so (`sync`), or by themselves in the next turn of
the event loop (`auto`). `crash` gives the store a restart would find: without the rows that were not durable, or with
the last commit cut between units, each unit whole or absent. Everything is decided by the seed; no clock, no thread,
no file.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, TypeVar

from iris.core.ids import EPOCH_MAX
from iris.core.rows import (
    AccountRow,
    Gone,
    MarkRow,
    MessageRow,
    NameRow,
    NodeRow,
    UserRows,
    Write,
)
from iris.store.folder import SHARDS_DEFAULT
from iris.store.memory_rows import MemoryRows
from iris.store.port import Durable, StoreError, StoreFailed, StoreStats

RESTORE_EPOCHS = 4096
T = TypeVar("T")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits, as a read of this store is."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")


def unit_of(write: Write) -> tuple[str, object]:
    """What a write is atomic with: the user, the name, or the node."""
    if isinstance(write, Gone):
        return unit_of(write.row)
    kind = "name" if isinstance(write, NameRow) else "node" if isinstance(write, NodeRow) else "user"
    return kind, write[0]


class MemoryStore:
    """Implements port.Store; see there. Reads never wait, so no event loop is needed unless `auto` is on."""

    def __init__(
        self,
        num_shards: int = SHARDS_DEFAULT,
        seed: int = 0,
        *,
        auto: bool = True,
        durable: MemoryRows | None = None,
        epoch: int = 1,
    ) -> None:
        """`durable` and `epoch` are what a former store left; `crash`, `reopen` and `restore` pass them."""
        self._num_shards, self._seed = num_shards, seed
        self.auto = auto  # may be changed at any time; what is outstanding waits for `sync` all the same
        self._durable = durable if durable is not None else MemoryRows()
        self._now = self._durable.copy()
        self._epoch = epoch
        self._random = random.Random(f"{seed}/{epoch}")
        self._pending: tuple[Write, ...] = ()
        self._done: Durable | None = None
        self._failed: StoreError | None = None
        self._closed = False
        self._commits = self._rows = 0
        self._backups: dict[str, tuple[MemoryRows, int]] = {}
        self._highest = [epoch]  # of all stores of this line
        self.survived: list[Write] = []  # after `crash`: what there is of the commit that was not durable

    @property
    def epoch(self) -> int:
        """See port.Store."""
        return self._epoch

    @property
    def num_shards(self) -> int:
        """See port.Store."""
        return self._num_shards

    @property
    def outstanding(self) -> bool:
        """Whether a commit waits for `sync`."""
        return self._done is not None

    def submit(self, writes: Sequence[Write], done: Durable) -> None:
        """See port.Store. Raises as RocksStore.submit does."""
        if self._failed is not None:
            raise StoreFailed(str(self._failed))
        if self._done is not None or self._closed:
            raise RuntimeError("the store is closed" if self._closed else "the last commit was not reported yet")
        pending = tuple(writes)
        self._now.check(pending)
        self._now.apply(pending)
        self._pending, self._done = pending, done
        self._rows += len(pending)
        if self.auto:
            asyncio.get_running_loop().call_soon(self._sync_if_pending)

    def _sync_if_pending(self) -> None:
        if self._done is not None:
            self.sync()

    def sync(self) -> None:
        """Make the outstanding commit durable and report it, at once."""
        done = self._settle()
        self._durable.apply(self._pending)
        self._pending = ()
        self._commits += 1
        done(None)

    def fail(self, reason: str = "the disk said no") -> None:
        """Report the outstanding commit as failed; nothing is taken after it."""
        done = self._settle()
        self._failed = StoreFailed(reason)
        done(self._failed)

    def _settle(self) -> Durable:
        if self._done is None:
            raise RuntimeError("no commit is outstanding")
        done, self._done = self._done, None
        return done

    def crash(self, *, torn: bool = False) -> MemoryStore:
        """What a restart finds: the durable rows, and with `torn` some units of the commit that was not durable yet.

        This store is dead afterwards: its reports never come.
        """
        if torn:
            lucky = {unit: self._random.random() < 0.5 for unit in dict.fromkeys(map(unit_of, self._pending))}
            self.survived = [write for write in self._pending if lucky[unit_of(write)]]
        self._durable.apply(self.survived)
        return self._next(self._durable, self._epoch + 1)

    def reopen(self) -> MemoryStore:
        """What a clean restart finds."""
        self.close()
        return self._next(self._durable, self._epoch + 1)

    def restore(self, target: str) -> MemoryStore:
        """A store from the backup `target`, as after `iris store restore` and a start."""
        rows, epoch = self._backups[target]
        return self._next(rows.copy(), max(epoch, self._highest[0]) + RESTORE_EPOCHS + 1)

    def _next(self, rows: MemoryRows, epoch: int) -> MemoryStore:
        self._closed, self._done, self._pending = True, None, ()
        if epoch > EPOCH_MAX:
            raise StoreError(f"all {EPOCH_MAX} epochs are used up")
        store = MemoryStore(self._num_shards, self._seed, auto=self.auto, durable=rows, epoch=epoch)
        store._backups, store._highest = self._backups, self._highest
        self._highest[0] = max(self._highest[0], epoch)
        return store

    async def load_user(self, user: bytes) -> UserRows:
        """See port.Store."""
        return self._now.load_user(user)

    async def load_name(self, name: bytes) -> NameRow | None:
        """See port.Store."""
        return self._now.names.get(name)

    async def load_marks(self, user: bytes, sender: bytes) -> list[MarkRow]:
        """See port.Store."""
        return self._now.load_marks(user, sender)

    async def page_mailbox(self, user: bytes, after: int, upto: int, rows_max: int, bytes_max: int) -> list[MessageRow]:
        """See port.Store."""
        return self._now.page_mailbox(user, after, upto, rows_max, bytes_max)

    async def users_with_outbox(self) -> AsyncIterator[bytes]:
        """See port.Store."""
        for user in sorted(self._now.users):
            if self._now.has_outbox(user):
                yield user

    async def users(self, after: bytes, limit: int) -> list[bytes]:
        """See port.Store."""
        found = (user for user in sorted(self._now.users) if user > after and self._now.has(user, AccountRow))
        return [user for user, _ in zip(found, range(limit), strict=False)]

    async def node_value(self, key: str) -> int | None:
        """See port.Store."""
        row = self._now.node.get(key)
        return None if row is None else row.value

    def stats(self) -> StoreStats:
        """See port.Store. Nothing takes time here, and the disk is never full."""
        return StoreStats(self._commits, self._rows, 0, self._commits, 0.0, 0.0, 0.0, 0, 1 << 40)

    def backup(self, target: str) -> int:
        """Keep a copy under the name `target`, for `restore`. Nothing is written anywhere."""
        if target in self._backups:
            raise StoreError(f"{target} is not empty")
        self._backups[target] = (self._durable.copy(), self._epoch)
        return self._durable.rows()

    def close(self) -> None:
        """See port.Store."""
        if self._closed:
            return
        if self._done is not None and self._failed is None:
            self.sync()
        self._closed = True
