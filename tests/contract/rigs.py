"""The stores that the contract suite runs against, and what a test may do to them: hold, fail, reopen."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from iris.store import Store
from iris.store.memory import MemoryStore
from iris.store.rocks_open import open_rocks
from tests.support.log_sync import GatedSync

DEADLINE_SECONDS = 30


class Rig(Protocol):
    """A store under test and what a test may do to it."""

    @property
    def store(self) -> Store:
        """The open store."""

    def hold(self) -> None:
        """From now on nothing becomes durable."""

    def release(self) -> None:
        """Let what is held become durable."""

    def fail(self) -> None:
        """Let the next sync fail."""

    def reopen(self) -> Store:
        """Close cleanly and open again."""

    def end(self) -> None:
        """Let go of everything."""


class MemoryRig:
    """The fake."""

    def __init__(self) -> None:
        self.store: MemoryStore = MemoryStore(num_shards=16)

    def hold(self) -> None:
        self.store.auto = False

    def release(self) -> None:
        self.store.auto = True
        if self.store.outstanding:
            self.store.sync()

    def fail(self) -> None:
        self.hold()
        asyncio.get_running_loop().call_soon(lambda: asyncio.get_running_loop().call_soon(self.store.fail))

    def reopen(self) -> Store:
        self.store = self.store.reopen()
        return self.store

    def end(self) -> None:
        self.store.close()


class RocksRig:
    """RocksDB on a real disk, with a gate before its sync."""

    def __init__(self, path: Path) -> None:
        self._path = str(path / "store")
        self._sync = GatedSync()
        self.store = open_rocks(self._path, num_shards=16, log_sync=self._sync)

    def hold(self) -> None:
        self._sync.hold()

    def release(self) -> None:
        self._sync.release()

    def fail(self) -> None:
        self._sync.fail(OSError(5, "the disk said no"))

    def reopen(self) -> Store:
        self.store.close()
        self.store = open_rocks(self._path, log_sync=self._sync)
        return self.store

    def end(self) -> None:
        self.store.close()
