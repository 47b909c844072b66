"""RFC 6455 over real sockets: broken rules, fragments, pings, the close handshake, vanished peers."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from iris.core import frames as f
from iris.core.catalogue import CloseCode, Limits
from iris_sdk._pb import frames_pb2 as pb
from tests.support.certificate import certificate
from tests.support.engine import (
    BINARY,
    CLOSE,
    CONTINUATION,
    HELLO,
    PING,
    PONG,
    TEXT,
    Rig,
    client_frame,
    running,
    welcome,
    ws_frame,
)

ACK = client_frame(ack=pb.Ack(seq=7))
LARGE_PART = ws_frame(BINARY, b"x" * 131_000, first=0)
SPLIT = ws_frame(BINARY, ACK[:1], first=0)


@pytest.fixture(params=["plain", "tls"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """An engine with the default limits, without and with TLS."""
    with running(certificate=certificate() if request.param == "tls" else None) as rig:
        yield rig


BROKEN = {
    "reserved bit": (ws_frame(BINARY, ACK, first=0xC0), CloseCode.PROTOCOL_ERROR),
    "reserved opcode": (ws_frame(3, ACK), CloseCode.PROTOCOL_ERROR),
    "no mask": (ws_frame(BINARY, ACK, masked=False), CloseCode.PROTOCOL_ERROR),
    "fragmented ping": (ws_frame(PING, b"", first=0), CloseCode.PROTOCOL_ERROR),
    "long ping": (ws_frame(PING, b"x" * 126), CloseCode.PROTOCOL_ERROR),
    "continuation of nothing": (ws_frame(CONTINUATION, ACK), CloseCode.PROTOCOL_ERROR),
    "message in a message": (SPLIT + ws_frame(BINARY, ACK), CloseCode.PROTOCOL_ERROR),
    "padded length": (b"\x82\xfe\x00\x01\x00\x00\x00\x00x", CloseCode.PROTOCOL_ERROR),
    "close of one byte": (ws_frame(CLOSE, b"\x03"), CloseCode.PROTOCOL_ERROR),
    "reserved close code": (ws_frame(CLOSE, b"\x03\xee"), CloseCode.PROTOCOL_ERROR),
    "close reason": (ws_frame(CLOSE, b"\x03\xe8\xff\xfe"), CloseCode.INVALID_UTF8),
    "text": (ws_frame(TEXT, b"hello"), CloseCode.TEXT_FRAME),
    "too big": (ws_frame(BINARY, b"x" * (Limits().message_bytes_max + 1)), CloseCode.TOO_BIG),
    "too big in parts": (LARGE_PART + ws_frame(CONTINUATION, b"x" * 73), CloseCode.TOO_BIG),
    "announced as huge": (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", CloseCode.TOO_BIG),
}  # fmt: skip


@pytest.mark.parametrize(("data", "code"), BROKEN.values(), ids=list(BROKEN))
def test_broken_rules_close_with_their_code(rig: Rig, data: bytes, code: CloseCode) -> None:
    (wire, conn), (other, other_conn) = rig.ready(), rig.ready()
    wire.send(ws_frame(BINARY, ACK) + data)
    assert wire.close_code() == code
    assert wire.read_to_end() == b""
    assert rig.next(f.ACK) == (f.ACK, conn, 7, 0)
    assert rig.next(f.CLOSED) == (f.CLOSED, conn, code)
    assert rig.stat("closed") == {code: 1}
    other.say(ACK)
    assert rig.next(f.ACK)[1] == other_conn


@pytest.mark.parametrize(("data", "code"), BROKEN.values(), ids=list(BROKEN))
def test_rules_hold_before_hello_too(rig: Rig, data: bytes, code: CloseCode) -> None:
    wire = rig.upgraded()
    wire.send(data)
    large_first = code == CloseCode.TOO_BIG and data[:1] == SPLIT[:1]  # allowed later on, but it is no Hello
    assert wire.close_code() == (CloseCode.BAD_FRAME if large_first else code)
    assert rig.no_more()


def test_the_largest_message_passes_and_may_come_in_any_pieces(rig: Rig) -> None:
    wire, conn = rig.ready()
    largest = client_frame(watch=pb.Watch(users=[b"u" * 16] * 4096))
    pieces = [largest[at : at + 1000] for at in range(0, len(largest), 1000)]
    wire.send(ws_frame(BINARY, pieces[0], first=0))
    for piece in pieces[1:-1]:
        wire.send(ws_frame(CONTINUATION, piece, first=0) + ws_frame(PING, b"still here"))
    whole = ws_frame(CONTINUATION, pieces[-1])
    for at in range(0, len(whole), 7):
        wire.send(whole[at : at + 7])
    assert rig.next(f.WATCH) == (f.WATCH, conn, (b"u" * 16,) * 4096)
    assert wire.read_frame() == (PONG, b"still here")


def test_pings_are_answered_with_their_payload_also_before_hello(rig: Rig) -> None:
    wire = rig.upgraded()
    for payload in (b"", b"x" * 125):
        wire.send(ws_frame(PING, payload))
        assert wire.read_frame() == (PONG, payload)
    wire.send(ws_frame(PONG, b"unasked"))
    wire.say(HELLO)
    assert rig.next(f.HELLO)


@pytest.mark.parametrize(("payload", "echo"), [(b"\x03\xe9bye", b"\x03\xe9"), (b"", b""), (b"\x0f\xa0", b"\x0f\xa0")])
def test_a_close_is_answered_with_its_code(rig: Rig, payload: bytes, echo: bytes) -> None:
    wire, conn = rig.ready()
    wire.send(ws_frame(CLOSE, payload))
    assert wire.read_frame() == (CLOSE, echo)
    assert wire.read_to_end() == b""
    code = struct.unpack("!H", echo)[0] if echo else 1005
    assert rig.next(f.CLOSED) == (f.CLOSED, conn, code)
    wire.sock.close()
    rig.until("connections", 0)


def test_what_comes_after_our_close_is_passed_over_until_theirs(rig: Rig) -> None:
    wire, conn = rig.ready()
    rig.engine.send([f.Close(f.CLOSE, conn, CloseCode.TOKEN_REVOKED)])
    assert rig.next(f.CLOSED)[2] == CloseCode.TOKEN_REVOKED
    wire.send(ws_frame(BINARY, ACK) + ws_frame(PING, b"?") + ws_frame(CLOSE, struct.pack("!H", 4511)))
    assert wire.read_frame() == (CLOSE, struct.pack("!H", CloseCode.TOKEN_REVOKED))
    assert wire.read_to_end() == b""
    wire.sock.close()
    rig.until("connections", 0)
    assert rig.no_more()
    assert rig.stat("closed") == {CloseCode.TOKEN_REVOKED: 1}


@pytest.mark.parametrize("how", ["closed by us", "broken rule"])
def test_a_peer_that_never_closes_is_cut_off(how: str) -> None:
    with running(certificate=certificate(), close_timeout_ms=200) as rig:
        wire, conn = rig.ready()
        if how == "closed by us":
            rig.engine.send([f.Close(f.CLOSE, conn, CloseCode.REPLACED)])
        else:
            wire.send(ws_frame(TEXT, b"x"))
        rig.until("connections", 0)
        assert rig.next(f.CLOSED)[1] == conn
        assert rig.no_more()


def test_a_peer_that_vanishes_is_closed_abnormally(rig: Rig) -> None:
    for before in (rig.ready, rig.logged_in):
        wire, conn = before()
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.sock.close()  # a reset
        assert rig.next(f.CLOSED) == (f.CLOSED, conn, 1006)
    for before in (rig.ready, rig.logged_in):
        wire, conn = before()
        wire.sock.shutdown(socket.SHUT_RDWR)  # an end of the stream without close frame and close_notify
        assert rig.next(f.CLOSED) == (f.CLOSED, conn, 1006)
    rig.until("connections", 0)


# --- against an independent implementation ---
# (its asyncio client: the one with threads reads and writes a TLS socket at once, which OpenSSL does not allow)
@asynccontextmanager
async def library_client(rig: Rig) -> AsyncIterator[tuple[ClientConnection, int]]:
    """A ready connection of the `websockets` library, and its id."""
    context = None if rig.certificate is None else rig.certificate.client_context()
    uri = f"{'ws' if context is None else 'wss'}://localhost:{rig.engine.port}/v1/connect"
    async with connect(uri, ssl=context, subprotocols=[Subprotocol("iris.v1.pb")], proxy=None) as client:
        await client.send(HELLO)
        conn = (await asyncio.to_thread(rig.next, f.HELLO))[1]
        rig.engine.send([welcome(conn)])
        await client.recv()
        yield client, conn


def test_messages_of_all_sizes_from_a_common_library(rig: Rig) -> None:
    async def case() -> None:
        async with library_client(rig) as (client, conn):
            sizes = [0, 1, 90, 91, 92, 1000, 65_000, 65_536]
            for size in sizes:
                message = client_frame(send=pb.Send(message_id=b"m" * 16, payload=b"x" * size))
                await client.send(message)
                await client.send([message[:10], message[10:20], message[20:]])
                for _ in range(2):
                    assert len((await asyncio.to_thread(rig.next, f.SEND))[8]) == size
                deliver = f.Deliver(f.DELIVER, conn, 1, 0, 1, b"", b"", 1, b"", 1, 0, b"y" * size, 0, 0)
                rig.engine.send([deliver, deliver])
                for _ in range(2):
                    assert len(pb.ServerFrame.FromString(await client.recv(decode=False)).deliver.payload) == size
            await (await client.ping(b"there?"))
        assert rig.next(f.CLOSED) == (f.CLOSED, conn, 1000)

    asyncio.run(case())


@pytest.mark.parametrize("code", [CloseCode.SHARD_MOVED, CloseCode.TEXT_FRAME, CloseCode.NORMAL])
def test_a_common_library_understands_our_closes(rig: Rig, code: CloseCode) -> None:
    async def case() -> None:
        async with library_client(rig) as (client, conn):
            if code == CloseCode.TEXT_FRAME:
                await client.send("text")
            else:
                rig.engine.send([f.Close(f.CLOSE, conn, code)])
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code

    asyncio.run(case())
