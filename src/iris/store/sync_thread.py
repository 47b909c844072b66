"""The one thread that waits for the disk, so that the event loop never does.

A job is run, then its outcome is reported to the event loop. Jobs come one at a time: whoever submits waits for the
report before the next. When nothing comes for a while, `idle` is called (the witness is synced then). The thread is
no daemon, so that a submitted commit is finished at exit; it ends by itself when the main thread has ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

IDLE_SECONDS = 1.0
# For `sys.setswitchinterval`: how long this thread waits for the interpreter before it can say that a commit is
# durable. The default, 5 ms, is several times a sync. Nothing else changes hands in a busy server, so more switches
# cost next to nothing.
SWITCH_INTERVAL_S = 0.0005

Job = tuple[Callable[[], None], Callable[[Exception | None], None]]


class SyncThread:
    """Runs jobs in order, off the event loop."""

    def __init__(self, idle: Callable[[], None]) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()  # holds one commit at most, see RocksStore.submit
        self._idle = idle
        self._thread = threading.Thread(target=self._run, name="iris-store-sync", daemon=False)
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
        while True:
            try:
                item = self._jobs.get(timeout=IDLE_SECONDS)
            except Empty:
                if not main.is_alive():
                    return
                self._idle()
                continue
            if item is None:
                return
            job, report = item
            try:
                job()
            except Exception as error:
                report(error)
            else:
                report(None)
