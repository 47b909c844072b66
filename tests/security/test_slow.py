"""Slow on purpose (slowloris): a byte now and then, at every stage of a connection. Each ends by itself; nobody waits.

The engine's own time-outs are tested at their edges in tests/integration; here all sorts at once meet the whole server.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blackbox.client import Api, Connection, Talk, conversation, person
from tests.blackbox.raw import RawSocket
from tests.blackbox.schema import client_frame
from tests.security.conftest import IMPATIENT, Online
from tests.support.certificate import make_certificate
from tests.support.engine import upgrade_request, ws_frame
from tests.support.server import Server, serving

EACH = 25
ENDED_S = 20.0  # all time-outs of IMPATIENT one after the other, and a busy machine
HEAD = b"GET /v1/info HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
DRIP = b"x" * 4_000
# What comes at once, and what then comes byte by byte.
STAGES = {
    "nothing at all": (b"", b""),
    "a request line": (b"", b"GET /v1/info?" + DRIP),
    "a head": (HEAD + b"X: ", DRIP),
    "a body": (POST + b"Content-Length: 5000\r\n\r\n", DRIP),
    "a chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n", DRIP),
    "a chunk's extension": (POST + b"Transfer-Encoding: chunked\r\n\r\n1;", DRIP),
    "the second head": (HEAD + b"\r\n" + HEAD + b"X: ", DRIP),
    "no second request": (HEAD + b"\r\n", b""),
    "an upgrade": (upgrade_request()[:-2] + b"X: ", DRIP),
    "Hello": (upgrade_request(), ws_frame(2, b"\x0a\xff\x1f\x0a\xfc\x1f" + DRIP)),
    "no Hello": (upgrade_request(), b""),
    "pings instead of Hello": (upgrade_request(), ws_frame(9, b"") * 500),
    "fragments of Hello": (upgrade_request(), ws_frame(2, b"\x0a", first=0) + ws_frame(0, b"", first=0) * 400),
}


def drip(socks: dict[socket.socket, Iterator[int]]) -> None:
    """A byte to each, until the server has ended all of them; fails after ENDED_S."""
    watch, by_fd = selectors.DefaultSelector(), {sock.fileno(): sock for sock in socks}
    for sock in socks:
        sock.setblocking(False)
        watch.register(sock, selectors.EVENT_READ)
    until = time.monotonic() + ENDED_S
    while watch.get_map():
        assert time.monotonic() < until, f"{len(watch.get_map())} are still there"
        for key, _ in watch.select(0.05):
            sock = by_fd[key.fd]
            data = b"-"
            with contextlib.suppress(BlockingIOError, ConnectionError):
                data = sock.recv(65_536)
            if not data:
                watch.unregister(sock)
                sock.close()
        for key in list(watch.get_map().values()):
            sock = by_fd[key.fd]
            for byte in socks[sock]:
                try:
                    sock.send(bytes([byte]))
                except BlockingIOError:
                    pass
                except OSError:
                    watch.unregister(sock)
                    sock.close()
                break


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Its idle time is short too: a request's connection that says nothing more is idle."""
    settings = IMPATIENT | {"limits.ping_interval_ms": 1_000, "limits.idle_timeout_ms": 2_000}
    with serving(tmp_path_factory.mktemp("slow") / "data", settings=settings) as running:
        yield running


@pytest.mark.parametrize("stage", STAGES)
def test_every_slow_connection_is_ended_and_others_are_served_meanwhile(patient: Server, stage: str) -> None:
    first, rest = STAGES[stage]
    socks = {}
    for _ in range(EACH):
        sock = socket.create_connection(("127.0.0.1", patient.port))
        sock.sendall(first)
        socks[sock] = iter(rest)
    api = Api(patient.url)
    ada, bob = person(api), person(api)
    a, b = Connection(patient.ws_url), Connection(patient.ws_url)
    a.hello(ada.access)
    b.hello(bob.access)
    talk = Talk(conversation(ada.user, bob.user))
    talk.send(a)
    talk.accepted(a)
    b.take("deliver")
    a.close()
    b.close()
    drip(socks)


def test_a_tls_handshake_that_does_not_end(tmp_path: Path) -> None:
    with serving(tmp_path / "data", certificate=make_certificate(tmp_path), settings=IMPATIENT) as server:
        hello = b"\x16\x03\x01\x0f\xff\x01\x00\x0f\xfb\x03\x03" + DRIP
        socks = {socket.create_connection(("127.0.0.1", server.port)): iter(hello) for _ in range(EACH)}
        drip(socks)


def test_a_frame_that_comes_by_the_byte_is_taken_when_it_is_whole(iris: Server, online: Online, api: Api) -> None:
    """Who is logged in may be slow: it costs a connection that the device has anyway, and one message's bytes."""
    ada, bob = person(api), person(api)
    b = online(bob)
    with RawSocket(iris.port) as slow:
        slow.upgrade()
        slow.frame(client_frame("hello", token=ada.access))
        slow.next()
        fields = {"conversation": conversation(ada.user, bob.user), "stream": 1, "client_seq": 1}
        frame = ws_frame(2, client_frame("send", message_id=b"m" * 16, payload=b"p" * 200, content_type=1, **fields))
        for byte in frame:
            slow.put(bytes([byte]))
        assert b.take("deliver").payload == b"p" * 200


def test_a_client_that_does_not_read_its_answers_holds_nobody_up(iris: Server, api: Api) -> None:
    """Pipelined requests whose answers nobody takes: the pipe fills, its reading stops, others are served."""
    ada = person(api)
    with RawSocket(iris.port) as deaf:
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.socket.setblocking(False)
        asked = b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        with contextlib.suppress(BlockingIOError, ConnectionError):
            for _ in range(20_000):
                deaf.socket.sendall(asked)
        for _ in range(20):
            api.good("GET", "/me", ada.access)
