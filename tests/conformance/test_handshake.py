"""The opening handshake over real sockets: every row of the table, without and with TLS, whole and byte by byte."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

import pytest

from tests.conformance.case import ACK
from tests.conformance.handshake import API, OPENINGS, REFUSED, Opening
from tests.support.certificate import certificate
from tests.support.engine import BINARY, HELLO, PING, PONG, Rig, running, ws_frame

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@pytest.fixture(params=["plain", "tls"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """An engine with the default limits, without and with TLS."""
    with running(certificate=certificate() if request.param == "tls" else None) as rig:
        yield rig


def check_answer(answer: bytes, request: bytes) -> None:
    """A 101 that RFC 6455, 4.2.2 (5) asks for: nothing more, nothing twice."""
    status, *lines = answer.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert status == "HTTP/1.1 101 Switching Protocols"
    fields = [line.split(": ", 1) for line in lines]
    key = re.search(rb"(?i)^sec-websocket-key:\s*(\S+)\r$", request, re.MULTILINE)
    assert key is not None
    digest = hashlib.sha1(key[1] + GUID.encode(), usedforsecurity=False).digest()
    assert sorted(fields) == [
        ["Connection", "Upgrade"],
        ["Sec-WebSocket-Accept", base64.b64encode(digest).decode()],
        ["Sec-WebSocket-Protocol", "iris.v1.pb"],
        ["Upgrade", "websocket"],
    ]


def check_refusal(answer: bytes, case: Opening) -> None:
    """An HTTP answer that says why, in JSON, and nothing behind it."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    assert status.startswith(f"HTTP/1.1 {case.status} ")
    assert f"Content-Length: {len(body)}" in lines
    assert "Connection: close" in lines
    assert f'"status":{case.status}'.encode() in body
    # RFC 6455, 4.4; RFC 9110, 15.5.22
    upgrade = {"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"}
    assert upgrade & set(lines) == (upgrade if case.status == 426 else set())


@pytest.mark.parametrize("case", OPENINGS, ids=[case.name for case in OPENINGS])
def test_case(rig: Rig, case: Opening) -> None:
    wire = rig.connect()
    wire.send(case.request)
    if case.refused:
        check_refusal(wire.read_to_end(), case)
        assert rig.stat("refused") == {case.refused: 1}
        assert rig.stat("iris_upgrades_refused_total") == 1
        assert rig.stat("closed") == {}
        wire.sock.close()
        rig.until("connections", 0)
    else:
        check_answer(wire.read_head(), case.request)
        wire.send(ws_frame(PING, b"alive?"))
        assert wire.read_frame() == (PONG, b"alive?")
        assert rig.stat("refused") == {}
    rig.ready()


@pytest.mark.parametrize("case", OPENINGS, ids=[case.name for case in OPENINGS])
def test_in_pieces_it_comes_to_the_same(case: Opening) -> None:
    """Byte by byte where it is short, so that every byte has once been the last one of a segment."""
    step = 1 if len(case.request) < 1000 else 97
    with running() as rig:
        wire = rig.connect()
        for at in range(0, len(case.request), step):
            wire.send(case.request[at : at + step])
        if case.refused:
            check_refusal(wire.read_to_end(), case)
        else:
            check_answer(wire.read_head(), case.request)


REFUSED_AT_ONCE = [case for case in REFUSED if case.refused not in (API, "head_too_large")]


@pytest.mark.parametrize("case", REFUSED_AT_ONCE, ids=[case.name for case in REFUSED_AT_ONCE])
def test_nothing_behind_a_refusal_is_heard(case: Opening) -> None:
    """Neither a second, good upgrade nor frames."""
    with running() as rig:
        wire = rig.connect()
        wire.send(case.request + OPENINGS[0].request + ws_frame(BINARY, HELLO) + ws_frame(BINARY, ACK))
        check_refusal(wire.read_to_end(), case)
        assert rig.no_more()
        assert rig.stat("upgrades_total") == 0
