"""The store's helper thread: what would hold up the event loop and is not the sync of a commit.

It waits until RocksDB takes a write that it has put off, and syncs the witness now and then. A job is run, then its
outcome is reported. Every second or so, between jobs, `tick` is called. The thread is no daemon, so that a write that
waits is made at exit; it ends by itself when the main thread has ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

TICK_SECONDS = 1.0

Job = tuple[Callable[[], None], Callable[[Exception | None], None]]


class Helper:
    """Runs jobs in order, off the event loop."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()  # holds one commit at most, see RocksStore.submit
        self._tick = tick
        self._thread = threading.Thread(target=self._run, name="iris-store-helper", daemon=False)
        self._thread.start()

    def put(self, job: Callable[[], None], report: Callable[[Exception | None], None]) -> None:
        """Run `job`, then call `report` in this thread with None or what `job` raised."""
        self._jobs.put((job, report))

    def stop(self) -> None:
        """Finish what was put, then end. Blocks until then."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        main = threading.main_thread()
        tick_at = time.monotonic() + TICK_SECONDS
        while True:
            try:
                item = self._jobs.get(timeout=max(0.0, tick_at - time.monotonic()))
            except Empty:
                if not main.is_alive():
                    return
            else:
                if item is None:
                    return
                _do(*item)
            if time.monotonic() >= tick_at:
                self._tick()
                tick_at = time.monotonic() + TICK_SECONDS


def _do(job: Callable[[], None], report: Callable[[Exception | None], None]) -> None:
    try:
        job()
    except Exception as error:
        report(error)
    else:
        report(None)
