"""The store on RocksDB: one write batch per commit, one fdatasync per commit, reads from memory or disk.

`submit` writes the batch to the log at once (RocksDB holds the GIL while it does, so another thread would not help)
and leaves the sync to a thread that never needs the interpreter (`iris._engine.LogSync`); its outcome makes a
descriptor readable, for which the event loop waits. A failed write or sync ends the store: it is reported once, nothing
is tried again, and everything after raises StoreFailed. Opening, creating and checking the folder is rocks_open.py's
business, copies of it are copies.py's.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from rocksdict import Rdict, WriteBatch, WriteOptions

from iris.core.rows import MarkRow, MessageRow, NameRow, UserRows, Write
from iris.store import rocks_read as read
from iris.store.batches import batch_of
from iris.store.folder import FolderLock, Identity
from iris.store.helper import Helper
from iris.store.port import Durable, StoreError, StoreFailed, StoreStats
from iris.store.rocks_db import close_db, translate
from iris.store.witness import Witness

STALL_WAIT_SECONDS = 0.005  # between two tries of a write that RocksDB put off


class LogSyncer(Protocol):
    """Makes what was written to the log durable, one commit at a time; `iris._engine.LogSync` is the one in use."""

    def fileno(self) -> int:
        """Readable when an outcome can be taken."""

    def sync(self) -> None:
        """Begin. Raises EngineError while the last outcome was not taken."""

    def take(self) -> tuple[OSError | None, float] | None:
        """The outcome, once: the error if there was one, and the seconds it took. None while there is none."""

    def stop(self) -> None:
        """Finish what was begun; its outcome can be taken then. Blocks."""


class RocksStore:
    """An open store; made by `open_store`. Implements port.Store; see there.

    Reads are plain calls inside async methods: they hold the GIL in RocksDB anyway (measured), a point read takes 1
    µs and a mailbox row 1 µs when in memory, one disk read when not. Only `backup` may be called from another thread.
    """

    def __init__(
        self,
        db: Rdict,
        path: Path,
        identity: Identity,
        lock: FolderLock,
        witness: Witness,
        epoch: int,
        log_sync: LogSyncer,
    ) -> None:
        self._db, self._path, self._identity, self._lock = db, path, identity, lock
        self._witness, self._epoch = witness, epoch
        self._commit = self._synced = witness.commit
        self._log_sync = log_sync
        self._write_options = WriteOptions()
        self._write_options.no_slowdown = True  # a stall would hold the GIL; the helper waits for it instead
        self._done: Durable | None = None
        self._failed: StoreError | None = None
        self._closed = False
        self._busy = threading.Lock()  # a backup reads what close would take away
        self._commits = self._rows = self._bytes = self._syncs = self._stalls = 0
        self._sync_seconds = self._sync_seconds_max = self._write_seconds = 0.0
        self._helper = Helper(self._sync_witness)
        self._loop: asyncio.AbstractEventLoop | None = None  # the one that waits for the sync's outcome

    @property
    def epoch(self) -> int:
        """See port.Store."""
        return self._epoch

    @property
    def num_shards(self) -> int:
        """See port.Store."""
        return self._identity.num_shards

    def submit(self, writes: Sequence[Write], done: Durable) -> None:
        """Commit. Raises StoreFailed after a failure, BadRow (nothing is written then) for a row that has no form,
        RuntimeError while the last commit was not reported."""
        if self._failed is not None:
            raise StoreFailed(str(self._failed))
        if self._done is not None or self._closed:
            raise RuntimeError("the store is closed" if self._closed else "the last commit was not reported yet")
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._listen(loop)
        commit = self._commit + 1
        batch = batch_of(commit, writes)
        self._done = done
        self._commit = commit
        self._rows += len(writes)
        self._bytes += batch.size_in_bytes()
        try:
            if self._try_write(batch):
                self._log_sync.sync()
            else:
                self._helper.put(lambda: self._write_when_possible(commit, writes), self._written_late)
        except Exception as error:
            self._failed = self._failure(error)
            loop.call_soon(self._settle)  # `done` is never called before submit returns

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        self._deafen()
        loop.add_reader(self._log_sync.fileno(), self._take_outcome)
        self._loop = loop

    def _deafen(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._log_sync.fileno())
        self._loop = None

    def _try_write(self, batch: WriteBatch) -> bool:
        """Whether the batch was written; False when RocksDB wants us to wait (nothing of it is written then)."""
        started = time.perf_counter()
        try:
            self._db.write(batch, self._write_options)
        except Exception as error:
            if "Write stall" not in str(error):
                raise
            self._stalls += 1
            return False
        finally:
            self._write_seconds += time.perf_counter() - started
        return True

    def _write_when_possible(self, commit: int, writes: Sequence[Write]) -> None:
        # Ends: compaction catches up, or RocksDB fails and the write raises something else than a stall.
        while not self._try_write(batch_of(commit, writes)):  # anew: a batch is used up by a write that was put off
            time.sleep(STALL_WAIT_SECONDS)

        self._log_sync.sync()

    def _written_late(self, error: Exception | None) -> None:
        """In the helper: the write that RocksDB had put off was done and its sync has begun, or it failed."""
        if error is not None:
            self._failed = self._failure(error)
            with suppress(RuntimeError):  # the loop is closed, and with it whoever would hear of it
                if self._loop is not None:
                    self._loop.call_soon_threadsafe(self._settle)

    def _take_outcome(self) -> None:
        """In the event loop: a sync has ended."""
        if self._note_outcome():
            self._settle()

    def _note_outcome(self) -> bool:
        """Whether there was an outcome. What it says of the last commit is known then."""
        outcome = self._log_sync.take()
        if outcome is None:
            return False
        error, seconds = outcome
        self._syncs += 1
        self._sync_seconds += seconds
        self._sync_seconds_max = max(self._sync_seconds_max, seconds)
        if error is None:
            self._synced = self._commit
        else:
            self._failed = self._failure(error)
        return True

    def _sync_witness(self) -> None:
        """In the helper."""
        if self._failed is None and not self._closed and self._witness.dirty:
            try:
                self._witness.sync()
            except OSError as error:
                self._failed = self._failure(error)  # the next submit hears of it

    def _failure(self, error: Exception) -> StoreError:
        failed = translate(error, self._path)
        return failed if isinstance(failed, StoreFailed) else StoreFailed(str(failed))

    def _settle(self) -> None:
        """In the event loop: the commit is durable, or lost."""
        done, self._done = self._done, None
        error = self._failed
        if error is None and not self._closed:  # close has noted it itself
            try:
                self._witness.write(self._commit)
            except OSError as problem:
                error = self._failed = self._failure(problem)
        if error is None:
            self._commits += 1
        if done is not None:
            done(error)

    async def load_user(self, user: bytes) -> UserRows:
        """See port.Store. Four seeks, whatever the user has."""
        with read.guard(self._path):
            return read.load_user(self._db, user)

    async def load_name(self, name: bytes) -> NameRow | None:
        """See port.Store."""
        with read.guard(self._path):
            return read.load_name(self._db, name)

    async def load_marks(self, user: bytes, sender: bytes) -> list[MarkRow]:
        """See port.Store."""
        with read.guard(self._path):
            return read.load_marks(self._db, user, sender)

    async def page_mailbox(self, user: bytes, after: int, upto: int, rows_max: int, bytes_max: int) -> list[MessageRow]:
        """See port.Store."""
        with read.guard(self._path):
            return read.page_mailbox(self._db, user, after, upto, rows_max, bytes_max)

    def users_with_outbox(self) -> AsyncIterator[bytes]:
        """See port.Store. One seek a user; rows may be written while it runs."""
        return read.users_with_outbox(self._db, self._path)

    async def users(self, after: bytes, limit: int) -> list[bytes]:
        """See port.Store. One seek a user."""
        with read.guard(self._path):
            return read.users(self._db, after, limit)

    async def node_value(self, key: str) -> int | None:
        """See port.Store."""
        with read.guard(self._path):
            return read.node_value(self._db, key)

    def stats(self) -> StoreStats:
        """See port.Store. `stalls` counts the tries that RocksDB put off."""
        disk = os.statvfs(self._path)
        return StoreStats(
            self._commits, self._rows, self._bytes, self._syncs, self._sync_seconds, self._sync_seconds_max,
            self._write_seconds, self._stalls, disk.f_bavail * disk.f_frsize,
            self._property("rocksdb.size-all-mem-tables"), self._property("rocksdb.block-cache-usage"),
        )  # fmt: skip

    def _property(self, name: str) -> int:
        return 0 if self._closed else self._db.property_int_value(name) or 0

    def backup(self, target: str) -> int:
        """See port.Store. May be called from another thread, so that the event loop goes on meanwhile.

        Raises StoreError when the target is not empty or a copy fails; the store itself goes on in any case.
        """
        from iris.store.copies import copy_running

        with self._busy:
            if self._closed:
                raise RuntimeError("the store is closed")
            return copy_running(self._db, self._path, self._identity, target)

    def close(self) -> None:
        """See port.Store. Blocks until the last commit is synced; its report still comes through the event loop.

        After a failure nothing is closed, for that would sync again: the folder is given back when the process ends.
        """
        if self._closed:
            return
        self._helper.stop()
        self._log_sync.stop()
        loop = self._loop
        self._deafen()
        if self._note_outcome() and loop is not None:
            with suppress(RuntimeError):  # the loop is closed, and with it whoever would hear of it
                loop.call_soon_threadsafe(self._settle)
        with self._busy:
            self._closed = True
            if self._failed is None:
                try:
                    self._witness.write(self._synced)
                    self._witness.sync()
                except OSError as error:
                    self._failed = self._failure(error)
            close_db(self._db, self._failed)
            if self._failed is None:
                self._witness.close()
                self._lock.close()
