"""The door of HTTP-01: the proof for who asks for it, nothing for others, and not for many at once."""

from __future__ import annotations

import asyncio
import socket

import pytest

from iris.certificates import door as module
from iris.certificates.door import CONNECTIONS_MAX, SECONDS_MAX, Door

HERE = ("127.0.0.1", 0)
PATH = "/.well-known/acme-challenge/abc"


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (f"GET {PATH} HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n"),
        (f"GET {PATH} HTTP/1.1\r\nHost: a\r\n\r\nGET {PATH} HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n"),
        (f"POST {PATH} HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "),
        (f"GET {PATH}x HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "),
        ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "),
        ("GET \xff HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "),
        ("\r\n\r\n", "HTTP/1.1 404 "),
        ("x" * 40_000, ""),
    ],
)
def test_what_is_answered(request_: str, answer: str) -> None:
    async def case() -> None:
        async with Door([HERE]) as door:
            door.proofs[PATH] = "abc.thumb"
            got = (await ask(door.ports[0], request_.encode("latin-1"))).decode()
            assert got.startswith(answer) if answer else got == ""
            assert got.count("abc.thumb") == answer.count("200")

    asyncio.run(case())


def test_slow_and_many_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case() -> None:
        async with Door([HERE]) as door:
            kept = [await asyncio.open_connection("127.0.0.1", door.ports[0]) for _ in range(CONNECTIONS_MAX)]
            assert await asyncio.wait_for(ask(door.ports[0], b""), SECONDS_MAX / 2) == b""  # closed at once
            monkeypatch.setattr(module, "SECONDS_MAX", 0.01)
            for _, writer in kept:
                writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", door.ports[0])
            writer.write(b"GET ")
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()

    asyncio.run(case())


def test_one_address_is_enough_and_it_closes_behind_itself() -> None:
    async def case() -> None:
        with socket.create_server(HERE) as taken:
            busy = ("127.0.0.1", taken.getsockname()[1])
            async with Door([busy, HERE]) as door:
                (port,) = door.ports
            with pytest.raises(OSError):
                await asyncio.open_connection("127.0.0.1", port)
            with pytest.raises(OSError):
                async with Door([busy]):
                    pass

    asyncio.run(case())
