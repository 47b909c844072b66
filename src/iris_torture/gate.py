"""A TCP proxy in front of one worker, which hurts what passes: the network between a phone and its server.

It knows bytes, not frames: with TLS it sees nothing, and hurts just as well. Faults last until `heal`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass, field

CHUNK = 65536
UP, DOWN = 0, 1  # client to server, server to client


@dataclass
class Weather:
    """What happens to bytes, each way (UP, DOWN)."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    silent: list[bool] = field(default_factory=lambda: [False, False])  # bytes wait here, the connection stays
    swallow: bool = False  # what the server says is thrown away; the connection must be cut afterwards
    bytes_per_second: float = 0.0  # from the server; 0: as fast as it comes


class Gate:
    """Listens on a loopback port and passes on to (host, port)."""

    def __init__(self, host: str, port: int, chance: random.Random) -> None:
        self._to, self._chance = (host, port), chance
        self.port = 0
        self.weather = Weather()
        self.connections = 0
        self.passed = [0, 0]  # bytes that came, each way, also those that are held or lost
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._calm = asyncio.Event()
        self._calm.set()
        self._torn = False  # the next bytes from the client are cut in the middle

    async def open(self) -> None:
        """Begin to listen. Raises OSError."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        self.heal()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def heal(self) -> None:
        """No faults from here on; what was swallowed from is cut."""
        if self.weather.swallow:
            self.cut()
        self.weather = Weather()
        self._torn = False
        self._calm.set()

    def silence(self, *ways: int) -> None:
        """Nothing passes these ways, and nobody is told."""
        for way in ways:
            self.weather.silent[way] = True
        self._calm.clear()

    def tear(self) -> None:
        """Pass on half of the next thing that the client says, then cut."""
        self._torn = True

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(*self._to, limit=CHUNK)
        except OSError:
            _reset(writer)
            self._writers.discard(writer)
            return
        self._writers.add(back)
        try:
            await asyncio.gather(self._pass(reader, back, UP), self._pass(there, writer, DOWN))
        finally:
            for end in (writer, back):
                self._writers.discard(end)
                end.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: int) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                self.passed[way] += len(data)
                await self._hold(len(data), way)
                if way == UP and self._torn:
                    self._torn = False
                    writer.write(data[: max(1, len(data) // 2)])
                    await writer.drain()
                    self.cut()
                    return
                if way == DOWN and self.weather.swallow:
                    continue
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    async def _hold(self, size: int, way: int) -> None:
        """The time that these bytes take."""
        weather = self.weather
        if weather.delay_s or weather.jitter_s:
            await asyncio.sleep(weather.delay_s + self._chance.random() * weather.jitter_s)
        if way == DOWN and weather.bytes_per_second:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(size / weather.bytes_per_second):
                    while self.weather is weather:  # noqa: ASYNC110  # until it is healed
                        await asyncio.sleep(0.05)
        while self.weather.silent[way]:
            await self._calm.wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST, not FIN: the other side learns nothing of what was under way."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
