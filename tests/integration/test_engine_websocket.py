"""WebSocket and the protocol above it: Hello, our closes, vanished peers. The rules of RFC 6455: tests/conformance."""

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
from iris.core.catalogue import CloseCode
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


@pytest.fixture(params=["plain", "tls"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """An engine with the default limits, without and with TLS."""
    with running(certificate=certificate() if request.param == "tls" else None) as rig:
        yield rig


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


def test_after_our_close_only_pings_are_answered_until_theirs(rig: Rig) -> None:
    wire, conn = rig.ready()
    rig.engine.send([f.Close(f.CLOSE, conn, CloseCode.TOKEN_REVOKED)])
    assert rig.next(f.CLOSED)[2] == CloseCode.TOKEN_REVOKED
    wire.send(ws_frame(BINARY, ACK) + ws_frame(PING, b"?") + ws_frame(CLOSE, struct.pack("!H", 4511)))
    assert wire.read_frame() == (CLOSE, struct.pack("!H", CloseCode.TOKEN_REVOKED))
    assert wire.read_frame() == (PONG, b"?"), "RFC 6455, 5.5.2: only a received close frame ends this duty"
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
