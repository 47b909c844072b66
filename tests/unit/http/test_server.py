"""The API on its unix socket: PROXY headers, slow and broken clients, a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from iris.core.catalogue import Limits
from iris.http import ApiServer
from tests.support.api import PASSWORD, Api, an_api, quick, run
from tests.support.proxy import proxy_header

HEADER = proxy_header("192.0.2.7", 4711)
GET_INFO = b"GET /v1/info HTTP/1.1\r\nHost: iris\r\n\r\n"


@dataclass
class Served:
    api: Api
    server: ApiServer
    path: Path

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.server.address)

    async def exchange(self, *pieces: bytes) -> bytes:
        """Send pieces one by one, each in a packet of its own; what comes back until the server closes."""
        reader, writer = await self.connect()
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            return await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def served(folder: Path, limits: Limits | None = None) -> AsyncIterator[Served]:
    limits = limits or quick()
    async with an_api(folder, limits=limits) as api:
        server = ApiServer(api.app, folder / "api.sock", limits)
        await server.start()
        try:
            yield Served(api, server, folder / "api.sock")
        finally:
            await server.stop(grace_ms=1_000)


def request(method: str, path: str, body: object = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: iris\r\nConnection: close\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"Content-Type: application/json\r\n\r\n" + content


def status_and_headers(answer: bytes) -> tuple[int, dict[str, str]]:
    head = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return int(head[0].split()[1]), dict(line.lower().split(": ", 1) for line in head[1:])


def test_a_request_after_a_proxy_header_however_it_is_cut(tmp_path: Path) -> None:
    async def case() -> None:
        async with served(tmp_path) as s:
            whole = HEADER + request("GET", "/v1/info")
            for pieces in ([whole], [HEADER, whole[len(HEADER) :]], [whole[i : i + 1] for i in range(len(whole))]):
                answer = await s.exchange(*pieces)
                status, headers = status_and_headers(answer)
                assert status == 200
                assert "strict-transport-security" not in headers
                assert "server" not in headers
                assert "date" in headers
                assert json.loads(answer.partition(b"\r\n\r\n")[2])["server"] == "iris"

    run(case)


def test_the_address_is_the_proxys_and_no_header_of_the_client(tmp_path: Path) -> None:
    async def case() -> None:
        async with served(tmp_path, quick(logins_per_address_per_minute_max=1)) as s:
            body = {"handle": "nobody", "password": PASSWORD, "device_name": "d"}
            log_in = request("POST", "/v1/sessions", body)
            spoofed = log_in.replace(
                b"Host: iris", b"Host: iris\r\nX-Forwarded-For: 198.51.100.1\r\nForwarded: for=1.2.3.4"
            )
            others = proxy_header("192.0.2.8", 1)
            statuses = [
                status_and_headers(await s.exchange(header + what))[0]
                for header, what in ((HEADER, log_in), (HEADER, spoofed), (others, log_in), (others, log_in))
            ]
            assert statuses == [401, 429, 401, 429]

    run(case)


def test_tls_is_taken_from_the_proxy_header(tmp_path: Path) -> None:
    async def case() -> None:
        async with served(tmp_path) as s:
            answer = await s.exchange(proxy_header("192.0.2.7", 1, secure=True) + request("GET", "/v1/info"))
            assert "strict-transport-security" in status_and_headers(answer)[1]

    run(case)


@pytest.mark.parametrize("data", [GET_INFO, b"\x16\x03\x01\x02\x00", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n" + GET_INFO])
def test_a_connection_without_a_proxy_header_gets_nothing(tmp_path: Path, data: bytes) -> None:
    async def case() -> None:
        async with served(tmp_path) as s:
            with contextlib.suppress(ConnectionResetError):
                assert await s.exchange(data) == b""
            assert s.api.authority.asked == []
            assert status_and_headers(await s.exchange(HEADER + request("GET", "/v1/info")))[0] == 200

    run(case)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET /v1/info HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /v1/info HTTP/1.1\r\nHost: iris\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/users HTTP/1.1\r\nHost: iris\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/users HTTP/1.1\r\nHost: iris\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET /v1/info HTTP/1.1\r\nHost: iris\r\nX: " + b"x" * 2 * Limits().http_head_bytes_max,
        b"GET /v1/info HTTP/1.1\r\n\r\n",
        b"GET /v1/info\r\n\r\n",
    ],
)
def test_broken_http_gets_a_problem_document_and_an_end(tmp_path: Path, garbage: bytes) -> None:
    async def case() -> None:
        async with served(tmp_path) as s:
            answer = await s.exchange(HEADER + garbage)
            status, headers = status_and_headers(answer)
            assert (status, headers["content-type"]) == (422, "application/problem+json")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["title"] == "INVALID_REQUEST"
            assert s.api.refused == {"INVALID_REQUEST": 1}

    run(case)


def test_a_websocket_upgrade_that_came_here_is_not_found(tmp_path: Path) -> None:
    async def case() -> None:
        async with served(tmp_path) as s:
            head = b"GET /v1/other HTTP/1.1\r\nHost: iris\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n"
            assert status_and_headers(await s.exchange(HEADER + head))[0] == 404

    run(case)


def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    async def case() -> None:
        async with served(tmp_path) as s:
            answer = await s.exchange(HEADER + GET_INFO * 3 + request("GET", "/nowhere"))
            assert answer.count(b"HTTP/1.1 200") == 3
            assert answer.index(b"HTTP/1.1 404") > answer.rindex(b"HTTP/1.1 200")

    run(case)


@pytest.mark.parametrize(
    "begun", [b"", HEADER[:10], HEADER, HEADER + GET_INFO[:20], HEADER + GET_INFO + GET_INFO[:5]],
    ids=["nothing", "half a PROXY header", "no head", "half a head", "half a second head"],
)  # fmt: skip
def test_a_head_that_does_not_come_ends_the_connection(tmp_path: Path, begun: bytes) -> None:
    async def case() -> None:
        async with served(tmp_path, quick(upgrade_timeout_ms=50, idle_timeout_ms=1_000)) as s:
            reader, writer = await s.connect()
            writer.write(begun)
            with contextlib.suppress(ConnectionResetError):
                answer = await reader.read()
                assert answer.count(b"HTTP/1.1 200") == begun.count(GET_INFO)
            writer.close()

    run(case)


def test_a_body_that_does_not_come_is_refused_and_takes_no_place(tmp_path: Path) -> None:
    async def case() -> None:
        async with served(tmp_path, quick(http_request_timeout_ms=200, http_requests_max=1)) as s:
            slow = asyncio.create_task(s.exchange(HEADER + request("POST", "/v1/users", {"handle": "ada"})[:-5]))
            await s.exchange(HEADER + request("GET", "/v1/info"))  # by now the slow one is being read
            assert status_and_headers(await s.exchange(HEADER + request("GET", "/v1/info")))[0] == 200
            answer = await slow
            status, headers = status_and_headers(answer)
            assert (status, headers["connection"]) == (503, "close")

    run(case)


def test_connections_above_the_limit_are_cut(tmp_path: Path) -> None:
    async def case() -> None:
        async with served(tmp_path, quick(pipes_max=1)) as s:
            first, writer = await s.connect()
            writer.write(HEADER + GET_INFO)
            assert (await first.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                assert await s.exchange(HEADER + GET_INFO) == b""
            writer.write(GET_INFO)
            await first.readuntil(b"}")
            assert (await first.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
            writer.close()

    run(case)


def test_the_socket_is_private_and_replaced_after_a_crash(tmp_path: Path) -> None:
    async def case() -> None:
        async with served(tmp_path) as s:
            assert stat.S_IMODE(os.stat(s.path).st_mode) == 0o600
            other = ApiServer(s.api.app, s.path, quick())  # as after a kill: the file is there, nobody listens
            await other.start()
            assert status_and_headers(await s.exchange(HEADER + request("GET", "/v1/info")))[0] == 200
            await other.stop(1_000)
        assert not s.path.exists()
        s.path.write_text("not a socket")
        with pytest.raises(FileExistsError):
            await ApiServer(s.api.app, s.path, quick()).start()

    run(case)


def test_a_path_too_long_for_a_socket_works(tmp_path: Path) -> None:
    async def case() -> None:
        folder = tmp_path / ("x" * 60) / ("y" * 60)
        folder.mkdir(parents=True)
        async with served(folder) as s:
            assert s.path.exists()
            assert status_and_headers(await s.exchange(HEADER + request("GET", "/v1/info")))[0] == 200

    run(case)


def test_a_stop_lets_requests_end_and_closes_idle_connections(tmp_path: Path) -> None:
    async def case() -> None:
        async with served(tmp_path) as s:
            entered, go = asyncio.Event(), asyncio.Event()
            verify = s.api.passwords.verify

            async def held(encoded: str | None, password: str) -> bool:
                entered.set()
                await go.wait()
                return await verify(encoded, password)

            s.api.passwords.verify = held  # type: ignore[method-assign]
            idle, writer = await s.connect()
            writer.write(HEADER + GET_INFO)
            await idle.readuntil(b"}")
            body = {"handle": "nobody", "password": PASSWORD, "device_name": "d"}
            keep_alive = request("POST", "/v1/sessions", body).replace(b"Connection: close\r\n", b"")
            log_in = asyncio.create_task(s.exchange(HEADER + keep_alive))
            await entered.wait()
            stop = asyncio.create_task(s.server.stop(grace_ms=20_000))
            assert await idle.read() == b""
            assert not stop.done()
            with pytest.raises(OSError, match=r".*"):
                await s.connect()
            go.set()
            assert status_and_headers(await log_in)[0] == 401
            await stop
            writer.close()

    run(case)


def test_a_stop_cuts_what_does_not_end(tmp_path: Path) -> None:
    async def case() -> None:
        async with served(tmp_path) as s:
            entered = asyncio.Event()

            async def for_ever(encoded: str | None, password: str) -> bool:
                entered.set()
                await asyncio.Event().wait()
                return False

            s.api.passwords.verify = for_ever  # type: ignore[method-assign]
            body = {"handle": "nobody", "password": PASSWORD, "device_name": "d"}
            log_in = asyncio.create_task(s.exchange(HEADER + request("POST", "/v1/sessions", body)))
            await entered.wait()
            await s.server.stop(grace_ms=10)
            with contextlib.suppress(ConnectionResetError):
                await log_in
            assert not s.server._state.tasks

    run(case)


def test_signals_are_left_alone(tmp_path: Path) -> None:
    async def case() -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        async with served(tmp_path):
            assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before

    run(case)
