"""RFC 6455 over real sockets: every row of the tables, whole and byte by byte, without and with TLS."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import pytest

from iris.core import frames as f
from iris.core.catalogue import CloseCode
from tests.conformance.case import ACK, BINARY, CLOSE, NO_CODE, PING, PONG, SEQ, Case, header, part
from tests.conformance.closing import CLOSING
from tests.conformance.framing import FRAMING, LIMIT
from tests.support.certificate import certificate
from tests.support.engine import Rig, Wire, running, ws_frame

CASES = FRAMING + CLOSING
ENDING = [case for case in CASES if case.end is not None and not case.acks and case.before_hello]
EDGES_BYTES = 300  # of long data only the front and the end go byte by byte


@pytest.fixture(params=["plain", "tls"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """An engine with the default limits, without and with TLS."""
    with running(certificate=certificate() if request.param == "tls" else None) as rig:
        yield rig


def whole(wire: Wire, data: bytes) -> None:
    """All in one go."""
    wire.send(data)


def drip(wire: Wire, data: bytes) -> None:
    """Byte by byte: each in a segment (and record) of its own."""
    middle = max(len(data) - EDGES_BYTES, EDGES_BYTES)
    pieces = [data[at : at + 1] for at in range(min(EDGES_BYTES, len(data)))]
    pieces += [data[at : min(at + 4093, middle)] for at in range(EDGES_BYTES, middle, 4093)]
    pieces += [data[at : at + 1] for at in range(middle, len(data))]
    assert sum(map(len, pieces)) == len(data)
    for piece in pieces:
        wire.send(piece)


def judge(wire: Wire, case: Case) -> None:
    """What comes back is what must, and then the connection lives or has ended."""
    for answer in case.answers:
        assert wire.read_frame() == answer
    if case.end is None:
        wire.send(ws_frame(PING, b"alive?"))
        assert wire.read_frame() == (PONG, b"alive?")
        return
    assert wire.read_frame() == (CLOSE, b"" if case.end == NO_CODE else struct.pack("!H", case.end))
    assert wire.read_to_end() == b""


@pytest.mark.parametrize("deliver", [whole, drip])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(rig: Rig, case: Case, deliver: Callable[[Wire, bytes], None]) -> None:
    (wire, conn), (other, other_conn) = rig.ready(), rig.ready()
    deliver(wire, case.data)
    judge(wire, case)
    for _ in range(case.acks):
        assert rig.next(f.ACK) == (f.ACK, conn, SEQ, 0)
    if case.end is not None:
        assert rig.next(f.CLOSED) == (f.CLOSED, conn, case.end)
        assert rig.stat("closed") == {case.end: 1}
        wire.sock.close()
        rig.until("connections", 1)
    other.say(ACK)
    assert rig.next(f.ACK) == (f.ACK, other_conn, SEQ, 0)
    assert rig.no_more()


@pytest.mark.parametrize("case", ENDING, ids=[case.name for case in ENDING])
def test_the_rules_hold_before_hello_too(case: Case) -> None:
    with running() as rig:
        wire = rig.upgraded()
        wire.send(case.data)
        judge(wire, case)
        assert rig.no_more(), "nobody was told of a connection that had not said Hello"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (header(0x82, LIMIT + 1), CloseCode.TOO_BIG),
        (header(0x82, LIMIT), CloseCode.BAD_FRAME),
        (part(BINARY, bytes(8000)) + header(0x80, 1000), CloseCode.BAD_FRAME),
    ],
    ids=["too big for any", "too big for a Hello", "too big for a Hello in parts"],
)
def test_a_first_message_that_is_too_big_is_refused_at_its_header(data: bytes, code: CloseCode) -> None:
    with running() as rig:
        wire = rig.upgraded()
        wire.send(data)
        judge(wire, Case("too big", "10.4", data, end=code))
