"""Small bytes that want to become large: JSON, headers, protobuf, compression. Nobody else notices them."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import zlib
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.blackbox.client import Api, Closed, Connection, Person, conversation
from tests.blackbox.raw import RawSocket
from tests.blackbox.schema import bytes_field, varint
from tests.security.conftest import Online
from tests.support.engine import DEADLINE_S
from tests.support.server import Server

KEPT_MB = 64  # what the server may have grown by after all bombs of a test
GOOD = b'"password":"a wrong guess","device_name":"d"'

JSON_BOMBS = {
    "lists never closed": b"[" * 60_000,
    "lists in lists": b"[" * 30_000 + b"]" * 30_000,
    "objects in objects": b'{"a":' * 9_000 + b"1" + b"}" * 9_000,
    "lists in a field": b'{"handle":' + b"[" * 30_000 + b"]" * 30_000 + b"," + GOOD + b"}",
    "a number of 60,000 digits": b'{"handle":' + b"1" * 60_000 + b"," + GOOD + b"}",
    "a float of 50,000 digits": b'{"handle":0.' + b"1" * 50_000 + b"," + GOOD + b"}",
    "1e999999999": b'{"handle":1e999999999,' + GOOD + b"}",
    "NaN": b'{"handle":NaN,' + GOOD + b"}",
    "thousands of keys": b"{" + b",".join(b'"k%d":1' % number for number in range(5_500)) + b"}",
    "thousands of the same key": b"{" + b",".join([b'"handle":"x"'] * 5_000) + b"}",
    "an array": b"[" + b"1," * 32_000 + b"1]",
    "escapes": b'{"handle":"' + b"\\u0041" * 10_000 + b'",' + GOOD + b"}",
    "half a surrogate": b'{"handle":"\\ud800abc",' + GOOD + b"}",
    "no UTF-8": b'{"handle":"\xff\xfe",' + GOOD + b"}",
    "UTF-16 in disguise": '{"handle":[]}'.encode("utf-16"),
}


def memory_mb(server: Server) -> float:
    """Resident memory of the server."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.parametrize("body", JSON_BOMBS.values(), ids=list(JSON_BOMBS))
def test_json_is_refused_at_once_and_names_at_most_a_few_fields(api: Api, body: bytes) -> None:
    assert len(body) <= 65_536
    answer = api.http.post("/sessions", content=body, headers={"Content-Type": "application/json"}, timeout=5)
    assert answer.status_code == 422
    assert answer.json()["title"] == "INVALID_REQUEST"
    assert len(answer.content) < 8_192


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip"])
def test_a_compressed_body_is_not_unpacked(api: Api, encoding: str) -> None:
    packed = zlib.compress(b'{"handle":"' + b"a" * 10_000_000 + b'"}', wbits=31)
    assert len(packed) < 65_536
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    assert api.http.post("/sessions", content=packed, headers=headers).status_code == 422


def test_an_answer_is_not_packed(api: Api) -> None:
    """So no secret can be guessed by the length of what is packed beside it."""
    answer = api.http.get("/openapi.json", headers={"Accept-Encoding": "gzip, br, deflate"})
    assert len(answer.content) > 10_000
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    "offer", ["permessage-deflate", "permessage-deflate; client_max_window_bits", "x-webkit-deflate-frame"]
)
def test_no_websocket_compression_is_agreed_on(iris: Server, offer: str) -> None:
    with RawSocket(iris.port) as sock:
        answer = sock.upgrade(extra=f"Sec-WebSocket-Extensions: {offer}\r\n")
        assert answer.status == 101
        assert "sec-websocket-extensions" not in answer.headers
        sock.frame(zlib.compress(b"\0" * 100_000), first=0xC2)  # RSV1: "this is packed"
        assert sock.close_code() == 1002
    with connect(iris.ws_url, subprotocols=[Subprotocol("iris.v1.pb")], compression="deflate", proxy=None) as library:
        assert library.protocol.extensions == []


def test_more_headers_than_a_head_may_have(iris: Server) -> None:
    heads = {
        "many": b"".join(b"a%d: 1\r\n" % number for number in range(2_000)),
        "long": b"X: " + b"x" * 9_000 + b"\r\n",
        "a long target": b"",
    }
    for name, fields in heads.items():
        target = b"/v1/info?" + b"x" * 9_000 if name == "a long target" else b"/v1/info"
        with RawSocket(iris.port) as sock:
            sock.put(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
            assert sock.answer().status == 431, name


def test_a_second_head_that_never_ends_is_cut(iris: Server) -> None:
    """The engine reads only the first head of a connection; the API bounds the others."""
    with socket.create_connection(("127.0.0.1", iris.port), DEADLINE_S) as sock:
        sock.sendall(b"GET /v1/info HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/info HTTP/1.1\r\nHost: x\r\n")
        before, sent, ended = memory_mb(iris), 0, False
        until = time.monotonic() + DEADLINE_S
        while not ended and time.monotonic() < until:
            try:
                sock.sendall(b"X: " + b"x" * 60_000)
                sent += 60_003
            except (BrokenPipeError, ConnectionResetError):
                ended = True
        assert ended
        assert memory_mb(iris) - before < KEPT_MB, sent


# --- protobuf ---
def nested(depth: int) -> bytes:
    """A field 99 in a field 99 in … . Unknown to the server, so its decoder skips it."""
    body = b""
    for _ in range(depth):
        body = bytes_field(99, body)
        if len(body) > 100_000:
            break
    return body


def groups(depth: int) -> bytes:
    """Groups in groups (start tags only, or closed): the one nested thing that a decoder must walk into to skip it."""
    return varint(99 << 3 | 3) * depth + varint(99 << 3 | 4) * depth


PROTOBUF_BOMBS = {
    "unknown in unknown": nested(20_000),
    "groups in groups": groups(20_000),
    "groups never closed": varint(99 << 3 | 3) * 40_000,
    "40,000 unknown fields": b"\x9a\x06\x00" * 40_000,
    "a length of 2**63": bytes([0x9A, 0x06]) + varint(2**63),
    "a varint that never ends": b"\x08" + b"\xff" * 100_000,
    "watch of nobody, 60,000 times": bytes_field(6, b"\x0a\x00" * 60_000),
    "watch of 7,000": bytes_field(6, b"".join(bytes_field(1, b"%016d" % number) for number in range(7_000))),
    "groups in a send": bytes_field(2, groups(20_000)),
    "1,000 bodies": bytes_field(6, b"") * 1_000,
}


@pytest.mark.parametrize("bomb", PROTOBUF_BOMBS.values(), ids=list(PROTOBUF_BOMBS))
def test_frames_that_swell_cost_at_most_their_connection(
    iris: Server, ada: Person, bob: Person, online: Online, bomb: bytes
) -> None:
    assert len(bomb) <= 131_072
    a, b = online(ada), online(bob)
    before = memory_mb(iris)
    with contextlib.suppress(ConnectionClosed, Closed):  # it may cost a's connection, and no other
        for _ in range(20):
            a.raw(bomb)
        a.alive()
    b.alive()
    assert memory_mb(iris) - before < KEPT_MB
    online(ada).alive()


def test_hello_is_bounded_before_anybody_is_known(iris: Server) -> None:
    before = memory_mb(iris)
    for bomb in (b"\x0a\x00" * 4_000, b"\x1a\x00" * 60_000):
        for _ in range(5):
            connection = Connection(iris.ws_url)
            connection.raw(bytes_field(1, bomb))
            assert connection.close_code() in (4501, 4510)
    assert memory_mb(iris) - before < KEPT_MB


def test_watching_too_many_is_refused_and_the_earlier_set_stays(ada: Person, bob: Person, online: Online) -> None:
    a = online(ada)
    a.put("watch", users=[bob.user])
    assert a.take("presence").user == bob.user
    a.put("watch", users=[b"%016d" % number for number in range(257)])
    assert a.take("problem").code == 1010  # TOO_MANY_WATCHES
    online(bob)
    assert a.take("presence", lambda body: body.status == 3).user == bob.user


def test_a_payload_is_never_looked_into(ada: Person, bob: Person, online: Online) -> None:
    """A packed or nested payload arrives as it was sent: clients, not the server, decide what to open."""
    a, b = online(ada), online(bob)
    payload = zlib.compress(b"\0" * 20_000_000, 9)
    assert len(payload) < 65_536
    fields = {"conversation": conversation(ada.user, bob.user), "stream": 1, "client_seq": 1, "message_id": b"m" * 16}
    a.put("send", payload=payload, content_type=1, **fields)
    a.take("accepted")
    assert b.take("deliver").payload == payload


def test_what_a_bomb_was_is_not_echoed(api: Api) -> None:
    secret = "correct-horse-in-a-wrong-place"
    body = json.dumps({"handle": {"x": secret}, "password": [secret], secret: secret}).encode()
    answer = api.http.post("/sessions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert secret not in json.dumps([fault["message"] for fault in answer.json()["errors"]])


def test_nobody_from_outside_can_fill_the_log(iris: Server, api: Api, ada: Person) -> None:
    """Mistakes of clients are counted, not written down: a line for each would be a way to fill the disk."""
    before = len(iris.lines)
    for _ in range(50):
        assert api.http.post("/sessions", content=b"{", headers={"Content-Type": "application/json"}).status_code == 422
        assert api.call("GET", "/me", "forged").status_code == 401
        for raw in (b"\0\r\n\r\n", b"GET /v1/info HTTP/1.1\r\nX: \0\r\n\r\n", b"GET / HTTP/9\r\n\r\n"):
            with RawSocket(iris.port) as sock:
                sock.put(raw)
                assert sock.answer().status >= 400
        connection = Connection(iris.ws_url)
        connection.put("hello", token=ada.access)
        connection.raw(b"\xff" * 100)
        assert connection.close_code() == 4501
    assert len(iris.lines) == before
