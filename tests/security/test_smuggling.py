"""Requests that two readers could cut differently, on the port that HTTP and WebSocket share.

The engine reads one head of each connection and pipes the rest byte by byte over an API connection of its own, so there
is nobody to smuggle past. These tests keep it so: every form is cut as RFC 9112 says, or refused and the connection
ended; nothing after a refusal is answered. `HIDDEN` stands behind each attack and asks for the end of the connection.
"""

from __future__ import annotations

import re
import socket

import pytest

from tests.blackbox.client import Api
from tests.blackbox.raw import RawSocket
from tests.support.engine import DEADLINE_S, upgrade_request, ws_frame
from tests.support.server import Server

HIDDEN = b"GET /v1/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POST = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
GET = b"GET /v1/info HTTP/1.1\r\nHost: x\r\n"

# Cut as RFC 9112 says: the POST is refused for what it says (422), then HIDDEN is answered.
UNDERSTOOD = {
    "same length twice (6.3)": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "length as a list (6.3)": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "chunked after a tab": POST + b"Transfer-Encoding:\tchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunk extension (7.1.1)": POST + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n",
    "length in the trailers (7.1.2)": POST
    + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n",
    "folded line is one line (5.2)": POST + b"X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
}
# The same, but the first is answered well: RFC 9112, 2.2 lets a bare LF end a line, and then it must count as one.
BARE_LF = b"GET /v1/info HTTP/1.1\r\nHost: x\nContent-Length: 5\r\n\r\n12345"
# One answer, a refusal, and the end of the connection.
REFUSED = {
    "CL.TE": POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE.CL": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 7\r\n\r\n{}",
    "list of two lengths": POST + b"Content-Length: 2, 7\r\n\r\n{}",
    "length with a sign": POST + b"Content-Length: +2\r\n\r\n{}",
    "negative length": POST + b"Content-Length: -1\r\n\r\n{}",
    "length in hex": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "length of 23 digits": POST + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "length of 5,000 digits": POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "encoding twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "space before the colon": POST + b"Transfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n{}",
    "vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 2\r\n\r\n{}",
    "bare CR": GET + b"X: y\rContent-Length: 5\r\n\r\n",
    "NUL": GET + b"X: a\0b\r\n\r\n",
    "no Host": b"GET /v1/info HTTP/1.1\r\n\r\n",
    "two Hosts": GET + b"Host: y\r\n\r\n",
    "HTTP/1.0 with chunks": POST.replace(b"/1.1", b"/1.0") + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a space too many": b"GET  /v1/info HTTP/1.1\r\nHost: x\r\n\r\n",
    "bare LF only": b"GET /v1/info HTTP/1.1\nHost: x\n\n",
    "an upgrade with a body": upgrade_request(Content_Length="5"),
    "an upgrade with chunks": upgrade_request(Transfer_Encoding="chunked"),
}
# Never an answer that is no refusal; at the latest at the time-out the connection ends.
NO_ANSWER = {
    "bare LF ends a chunk's line": POST + b"Transfer-Encoding: chunked\r\n\r\n2;\n{}\r\n0\r\n\r\n",
    "negative chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "chunk size 0x2": POST + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "chunk of 2**68": POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}",
    "length above what comes": POST + b"Content-Length: 5000\r\n\r\n{}",
}


def answers(server: Server, raw: bytes) -> list[int]:
    """The statuses of all answers until the server ends the connection; a server that does not is a failure."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as sock:
        sock.sendall(raw)
        given = b""
        try:
            while data := sock.recv(65_536):
                given += data
        except ConnectionResetError:
            pass
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})[ \r]", given)]


@pytest.mark.parametrize("raw", UNDERSTOOD.values(), ids=list(UNDERSTOOD))
def test_cut_as_the_rfc_says(iris: Server, raw: bytes) -> None:
    assert answers(iris, raw + HIDDEN) == [422, 200]


def test_a_line_that_ends_with_a_bare_lf_is_a_line(iris: Server) -> None:
    assert answers(iris, BARE_LF + HIDDEN) == [200, 200]


@pytest.mark.parametrize("raw", REFUSED.values(), ids=list(REFUSED))
def test_refused_and_nothing_behind_it_is_answered(iris: Server, raw: bytes) -> None:
    (status,) = answers(iris, raw + HIDDEN)
    assert status in (400, 422)


@pytest.mark.parametrize("raw", NO_ANSWER.values(), ids=list(NO_ANSWER))
def test_never_answered_as_if_it_were_good(iris: Server, raw: bytes) -> None:
    assert set(answers(iris, raw + HIDDEN)) <= {422, 503}


def test_another_client_is_never_given_what_was_smuggled(iris: Server, api: Api) -> None:
    """Each client connection has an API connection of its own: what one left in it meets nobody else's request."""
    poison = b"GET /v1/nowhere HTTP/1.1\r\nX: "
    with RawSocket(iris.port) as mallory:
        mallory.put(GET + b"\r\n" + poison)  # answered, and the begin of another request stays behind
        assert mallory.answer().status == 200
        for _ in range(20):
            assert Api(iris.url).good("GET", "/info")["server"] == "iris"
        mallory.put(b"y\r\nHost: x\r\n\r\n")
        mallory.buffer = mallory.buffer[mallory.buffer.find(b"}") + 1 :]
        assert mallory.answer().status == 404


def test_after_an_upgrade_nothing_is_http(iris: Server) -> None:
    with RawSocket(iris.port) as sock:
        sock.put(upgrade_request() + HIDDEN)
        assert sock.answer().status == 101
        assert sock.close_code() == 1002


def test_after_a_request_nothing_is_an_upgrade(iris: Server) -> None:
    """The API has no WebSocket: a pipelined upgrade cannot open a session that the engine does not see."""
    with RawSocket(iris.port) as sock:
        sock.put(GET + b"\r\n" + upgrade_request() + ws_frame(2, b"hello"))
        assert sock.answer().status == 200
        sock.buffer = sock.buffer[sock.buffer.find(b"}") + 1 :]
        assert sock.answer().status in (404, 422)


@pytest.mark.parametrize("upgrade", ["h2c", "websocket", "TLS/1.2"])
def test_other_upgrades_are_not_made(iris: Server, upgrade: str) -> None:
    fields = f"Upgrade: {upgrade}\r\nConnection: Upgrade, close\r\n\r\n".encode()
    assert answers(iris, GET + fields) == [200]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("CONNECT 127.0.0.1:22 HTTP/1.1", 404),
        ("GET http://127.0.0.1:1/metrics HTTP/1.1", 404),
        ("GET http://x/v1/me HTTP/1.1", 404),
        ("OPTIONS * HTTP/1.1", 404),
        ("TRACE /v1/info HTTP/1.1", 405),
        ("TRACK /v1/info HTTP/1.1", 405),
        ("GET /v1/../metrics HTTP/1.1", 404),
        ("GET /v1/%2e%2e/metrics HTTP/1.1", 404),
        ("GET /v1/me/..;/info HTTP/1.1", 404),
        ("GET //evil.example/v1/info HTTP/1.1", 404),
        ("GET /v1/info/ HTTP/1.1", 404),
    ],
)
def test_it_is_no_proxy_and_no_path_leads_elsewhere(iris: Server, line: str, status: int) -> None:
    assert answers(iris, line.encode() + b"\r\nHost: x\r\nConnection: close\r\n\r\n") == [status]
