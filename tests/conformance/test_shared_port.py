"""HTTP on the port that WebSocket shares, against `iris serve` as shipped: what the piping engine could break.

Requests that two readers could cut differently: tests/security/test_smuggling.py.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.handshake import API, GOOD, REFUSED, Opening, changed
from tests.support.certificate import certificate, make_certificate
from tests.support.engine import CLOSE, DEADLINE_S, Wire
from tests.support.server import Server, serving

GET = b"GET /v1/info HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
POST = b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LOGIN = json.dumps({"handle": "nobody", "password": "x" * 12, "device_name": "d", "nonce": "n" * 16}).encode()
CHUNKED = b"".join(b"%x\r\n%c\r\n" % (1, byte) for byte in LOGIN) + b"0\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(LOGIN)


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with TLS; none of these tests leaves anything in it."""
    folder: Path = tmp_path_factory.mktemp("iris")
    with serving(folder / "data", certificate=make_certificate(folder)) as server:
        yield server


@pytest.fixture
def wire(iris: Server) -> Iterator[Wire]:
    """A connection to it."""
    sock = socket.create_connection(("127.0.0.1", iris.port), DEADLINE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with Wire(certificate().client_context().wrap_socket(sock, server_hostname="localhost")) as wire:
        yield wire


def read_answer(wire: Wire, *, body: bool = True) -> tuple[int, bytes]:
    """Status and body of the next answer."""
    head = wire.read_head().lower()
    status = int(head.split()[1])
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    return status, wire.read(int(fields.get(b"content-length", b"0"))) if body and status >= 200 else b""


def test_requests_may_be_sent_without_waiting(wire: Wire) -> None:
    wire.send(GET * 20)
    for _ in range(20):
        status, body = read_answer(wire)
        assert (status, json.loads(body)["server"]) == (200, "iris")


def test_a_connection_is_kept_for_further_requests(wire: Wire) -> None:
    for _ in range(3):
        wire.send(GET)
        assert read_answer(wire)[0] == 200
    wire.send(LAST)
    assert read_answer(wire)[0] == 200
    assert wire.read_to_end() == b""


@pytest.mark.parametrize(
    "request_parts",
    [[POST + LENGTH + b"\r\n" + LOGIN], [POST + LENGTH + b"\r\n", LOGIN],
     [bytes([byte]) for byte in POST + LENGTH + b"\r\n" + LOGIN],
     [POST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED], [POST + b"Transfer-Encoding: chunked\r\n\r\n", CHUNKED]],
    ids=["in one segment", "head, then body", "byte by byte", "chunked", "chunked, head first"],
)  # fmt: skip
def test_a_body_arrives_in_any_form(wire: Wire, request_parts: list[bytes]) -> None:
    for part in request_parts:
        wire.send(part)
    status, body = read_answer(wire)
    assert (status, json.loads(body)["title"]) == (401, "CREDENTIALS_WRONG")
    wire.send(GET)
    assert read_answer(wire)[0] == 200, "and the next request is found behind it"


def test_a_client_that_expects_100_gets_it_before_its_body(wire: Wire) -> None:
    """RFC 9110, 10.1.1."""
    wire.send(POST + LENGTH + b"Expect: 100-continue\r\n\r\n")
    assert read_answer(wire) == (100, b"")
    wire.send(LOGIN)
    assert read_answer(wire)[0] == 401


def test_a_head_has_no_body_in_its_answer(wire: Wire) -> None:
    wire.send(GET.replace(b"GET", b"HEAD") + GET)
    assert read_answer(wire, body=False)[0] in (200, 405)
    assert read_answer(wire)[0] == 200


def test_http_1_0_ends_with_its_answer(wire: Wire) -> None:
    wire.send(GET.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert read_answer(wire)[0] == 200
    assert wire.read_to_end() == b""


def test_a_large_answer_comes_whole(wire: Wire) -> None:
    wire.send(GET.replace(b"/v1/info", b"/v1/openapi.json") + LAST)
    status, body = read_answer(wire)
    assert (status, json.loads(body)["info"]["title"]) == (200, "Iris")
    assert read_answer(wire)[0] == 200


def test_an_upgrade_behind_a_request_is_no_upgrade(wire: Wire) -> None:
    """Only the first head of a connection is looked at for one; the API knows no WebSocket."""
    wire.send(GET)
    assert read_answer(wire)[0] == 200
    wire.send(GOOD + GET)
    assert read_answer(wire)[0] == 404
    assert read_answer(wire)[0] == 200


def test_a_request_behind_an_upgrade_is_a_broken_frame(wire: Wire) -> None:
    wire.send(GOOD + GET)
    assert wire.read_head().startswith(b"HTTP/1.1 101 ")
    assert wire.read_frame() == (CLOSE, b"\x03\xea")
    assert wire.read_to_end() == b""


TO_THE_API = [case for case in REFUSED if case.refused == API]


@pytest.mark.parametrize("case", TO_THE_API, ids=[case.name for case in TO_THE_API])
def test_what_the_engine_hands_on_the_api_refuses(wire: Wire, case: Opening) -> None:

    wire.send(case.request)
    assert read_answer(wire)[0] in (400, 404, 422)


def test_an_upgrade_of_another_path_is_not_found(wire: Wire) -> None:
    wire.send(changed("/v1/connect", "/v2/connect"))
    assert read_answer(wire)[0] == 404
