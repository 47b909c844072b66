"""Work beside the server of the same process, in a thread of its own, until it is done or the server stops."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

STOP_S = 5.0  # for the work to end at Ctrl-C


class Beside:
    """Runs one coroutine. `failed` is told what ended it, unless it was stopped."""

    def __init__(self, name: str, failed: Callable[[Exception], None]) -> None:
        self._name, self._failed = name, failed
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self.stopping = threading.Event()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]], then: Callable[[], None] = lambda: None) -> None:
        """Begin; `then` is called in the thread afterwards, also when it failed, unless it was stopped."""
        self._thread = threading.Thread(target=self._run, args=(work, then), name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the work where it is, and wait for it a little."""
        self.stopping.set()
        if self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._task.cancel)
        if self._thread is not None:
            self._thread.join(STOP_S)

    def _run(self, work: Callable[[], Coroutine[Any, Any, None]], then: Callable[[], None]) -> None:
        try:
            asyncio.run(self._work(work))
        except asyncio.CancelledError:
            return
        except Exception as error:
            if self.stopping.is_set():
                return
            self._failed(error)
        if not self.stopping.is_set():
            then()

    async def _work(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if not self.stopping.is_set():
            await work()
