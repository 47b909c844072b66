"""What a server keeps of a message when something goes wrong: two trials, the same for Iris and for each peer.

Repeats: a sender that lost its connection before it saw an answer sends the same messages under the same ids again. How
often is each shown? Kill: messages to somebody who is away are answered, then the server's process gets SIGKILL and is
started again on its folder. How many come?

What counts as the server's answer, and what is shown to a receiver that does nothing of its own about repeats, each
server's `Device` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from bench.peers.packages import PeerError
from iris.bench import probe

MESSAGES = 100
BATCH = 25  # messages without an answer: fewer than Iris's `send_window`, 32
USERS = 4  # a sender and a receiver for each trial


class Device(Protocol):
    """One connection of a user."""

    async def send(self, to: int, numbers: Sequence[int]) -> None:
        """Send messages with these numbers as ids; the server has answered each. Raises PeerError."""

    async def take(self) -> list[int]:
        """The numbers of all that waited, as they are shown. Raises PeerError."""

    async def close(self) -> None:
        """Cut the connection; it may be broken already."""


class Server(Protocol):
    """A server that runs, with USERS users."""

    @property
    def folder(self) -> Path:
        """Where its data is."""

    async def connect(self, user: int) -> Device:
        """A user's device. Raises PeerError."""

    def kill(self) -> None:
        """SIGKILL."""

    def start(self) -> None:
        """Start again on its folder."""


async def promises(server: Server) -> dict[str, dict[str, Any]]:
    """Both trials. Raises PeerError."""
    return {"repeated": await repeated(server), "killed": await killed(server)}


async def repeated(server: Server) -> dict[str, Any]:
    """Each message is sent, answered, and sent again by a sender that did not see the answer."""
    for batch in _batches():
        for _ in range(2):
            sender = await server.connect(0)
            try:
                await sender.send(1, batch)
            finally:
                await sender.close()
    shown = await _taken(server, 1)
    _must_be_sent(shown)
    if len(set(shown)) < MESSAGES:
        raise PeerError(f"of {MESSAGES} messages {len(set(shown))} were shown, and nothing had happened to the server")
    return {"sent": MESSAGES, "shown": len(shown)}


async def killed(server: Server) -> dict[str, Any]:
    """The server is killed when it has answered the last message, and its receiver comes afterwards."""
    sender = await server.connect(2)
    try:
        before = probe.disk_flushes(server.folder)
        for batch in _batches():
            await sender.send(3, batch)
        after = probe.disk_flushes(server.folder)
        server.kill()
    finally:
        await sender.close()
    server.start()
    shown = await _taken(server, 3)
    _must_be_sent(shown)
    flushes = None if before is None or after is None else after - before
    return {"accepted": MESSAGES, "delivered": len(set(shown)), "flushes": flushes}


def _batches() -> Iterable[range]:
    return (range(first, first + BATCH) for first in range(0, MESSAGES, BATCH))


async def _taken(server: Server, user: int) -> list[int]:
    receiver = await server.connect(user)
    try:
        return await receiver.take()
    finally:
        await receiver.close()


def _must_be_sent(shown: Iterable[int]) -> None:
    others = set(shown) - set(range(MESSAGES))
    if others:
        raise PeerError(f"messages were shown that nobody sent: {sorted(others)[:5]}")
