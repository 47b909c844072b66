"""`iris` as $VARIANT says: small tables, a clock that is set back, or a known bug that the hunts must find.

    VARIANT=small python -m tests.chaos.variant serve …

small       memory tables of 64 KiB, four to a table file: table files, their writing and their compaction all the time
unsynced    a commit is reported without its fdatasync: a power cut loses it, a kill does not
clock       the clock is an hour behind as soon as the file $CLOCK_BACK is there
early       a commit is reported before it is written: a kill loses it
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

from iris._engine import LogSync
from iris.cli import main
from iris.core.rows import Write
from iris.store import rocks_db, rocks_open
from iris.store.port import Durable
from iris.store.rocks import RocksStore

EARLY_S = 0.3


def small() -> None:
    """What takes hours of default settings happens every few seconds."""
    rocks_db.MEMTABLE_BYTES = 1 << 16


def clock() -> None:
    """Somebody sets the clock back."""
    now_ns, now, back = time.time_ns, time.time, Path(os.environ["CLOCK_BACK"])
    time.time_ns = lambda: now_ns() - 3_600_000_000_000 * back.exists()
    time.time = lambda: now() - 3_600 * back.exists()


class Unsynced:
    """Says of everything at once that it is durable."""

    def __init__(self, folder: Path) -> None:
        self._asked = os.eventfd(0, os.EFD_NONBLOCK)

    def fileno(self) -> int:
        return self._asked

    def sync(self) -> None:
        os.eventfd_write(self._asked, 1)

    def take(self) -> tuple[OSError | None, float] | None:
        try:
            os.eventfd_read(self._asked)
        except BlockingIOError:
            return None
        return None, 0.0

    def stop(self) -> None:
        pass


def unsynced() -> None:
    """Nothing waits for the disk."""
    defaults = rocks_open.open_rocks.__kwdefaults__
    assert defaults is not None
    assert defaults["log_sync"] is LogSync
    defaults["log_sync"] = Unsynced


def early() -> None:
    """Commits are written a moment after they were reported, in order."""
    submit = RocksStore.submit

    def submit_late(self: RocksStore, writes: Sequence[Write], done: Durable) -> None:
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[Sequence[Write]] | None = getattr(self, "_late", None)
        if waiting is None:
            waiting = asyncio.Queue()
            self._late = waiting  # type: ignore[attr-defined]
            self._late_task = loop.create_task(write(self, waiting))  # type: ignore[attr-defined]
        waiting.put_nowait(writes)
        loop.call_soon(done, None)

    async def write(self: RocksStore, waiting: asyncio.Queue[Sequence[Write]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            writes = list(await waiting.get())
            pause = asyncio.Event()
            loop.call_later(EARLY_S, pause.set)
            await pause.wait()
            while not waiting.empty():
                writes += waiting.get_nowait()
            written = asyncio.Event()
            submit(self, writes, lambda error, written=written: written.set())  # type: ignore[misc]
            await written.wait()

    RocksStore.submit = submit_late  # type: ignore[method-assign]


if __name__ == "__main__":
    {"small": small, "clock": clock, "unsynced": unsynced, "early": early}[os.environ["VARIANT"]]()
    main()
