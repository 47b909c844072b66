"""Finds the users of handles that messages were written to while nobody could be asked.

Such a message is in the history and counts as waiting, but has no conversation, so the core does not see it. The
process that holds the profile asks once there is a session; then the message goes to the end of its conversation's
outbox, or is refused when nobody has the handle. Must not know: frames, connections, SQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

from iris_sdk.catalogue import ErrorCode
from iris_sdk.errors import ApiError, IrisError, LoggedOut, Offline, UnknownUser
from iris_sdk.ids import direct_conversation
from iris_sdk.store import Reader
from iris_sdk.worker import StoreWorker

RETRY_S, RETRY_MAX_S = 0.5, 30.0


class Addressing:
    """`find` gives the user id of a handle, as bytes. `changed` is called after a commit, `failed` when there is none.

    Nothing is asked before `online(True)`.
    """

    def __init__(
        self,
        reader: Reader,
        worker: StoreWorker,
        find: Callable[[str], Awaitable[bytes]],
        *,
        changed: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._reader, self._worker, self._find = reader, worker, find
        self._changed, self._failed = changed, failed
        self._user: bytes = reader.meta("user")
        self._online = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def online(self, online: bool) -> None:
        """Whether there is a session."""
        if online:
            self._online.set()
            self.look()
        else:
            self._online.clear()

    def look(self) -> None:
        """Take up what waits for its handle."""
        if self._task is None and self._online.is_set() and self._reader.unaddressed():
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Leave what still waits for the next holder."""
        self._online.clear()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        pause = RETRY_S
        try:
            while handles := self._reader.unaddressed():
                await self._online.wait()
                try:
                    for handle in handles:
                        await self._address(handle)
                        self._changed()
                except (Offline, ApiError):
                    await asyncio.sleep(pause * (0.5 + random.random() / 2))
                    pause = min(pause * 2, RETRY_MAX_S)
        except LoggedOut:
            pass  # the connection is closed for good, and says so
        except IrisError as error:
            self._failed(error)
        finally:
            self._task = None

    async def _address(self, handle: str) -> None:
        try:
            peer = await self._find(handle)
        except UnknownUser:
            await self._worker.run(lambda writer: writer.refuse_unaddressed(handle, ErrorCode.UNKNOWN_USER))
            return
        if peer == self._user:
            await self._worker.run(lambda writer: writer.refuse_unaddressed(handle, ErrorCode.SELF))
            return
        conversation = direct_conversation(self._user, peer)
        await self._worker.run(lambda writer: writer.address(handle, conversation))
