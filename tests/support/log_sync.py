"""A store's sync that a test holds or lets fail; what is neither goes to the real one."""

from __future__ import annotations

import os
import select
from pathlib import Path

from iris._engine import LogSync


class GatedSync:
    """`open_rocks(..., log_sync=gated)`, then `hold`, `release` and `fail`. `begun` counts what the store asked for."""

    def __init__(self) -> None:
        self.begun = 0
        self._real: LogSync | None = None
        self._open = True
        self._waiting = False
        self._error: OSError | None = None
        self._failed = os.eventfd(0, os.EFD_NONBLOCK)
        self._either = select.epoll()  # readable when the real one or the failure is
        self._either.register(self._failed, select.EPOLLIN)

    def __call__(self, folder: Path) -> GatedSync:
        """What `open_rocks` calls; again for every store that is opened."""
        self._real = LogSync(folder)
        self._either.register(self._real.fileno(), select.EPOLLIN)
        return self

    @property
    def real(self) -> LogSync:
        """The sync of the open store."""
        assert self._real is not None
        return self._real

    def hold(self) -> None:
        """From now on no sync begins."""
        self._open = False

    def release(self) -> None:
        """Let what is held begin."""
        self._open = True
        if self._waiting:
            self._waiting = False
            self._begin()

    def fail(self, error: OSError) -> None:
        """Let every sync from the next one on fail."""
        self._error = error

    def fileno(self) -> int:
        return self._either.fileno()

    def sync(self) -> None:
        self.begun += 1
        if self._open:
            self._begin()
        else:
            self._waiting = True

    def _begin(self) -> None:
        if self._error is None:
            self.real.sync()
        else:
            os.eventfd_write(self._failed, 1)

    def take(self) -> tuple[OSError | None, float] | None:
        if self._error is not None:
            try:
                os.eventfd_read(self._failed)
            except BlockingIOError:
                return None
            return self._error, 0.0
        return self.real.take()

    def stop(self) -> None:
        self.release()
        self.real.stop()
