"""Hello with the upgrade: taken where it is well offered, held to the rules of a first message, else asked again."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from iris.core import frames as f
from iris.core.catalogue import CloseCode
from iris_sdk._pb import frames_pb2 as pb
from tests.support.certificate import certificate
from tests.support.engine import HELLO, Rig, Wire, client_frame, running, upgrade_request, welcome

EARLY = "iris.v1.pb.early"


def name_of(message: bytes) -> str:
    return "iris.early." + base64.urlsafe_b64encode(message).rstrip(b"=").decode()


@pytest.fixture
def rig() -> Iterator[Rig]:
    with running(certificate=certificate()) as rig:
        yield rig


def upgraded(rig: Rig, offered: str) -> tuple[Wire, str]:
    """A WebSocket that offered these subprotocols, and the one that was picked."""
    wire = rig.connect()
    wire.send(upgrade_request(Sec_WebSocket_Protocol=offered))
    head = wire.read_head().decode()
    assert head.startswith("HTTP/1.1 101 ")
    return wire, head.split("Sec-WebSocket-Protocol: ")[1].split("\r\n")[0]


def test_a_hello_of_the_upgrade_is_answered_by_welcome(rig: Rig) -> None:
    """By a library that no one has changed: its client sends nothing after the upgrade."""

    async def case() -> None:
        assert rig.certificate is not None
        uri = f"wss://localhost:{rig.engine.port}/v1/connect"
        offered = [Subprotocol(name) for name in ("iris.v1.pb", EARLY, name_of(HELLO))]
        context = rig.certificate.client_context()
        async with connect(uri, ssl=context, subprotocols=offered, proxy=None) as ws:
            assert ws.subprotocol == EARLY
            hello = await asyncio.to_thread(rig.next, f.HELLO)
            assert hello[2] == "t"
            rig.engine.send([welcome(hello[1])])
            answer = await ws.recv()
            assert isinstance(answer, bytes)
            assert pb.ServerFrame.FromString(answer).HasField("welcome")

    asyncio.run(case())
    assert rig.stat("early_hellos_total") == 1
    assert rig.stat("frames_in")[f.HELLO] == 1


@pytest.mark.parametrize(
    "offered",
    [
        "iris.v1.pb",
        f"iris.v1.pb, {EARLY}",
        f"iris.v1.pb, {name_of(HELLO)}",
        f"iris.v1.pb, {EARLY}, iris.early.",
        f"iris.v1.pb, {EARLY}, iris.early.A",
        f"iris.v1.pb, {EARLY}, {name_of(HELLO)}=",
        f"iris.v1.pb, {EARLY}, {name_of(HELLO)}, {name_of(HELLO)}",
    ],
)
def test_what_is_not_well_offered_comes_as_a_frame(rig: Rig, offered: str) -> None:
    wire, picked = upgraded(rig, offered)
    assert picked == "iris.v1.pb"
    wire.say(HELLO)
    assert rig.next(f.HELLO)[2] == "t"
    assert rig.stat("early_hellos_total") == 0


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (client_frame(ack=pb.Ack(seq=1)), CloseCode.HELLO_FIRST),
        (b"\xff\xff\xff", CloseCode.BAD_FRAME),
        (client_frame(hello=pb.Hello(token="t" * 4097)), CloseCode.BAD_FRAME),
    ],
)
def test_it_is_held_to_the_rules_of_a_first_message(rig: Rig, message: bytes, code: CloseCode) -> None:
    wire, picked = upgraded(rig, f"iris.v1.pb, {EARLY}, {name_of(message)}")
    assert picked == EARLY
    assert wire.close_code() == code
    assert rig.no_more(), "nobody has logged in"


def test_a_second_hello_is_one_too_many(rig: Rig) -> None:
    wire, _ = upgraded(rig, f"iris.v1.pb, {EARLY}, {name_of(HELLO)}")
    rig.engine.send([welcome(rig.next(f.HELLO)[1])])
    assert wire.read_message().HasField("welcome")
    wire.say(HELLO)
    assert wire.close_code() == CloseCode.SECOND_HELLO


def test_one_above_the_limit_of_a_first_message_is_asked_for_as_a_frame() -> None:
    with running(message_bytes_max=1000) as rig:
        wire, picked = upgraded(rig, f"iris.v1.pb, {EARLY}, {name_of(client_frame(hello=pb.Hello(token='t' * 1000)))}")
        assert picked == "iris.v1.pb"
        wire.say(HELLO)
        assert rig.next(f.HELLO)[2] == "t"


def test_a_client_that_goes_before_its_welcome_is_told_of(rig: Rig) -> None:
    wire, _ = upgraded(rig, f"iris.v1.pb, {EARLY}, {name_of(HELLO)}")
    conn = rig.next(f.HELLO)[1]
    wire.sock.close()
    assert rig.next(f.CLOSED)[1] == conn
