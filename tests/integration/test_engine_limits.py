"""The engine's limits on connections that are ready: rates, sizes, silence, queues. Who meets one harms nobody else."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest

from iris.core import frames as f
from iris.core.catalogue import CloseCode
from iris_sdk._pb import frames_pb2 as pb
from tests.support.certificate import certificate
from tests.support.engine import (
    BINARY,
    CONTINUATION,
    HELLO,
    PING,
    PONG,
    Rig,
    client_frame,
    eventually,
    running,
    welcome,
    ws_frame,
)

ACK = client_frame(ack=pb.Ack(seq=1))


@pytest.fixture(params=[None, certificate()], ids=["plain", "tls"])
def secure(request: pytest.FixtureRequest) -> dict[str, object]:
    """Options of an engine without and with TLS."""
    return {"certificate": request.param}


def is_alive(rig: Rig, conn: int) -> bool:
    """Whether an Ack of this connection, sent before the call, arrives."""
    return bool(rig.next(f.ACK)[1] == conn)


def test_payload_too_large(secure: dict[str, object]) -> None:
    with running(**secure, payload_bytes_max=100) as rig:
        wire, conn = rig.ready()
        fits = client_frame(send=pb.Send(message_id=b"m" * 16, payload=b"x" * 100))
        wire.say(fits)
        assert rig.next(f.SEND)[8] == b"x" * 100
        wire.say(client_frame(send=pb.Send(message_id=b"m" * 16, payload=b"x" * 101)))
        assert wire.close_code() == CloseCode.PAYLOAD_TOO_LARGE
        assert rig.next(f.CLOSED) == (f.CLOSED, conn, CloseCode.PAYLOAD_TOO_LARGE)


def test_ten_thousand_frames_a_second_are_flooding(secure: dict[str, object]) -> None:
    with running(**secure) as rig:
        (wire, conn), (other, other_conn) = rig.ready(), rig.ready()
        wire.send(ws_frame(BINARY, ACK) * 10_000)
        assert wire.close_code() == CloseCode.FLOODING
        acks = 0
        while (event := rig.drain().pop())[0] != f.CLOSED:
            acks += 1
        assert event == (f.CLOSED, conn, CloseCode.FLOODING)
        assert rig.stat("flooding_total") >= 1
        assert 3990 <= rig.stat("frames_in")[f.ACK] <= 4200, "the burst of two seconds, and what was refilled meanwhile"
        other.say(ACK)
        assert is_alive(rig, other_conn)


@pytest.mark.parametrize(
    "frame", [ws_frame(PING), ws_frame(PONG), ws_frame(BINARY, b"")], ids=["ping", "pong", "empty"]
)
def test_frames_of_every_sort_count(frame: bytes) -> None:
    with running(frames_per_second_max=10) as rig:
        wire, _ = rig.ready()
        wire.send(frame * 40)
        assert wire.close_code() == CloseCode.FLOODING


def test_fragments_count() -> None:
    with running(frames_per_second_max=10) as rig:
        wire, _ = rig.ready()
        wire.send(ws_frame(BINARY, b"", first=0) + ws_frame(CONTINUATION, b"", first=0) * 40)
        assert wire.close_code() == CloseCode.FLOODING


def test_too_many_bytes_a_second_are_flooding(secure: dict[str, object]) -> None:
    with running(**secure, bytes_per_second_max=50_000) as rig:
        wire, conn = rig.ready()
        wire.send(ws_frame(BINARY, b"x" * 120_000))
        assert wire.close_code() == CloseCode.FLOODING
        assert rig.next(f.CLOSED) == (f.CLOSED, conn, CloseCode.FLOODING)


def test_silence_is_pinged_and_then_closed(secure: dict[str, object]) -> None:
    with running(**secure, ping_interval_ms=100, idle_timeout_ms=300) as rig:
        wire, conn = rig.ready()
        for _ in range(2):
            assert wire.read_frame() == (PING, b"")
            wire.send(ws_frame(PONG))
        assert wire.read_frame() == (PING, b"")
        assert wire.close_code() == CloseCode.IDLE_TIMEOUT
        assert rig.next(f.CLOSED) == (f.CLOSED, conn, CloseCode.IDLE_TIMEOUT)
        assert rig.stat("iris_pings_total") == 3


def test_whoever_speaks_is_not_pinged() -> None:
    with running(ping_interval_ms=1000, idle_timeout_ms=2000) as rig:
        wire, _ = rig.ready()
        for _ in range(1000):
            wire.say(ACK)
        wire.send(ws_frame(PING, b"end"))
        assert wire.read_frame() == (PONG, b"end")
        assert rig.stat("iris_pings_total") == 0


def test_a_slow_consumer_is_closed_and_no_one_else(secure: dict[str, object]) -> None:
    with running(**secure, send_queue_bytes_max=100_000, close_timeout_ms=300) as rig:
        (slow, conn), (other, other_conn) = rig.ready(), rig.ready()
        deliver = f.Deliver(f.DELIVER, conn, 1, 0, 1, b"", b"", 1, b"", 1, 0, b"x" * 60_000, 0, 0)

        def is_closed() -> bool:
            rig.engine.send([deliver] * 5)
            return bool(rig.stat("closed") == {CloseCode.SLOW_CONSUMER: 1})

        eventually(is_closed, "the slow consumer is closed")
        assert rig.next(f.CLOSED) == (f.CLOSED, conn, CloseCode.SLOW_CONSUMER)
        rig.engine.send([f.Refreshed(f.REFRESHED, other_conn, 1)])
        assert other.read_message().HasField("refreshed")
        other.say(ACK)
        assert is_alive(rig, other_conn)
        rig.until("connections", 1)
        slow.sock.close()


def test_a_slow_consumer_that_wakes_up_reads_why() -> None:
    with running(send_queue_bytes_max=50_000, close_timeout_ms=10_000) as rig:
        slow, conn = rig.ready()
        deliver = f.Deliver(f.DELIVER, conn, 1, 0, 1, b"", b"", 1, b"", 1, 0, b"x" * 60_000, 0, 0)
        while rig.stat("closed") == {}:
            rig.engine.send([deliver])
        assert slow.close_code() == CloseCode.SLOW_CONSUMER


def test_a_large_batch_to_a_reader_is_delivered_whole(secure: dict[str, object]) -> None:
    """Catch-up after a long time offline: many times what the kernel takes at once, but below the queue's limit."""
    with running(**secure) as rig:
        wire, conn = rig.ready()
        batch = [
            f.Deliver(f.DELIVER, conn, seq, seq - 1, 1, b"c" * 32, b"u" * 16, 1, b"m" * 16, 1, 0, b"x" * 2000, 1, 0)
            for seq in range(1, 257)
        ]
        sends = rig.stat("sends_total")
        rig.engine.send(batch)
        assert [wire.read_message().deliver.seq for _ in batch] == list(range(1, 257))
        assert rig.stat("sends_total") - sends <= 10, "all frames of a turn go out together, 64 KB at a time"


def test_frames_of_one_turn_share_a_record() -> None:
    with running(certificate=certificate()) as rig:
        wire, conn = rig.ready()
        before = rig.engine.stats()
        rig.engine.send([f.Refreshed(f.REFRESHED, conn, number) for number in range(100)])
        assert [wire.read_message().refreshed.token_expires_at for _ in range(100)] == list(range(100))
        after = rig.engine.stats()
        assert after["writes_total"] - before["writes_total"] == 1
        assert after["bytes_out_total"] - before["bytes_out_total"] < 100 * 8


def test_reading_pauses_while_the_inbox_is_full() -> None:
    """The engine stops reading, the client is held back, and nothing is lost when Python takes up again."""
    with running(inbox_events_max=100, frames_per_second_max=1_000_000, bytes_per_second_max=1 << 40) as rig:
        wire, conn = rig.ready()
        total = 40_000
        data = memoryview(
            ws_frame(BINARY, client_frame(send=pb.Send(message_id=b"m" * 16, payload=b"x" * 1000))) * total
        )
        wire.sock.setblocking(False)
        held_back = False
        while not held_back:
            try:
                data = data[wire.sock.send(data) :]
            except BlockingIOError:
                held_back = bool(rig.stat("iris_inbox_paused_total") > 2)
        assert len(data) > 0
        got = 0
        while got < total:
            with suppress(BlockingIOError):
                data = data[wire.sock.send(data) :]
            got += len(rig.engine.drain(0))
        wire.sock.setblocking(True)
        wire.say(ACK)
        assert is_alive(rig, conn)


def test_a_paused_engine_still_sends_and_thinks_nobody_silent() -> None:
    with running(inbox_events_max=10, ping_interval_ms=200, idle_timeout_ms=400) as rig:
        wire, conn = rig.ready()
        wire.send(ws_frame(BINARY, ACK) * 20)
        rig.until("frames_in", {f.HELLO: 1, f.ACK: 20})
        pauses = rig.stat("iris_inbox_paused_total")
        eventually(lambda: bool(rig.stat("iris_inbox_paused_total") > pauses + 8), "0.8 s of pause pass")
        rig.engine.send([f.Refreshed(f.REFRESHED, conn, 1)])
        assert wire.read_message().HasField("refreshed")
        assert rig.stat("closed") == {}
        assert [event[0] for event in rig.drain()] == [f.ACK] * 20


def test_a_storm_of_logins_waits_while_others_are_served() -> None:
    with running(inbox_events_max=3) as rig:
        (wire, conn), storm = rig.ready(), [rig.upgraded() for _ in range(6)]
        for login in storm[:3]:
            login.say(HELLO)
        rig.until("logins_paused_total", 1)
        for login in storm[3:]:
            login.say(HELLO)
        wire.say(ACK)
        rig.until("frames_in", {f.HELLO: 4, f.ACK: 1})
        assert rig.engine.drain(0) == [(f.ACK, conn, 1, 0)]
        assert rig.stat("iris_logins_waiting") == 3, "the others are not even read"
        conns: list[int] = []
        while len(conns) < 6:
            conns += [event[1] for event in rig.drain(1)]
        rig.engine.send([welcome(conn) for conn in conns])
        for login in storm:
            assert login.read_message().HasField("welcome")


def test_a_pipelining_client_before_welcome_is_held_back() -> None:
    """Between Hello and Welcome nothing is read: the client fills the kernel's buffers, not the engine's memory."""
    with running() as rig:
        wire, conn = rig.logged_in()
        before = rig.stat("bytes_in_total")
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        wire.sock.setblocking(False)
        data, sent = ws_frame(PONG, b"x" * 100) * 100, 0
        with suppress(BlockingIOError):
            while sent < 100_000_000:
                sent += wire.sock.send(data)
        assert sent < 100_000_000
        assert rig.stat("bytes_in_total") == before
        rig.engine.send([f.Close(f.CLOSE, conn, CloseCode.SERVER_BUSY)])
        assert rig.next(f.CLOSED) == (f.CLOSED, conn, CloseCode.SERVER_BUSY)
