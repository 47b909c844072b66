"""The proxy of `iris torture`: what it passes on, cuts, tears, swallows and holds back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from iris_torture.gate import DOWN, UP, Gate

LIMIT_S = 10.0
Case = Callable[[Gate, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def through(case: Case) -> list[bytes]:
    """Run a case with a connection through a gate to an echo; returns what the echo got, piece by piece."""
    got: list[bytes] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                got.append(data)
                writer.write(data)
        except OSError:
            pass
        writer.close()

    async def all_of_it() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        gate = Gate("127.0.0.1", server.sockets[0].getsockname()[1], random.Random(1))
        await gate.open()
        async with asyncio.timeout(LIMIT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
            await case(gate, reader, writer)
        writer.close()
        await gate.close()
        server.close()

    asyncio.run(all_of_it())
    return got


async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> None:
    """Send and get back."""
    writer.write(text)
    assert await reader.readexactly(len(text)) == text


def test_what_is_not_hurt_passes() -> None:
    async def case(gate: Gate, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(reader, writer, b"hello")
        assert gate.connections == 1

    assert through(case) == [b"hello"]


def test_a_cut_is_a_reset() -> None:
    async def case(gate: Gate, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(reader, writer, b"hello")
        gate.cut()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)

    through(case)


def test_a_tear_passes_half() -> None:
    async def case(gate: Gate, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gate.tear()
        writer.write(b"12345678")
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(8)

    assert b"".join(through(case)) in (b"", b"1234")  # a reset may overtake what it follows


def test_swallowed_answers_are_lost_and_the_connection_ends() -> None:
    async def case(gate: Gate, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(reader, writer, b"hello")
        gate.weather.swallow = True
        writer.write(b"lost")
        while gate.passed[DOWN] < 9:  # noqa: ASYNC110
            await asyncio.sleep(0)
        gate.heal()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(4)

    assert through(case) == [b"hello", b"lost"]


@pytest.mark.parametrize("way", [UP, DOWN])
def test_silence_holds_back_and_loses_nothing(way: int) -> None:
    async def case(gate: Gate, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gate.silence(way)
        writer.write(b"later")
        while gate.passed[way] < 5:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert gate.connections == 1
        gate.heal()
        assert await reader.readexactly(5) == b"later"

    assert through(case) == [b"later"]


def test_a_slow_reader_gets_everything_in_the_end() -> None:
    async def case(gate: Gate, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gate.weather.bytes_per_second = 1000
        gate.weather.jitter_s = 0.01
        await says(reader, writer, b"x" * 300)

    through(case)
