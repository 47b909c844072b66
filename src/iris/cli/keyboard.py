"""Reading what is typed without blocking the event loop: keys of a terminal, lines of anything else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Iterator

CHUNK_BYTES = 4096


@contextlib.contextmanager
def raw_terminal() -> Iterator[bool]:
    """Get single keys without echo (Ctrl-C still interrupts); yields whether standard input is a terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield False
        return
    import termios

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    changed = termios.tcgetattr(number)
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
    termios.tcsetattr(number, termios.TCSADRAIN, changed)
    try:
        yield True
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def read_input(into: asyncio.Queue[bytes]) -> None:
    """Put what standard input gives into the queue, and b"" at its end.

    A thread with plain reads works for terminals, pipes and files alike, and holds no lock when the process ends.
    """
    loop = asyncio.get_running_loop()
    number = sys.stdin.fileno()

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended first
            while True:
                try:
                    data = os.read(number, CHUNK_BYTES)
                except OSError:
                    data = b""
                loop.call_soon_threadsafe(into.put_nowait, data)
                if not data:
                    return

    threading.Thread(target=read, name="standard input", daemon=True).start()
