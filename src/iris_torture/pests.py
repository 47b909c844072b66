"""Clients that mean no good or know no better: what a public port sees all day. None of them logs in."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
from collections.abc import Awaitable, Callable

LONG_S = 3.0
UPGRADE = (
    "GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: iris.v1.pb\r\n\r\n"
)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random) -> None:
    """Connects and says nothing."""


async def noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random) -> None:
    """Bytes that mean nothing."""
    writer.write(chance.randbytes(chance.choice((1, 100, 20_000))))


async def half_a_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random) -> None:
    """A request that never ends."""
    writer.write(b"GET /v1/connect HTTP/1.1\r\nHost: local")


async def bad_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random) -> None:
    """Something that looks like HTTP to the API."""
    path = chance.choice(("/", "/v1/me", "/v1/users/none", "/wp-login.php", "/v1/../../etc/passwd"))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x.y.z\r\n\r\n".encode())


async def bad_frame(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random) -> None:
    """A proper upgrade, then noise instead of Hello."""
    writer.write(UPGRADE.format(key=base64.b64encode(chance.randbytes(16)).decode()).encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x82\x85" + chance.randbytes(9))


PESTS: tuple[Callable[[asyncio.StreamReader, asyncio.StreamWriter, random.Random], Awaitable[None]], ...] = (
    silent, noise, half_a_head, bad_request, bad_frame,
)  # fmt: skip


async def visit(host: str, port: int, chance: random.Random) -> None:
    """One of them comes, waits for what the server makes of it, and goes."""
    with contextlib.suppress(OSError, EOFError, TimeoutError):
        async with asyncio.timeout(LONG_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                await chance.choice(PESTS)(reader, writer, chance)
                await reader.read()
            finally:
                writer.transport.abort()


async def swarm(host: str, port: int, chance: random.Random, per_second: float) -> None:
    """They come until cancelled."""
    visits: set[asyncio.Task[None]] = set()
    try:
        while True:
            await asyncio.sleep(chance.expovariate(per_second))
            task = asyncio.create_task(visit(host, port, chance))
            visits.add(task)
            task.add_done_callback(visits.discard)
    finally:
        for task in list(visits):
            task.cancel()
