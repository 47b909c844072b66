"""What the server asks of a store. One contract suite (tests/contract) holds for every adapter.

The shell builds commit N + 1 while N is being synced. `submit` may be called again only after the last commit was
reported. A report means: on stable storage, will survive a power cut. A store that cannot keep that promise (a failed
fsync) reports the failure instead, once, and takes nothing more; the process then stops and never retries the fsync.
Reads may show rows of a commit that is not durable yet; the shell only reads what it has released.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from iris.core.rows import MarkRow, MessageRow, NameRow, UserRows, Write


class StoreError(Exception):
    """The store cannot be used; the text says what, where and what to do."""


class StoreLocked(StoreError):
    """Another process holds the data folder."""


class StoreForeign(StoreError):
    """The folder holds something else, another num_shards, or a newer schema."""


class StoreDamaged(StoreError):
    """Rows that were reported durable are missing or unreadable; the text says how many."""


class StoreFailed(StoreError):
    """A write or sync failed. Nothing of the commit may be taken as stored."""


Durable = Callable[[StoreError | None], None]


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Counters since open; times in seconds."""

    commits: int
    rows: int
    bytes: int
    syncs: int
    sync_seconds: float
    sync_seconds_max: float
    write_seconds: float
    stalls: int
    disk_free_bytes: int
    memtable_bytes: int = 0  # memory that holds what is not yet in tables; bounded
    cache_bytes: int = 0  # memory that holds blocks of tables; bounded


class Store(Protocol):
    """One open store. Everything is called from the event loop's thread."""

    @property
    def epoch(self) -> int:
        """Rises at every open (and by 4,096 at a restore), so that no seq is ever given twice."""

    @property
    def num_shards(self) -> int:
        """Fixed when the store was created."""

    def submit(self, writes: Sequence[Write], done: Callable[[StoreError | None], None]) -> None:
        """Commit `writes` in order; call `done` in the event loop when they are durable, or with what went wrong."""

    async def load_user(self, user: bytes) -> UserRows:
        """All rows of a user but its mailbox and marks."""

    async def load_name(self, name: bytes) -> NameRow | None:
        """The holders of a name unit (@handle or !invite)."""

    async def load_marks(self, user: bytes, sender: bytes) -> list[MarkRow]:
        """Every outcome kept for `sender`, all devices."""

    async def page_mailbox(self, user: bytes, after: int, upto: int, rows_max: int, bytes_max: int) -> list[MessageRow]:
        """Rows with after < seq <= upto in seq order, at most rows_max and, but for the first, bytes_max of payload."""

    def users_with_outbox(self) -> AsyncIterator[bytes]:
        """Users that have outbox rows, for the restart."""

    async def users(self, after: bytes, limit: int) -> list[bytes]:
        """The next users by id that have an account row, for sweeps; empty at the end."""

    async def node_value(self, key: str) -> int | None:
        """A NodeRow's value."""

    def stats(self) -> StoreStats:
        """What was done since open."""

    def backup(self, target: str) -> int:
        """Write a consistent copy of everything durable into the new folder `target`, while running; returns bytes."""

    def close(self) -> None:
        """Finish what was submitted, sync, release the folder."""
