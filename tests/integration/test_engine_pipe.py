"""The byte pipe to the API: bytes as they came, the client's address in front, and limits."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from iris.http.proxy import read_header
from tests.support.certificate import certificate
from tests.support.engine import DEADLINE_S, Rig, Wire, eventually, running, upgrade_request

REQUEST = b"GET /v1/me HTTP/1.1\r\nHost: iris\r\n\r\n"


class Api:
    """A stand-in for the API: a Unix socket on which the test does what uvicorn would."""

    def __init__(self, path: Path, backlog: int = 100) -> None:
        self.path = str(path)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(DEADLINE_S)
        self._listener.bind(self.path)
        self._listener.listen(backlog)

    def accept(self) -> tuple[Wire, tuple[str, int]]:
        """The next connection, and the client that its PROXY header names."""
        wire = Wire(self._listener.accept()[0])
        front = wire.read(16)
        header = read_header(front + wire.read(front[15]))
        assert header is not None
        assert header[0].client is not None
        self.is_secure = header[0].secure
        return wire, header[0].client

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()


@contextmanager
def piped(tmp_path: Path, secure: bool, **options: Any) -> Iterator[tuple[Rig, Api]]:
    """An engine with an API behind it."""
    api = Api(tmp_path / "api.sock")
    try:
        with running(certificate=certificate() if secure else None, api_path=api.path, **options) as rig:
            yield rig, api
    finally:
        api.close()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def secure(request: pytest.FixtureRequest) -> bool:
    """Without and with TLS."""
    return bool(request.param)


def test_a_request_and_its_answer(tmp_path: Path, secure: bool) -> None:
    with piped(tmp_path, secure) as (rig, api):
        client = rig.connect()
        client.send(REQUEST)
        server, address = api.accept()
        assert address == client.sock.getsockname()
        assert api.is_secure == secure
        assert server.read(len(REQUEST)) == REQUEST
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        assert client.read_head().startswith(b"HTTP/1.1 200 OK")
        assert client.read(2) == b"hi"
        assert rig.stat("pipes_open") == 1
        assert rig.stat("states")["piped"] == 1
        server.sock.close()
        assert client.read_to_end() == b""
        client.sock.close()
        rig.until("connections", 0)
        assert rig.stat("pipes_open") == 0


def test_bytes_arrive_exactly_as_they_came(tmp_path: Path, secure: bool) -> None:
    """After the first head nothing is read as HTTP: an upgrade or garbage behind it is the API's business."""
    with piped(tmp_path, secure) as (rig, api):
        client = rig.connect()
        body = b"POST /x HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        parts = [body, upgrade_request(), bytes(range(256)) * 10, b"GET /\n\n", b"\r\n\r\n" * 3]
        client.send(body[:10])
        client.send(body[10:] + b"".join(parts[1:]))
        server, _ = api.accept()
        whole = b"".join(parts)
        assert server.read(len(whole)) == whole
        server.send(bytes(range(256)))
        assert client.read(256) == bytes(range(256))


@pytest.mark.parametrize(
    "head",
    [
        upgrade_request("/"),
        upgrade_request("/v1/connect/"),
        upgrade_request(drop="Upgrade"),
        upgrade_request(Upgrade="h2c"),
    ],
)
def test_what_is_no_iris_upgrade_goes_to_the_api(tmp_path: Path, head: bytes) -> None:
    with piped(tmp_path, secure=False) as (rig, api):
        client = rig.connect()
        client.send(head)
        server, _ = api.accept()
        assert server.read(len(head)) == head


def test_an_api_that_is_not_there_is_503(tmp_path: Path, secure: bool) -> None:
    with running(certificate=certificate() if secure else None, api_path=str(tmp_path / "none")) as rig:
        client = rig.connect()
        client.send(REQUEST)
        assert client.read_to_end().startswith(b"HTTP/1.1 503 ")
        assert rig.stat("refused") == {"api_unreachable": 1}
        assert rig.stat("pipes_open") == 0


def test_an_api_whose_backlog_is_full_is_503_and_nobody_waits(tmp_path: Path) -> None:
    api = Api(tmp_path / "api.sock", backlog=0)
    with running(api_path=api.path) as rig:
        clients = [rig.connect() for _ in range(4)]
        for client in clients:
            client.send(REQUEST)
        eventually(lambda: rig.stat("refused").get("api_unreachable", 0) > 0, "one is refused")
        rig.ready()
    api.close()


def test_pipes_have_a_limit(tmp_path: Path, secure: bool) -> None:
    with piped(tmp_path, secure, pipes_max=2) as (rig, api):
        kept, servers = [], []
        for _ in range(2):  # one after the other, so that it is known who is whose
            kept.append(rig.connect())
            kept[-1].send(REQUEST)
            servers.append(api.accept())
        third = rig.connect()
        third.send(REQUEST)
        assert third.read_to_end().startswith(b"HTTP/1.1 503 ")
        assert rig.stat("refused") == {"too_many_pipes": 1}
        assert rig.stat("iris_connections_refused_total") == 1
        rig.ready()
        kept[0].sock.close()
        servers[0][0].sock.close()  # without TLS the client's end is half an end
        rig.until("pipes_open", 1)
        fourth = rig.connect()
        fourth.send(REQUEST)
        servers.append(api.accept())


def send_all_it_takes(sock: socket.socket, limit: int) -> int:
    """Send until the other side takes no more for a while; how many bytes went."""
    sock.settimeout(0.3)
    sent = 0
    try:
        while sent < limit:
            sent += sock.send(b"x" * 65536)
    except (TimeoutError, ssl.SSLWantWriteError):
        return sent
    raise AssertionError(f"{sent} bytes went and there was no end")


def test_a_slow_api_holds_the_client_back_and_nothing_is_lost(tmp_path: Path, secure: bool) -> None:
    with piped(tmp_path, secure) as (rig, api):
        client = rig.connect()
        client.send(REQUEST)
        server, _ = api.accept()
        raw = client.sock
        before = rig.stat("bytes_in_total")
        sent = send_all_it_takes(raw, 200_000_000)
        taken = rig.stat("bytes_in_total") - before
        assert taken < 2_000_000, "little more than the buffers of the pipe and of the Unix socket"
        got = len(server.read(len(REQUEST)))
        raw.settimeout(DEADLINE_S)
        while got < len(REQUEST) + sent:
            got += len(server.read(min(65536, len(REQUEST) + sent - got)))
        assert server.read(0) == b""


def test_a_slow_client_holds_the_api_back_and_nothing_is_lost(tmp_path: Path, secure: bool) -> None:
    with piped(tmp_path, secure) as (rig, api):
        client = rig.connect()
        client.send(REQUEST)
        server, _ = api.accept()
        sent = send_all_it_takes(server.sock, 200_000_000)
        got = 0
        while got < sent:
            got += len(client.read(min(65536, sent - got)))
        server.sock.close()
        assert client.read_to_end() == b""


def test_a_client_may_end_its_direction_first(tmp_path: Path) -> None:
    with piped(tmp_path, secure=False) as (rig, api):
        client = rig.connect()
        client.send(REQUEST)
        client.sock.shutdown(socket.SHUT_WR)
        server, _ = api.accept()
        assert server.read_to_end() == REQUEST
        server.send(b"x" * 1_000_000)
        server.sock.close()
        assert client.read_to_end() == b"x" * 1_000_000
        client.sock.close()
        rig.until("connections", 0)


def test_a_client_that_vanishes_ends_the_pipe(tmp_path: Path, secure: bool) -> None:
    with piped(tmp_path, secure) as (rig, api):
        client = rig.connect()
        client.send(REQUEST)
        server, _ = api.accept()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()
        assert server.read_to_end() == REQUEST
        server.sock.close()
        rig.until("connections", 0)
        rig.until("pipes_open", 0)


def test_a_pipe_on_which_nothing_moves_is_closed(tmp_path: Path, secure: bool) -> None:
    with piped(tmp_path, secure, ping_interval_ms=100, idle_timeout_ms=200) as (rig, api):
        client = rig.connect()
        client.send(REQUEST)
        server, _ = api.accept()
        assert server.read_to_end() == REQUEST
        assert client.read_to_end() == b""
        rig.until("pipes_open", 0)


def test_an_answer_that_comes_before_the_end_of_the_request_is_delivered(tmp_path: Path, secure: bool) -> None:
    """A body that is too large, say: the API answers and closes while it is still being sent."""
    answer = b"HTTP/1.1 413 Content Too Large\r\n\r\n" + b"y" * 10_000
    with piped(tmp_path, secure) as (rig, api):
        for _ in range(10):
            client = rig.connect()
            client.send(REQUEST)
            server, _ = api.accept()
            assert server.read(len(REQUEST)) == REQUEST
            send_all_it_takes(client.sock, 200_000_000)
            client.sock.settimeout(DEADLINE_S)
            server.send(answer)
            server.sock.close()
            assert client.read_to_end() == answer
            client.sock.close()
        rig.until("pipes_open", 0)
        rig.until("connections", 0)
