"""Standard output for commands that also hold a connection: a reader who pauses must not stop the connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from io import UnsupportedOperation


async def put(text: str) -> None:
    """Write `text` out; when this returns it is with the reader, or in the pipe. Raises OSError.

    A thread writes, past Python's buffer: it may be left behind when the command ends while nobody reads.
    """
    sys.stdout.flush()
    try:
        descriptor = sys.stdout.fileno()
    except UnsupportedOperation:  # not a file
        sys.stdout.write(text)
        return
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: OSError | None) -> None:
        if not done.done():
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    def write() -> None:
        failed: OSError | None = None
        left = memoryview(text.encode(sys.stdout.encoding or "utf-8", "replace"))
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the command has ended meanwhile
            loop.call_soon_threadsafe(settle, failed)

    threading.Thread(target=write, name="standard output", daemon=True).start()
    await done
