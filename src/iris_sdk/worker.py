"""The one thread that writes the profile, and the locks between processes.

Jobs that wait together become one transaction: one fsync for all of them. While it runs the event loop goes on and
the next jobs gather.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from iris_sdk.errors import ProfileError
from iris_sdk.store import Writer

T = TypeVar("T")
POLL_S = 0.05  # how soon another process's commit is seen; one look costs about 5 µs


class StoreWorker:
    """Runs jobs on the profile's Writer. Every caller waits for its own job, so the callers bound the queue."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._writer = Writer(db)
        self._thread = ThreadPoolExecutor(1, "iris-profile")
        self._jobs: list[tuple[Callable[[Writer], Any], asyncio.Future[Any]]] = []
        self._task: asyncio.Task[None] | None = None

    async def run(self, job: Callable[[Writer], T]) -> T:
        """The job's result, once it is on the disk. Raises what the job raised; ProfileError when the disk says no."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.append((job, done))
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        return await done

    async def close(self) -> None:
        """Finish what waits, then close the database."""
        while self._task is not None:
            await asyncio.wait([self._task])
        await asyncio.get_running_loop().run_in_executor(self._thread, self._writer.close)
        self._thread.shutdown(wait=True)

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._jobs:
                batch, self._jobs = self._jobs, []
                results: list[Any]
                try:
                    jobs = [job for job, _ in batch]
                    results = await loop.run_in_executor(self._thread, self._writer.transact, jobs)
                except sqlite3.Error as error:
                    failure = ProfileError(f"the profile cannot be written: {error}")
                    failure.__cause__ = error
                    results = [failure] * len(batch)
                for (_, done), result in zip(batch, results, strict=True):
                    if done.done():  # the caller was cancelled
                        continue
                    if isinstance(result, Exception):
                        done.set_exception(result)
                    else:
                        done.set_result(result)
        finally:
            self._task = None


class FileLock:
    """An advisory lock (flock) that ends with the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def try_acquire(self) -> bool:
        """Whether this object holds the lock now."""
        if self._fd is not None:
            return True
        fd = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    async def __aenter__(self) -> FileLock:
        while not self.try_acquire():  # noqa: ASYNC110  # another process tells nobody that it is done
            await asyncio.sleep(POLL_S)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.release()
