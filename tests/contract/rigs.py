"""The stores that the contract suite runs against, and what a test may do to them: hold, fail, reopen."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from iris.store import Store
from iris.store.memory import MemoryStore
from iris.store.rocks_open import open_rocks

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
        self._gate = threading.Event()
        self._gate.set()
        self._failing = False
        self.store = open_rocks(self._path, num_shards=16, sync=self._sync)

    def _sync(self, real: Callable[[], None]) -> None:
        assert self._gate.wait(DEADLINE_SECONDS)
        if self._failing:
            raise OSError("the disk said no")
        real()

    def hold(self) -> None:
        self._gate.clear()

    def release(self) -> None:
        self._gate.set()

    def fail(self) -> None:
        self._failing = True

    def reopen(self) -> Store:
        self.store.close()
        self.store = open_rocks(self._path, sync=self._sync)
        return self.store

    def end(self) -> None:
        self._gate.set()
        self.store.close()
