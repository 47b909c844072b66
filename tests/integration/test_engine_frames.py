"""Frames through a real engine: every frame as the tuple of iris.core.frames, in order, and nothing that breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from iris.core import frames as f
from iris.core.catalogue import CloseCode, ErrorCode
from iris_sdk._pb import frames_pb2 as pb
from tests.support.certificate import certificate
from tests.support.engine import BINARY, CLOSE, HELLO, USER, Rig, client_frame, running, welcome, ws_frame

CONVERSATION, MESSAGE_ID = b"a" * 16 + b"b" * 16, b"m" * 16
BIG = (1 << 64) - 1


@pytest.fixture(params=["plain", "tls"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """An engine with the default limits, without and with TLS."""
    with running(certificate=certificate() if request.param == "tls" else None) as rig:
        yield rig


def good_send(**changes: Any) -> bytes:
    """A Send that the engine takes."""
    fields: dict[str, Any] = {"conversation": CONVERSATION, "stream": 1, "client_seq": 2, "message_id": MESSAGE_ID}
    return client_frame(send=pb.Send(**(fields | {"payload": b"hi"} | changes)))


def test_hello_brings_everything_the_edge_needs(rig: Rig) -> None:
    wire = rig.upgraded()
    hello = pb.Hello(token="é" * 10, cursor=pb.Cursor(seq=BIG, rev=7), features=["x", ""], client="test/1")
    wire.say(client_frame(hello=hello))
    got = f.Hello(*rig.next(f.HELLO))
    assert got == f.Hello(f.HELLO, got.conn, "é" * 10, BIG, 7, ("x", ""), "test/1", "127.0.0.1")
    assert 0 <= got.conn < 1 << 63
    assert rig.stat("states")["attaching"] == 1


def test_every_client_frame_arrives_as_its_tuple(rig: Rig) -> None:
    wire, conn = rig.ready()
    sent: list[tuple[bytes, tuple[Any, ...]]] = [
        (
            good_send(answered=1, after=BIG, content_type=1, alg=0),
            f.Send(f.SEND, conn, CONVERSATION, 1, 2, 1, MESSAGE_ID, BIG, b"hi", 1, 0),
        ),
        (good_send(payload=b""), f.Send(f.SEND, conn, CONVERSATION, 1, 2, 0, MESSAGE_ID, 0, b"", 0, 0)),
        (client_frame(ack=pb.Ack(seq=BIG, rev=3)), f.Ack(f.ACK, conn, BIG, 3)),
        (client_frame(read=pb.Read(conversation=b"c", seq=5)), f.Read(f.READ, conn, b"c", 5)),
        (
            client_frame(typing=pb.SetTyping(conversation=b"c", active=True)),
            f.SetTyping(f.SET_TYPING, conn, b"c", True),
        ),
        (client_frame(watch=pb.Watch(users=[USER, b"v" * 16])), f.Watch(f.WATCH, conn, (USER, b"v" * 16))),
        (client_frame(watch=pb.Watch()), f.Watch(f.WATCH, conn, ())),
        (client_frame(refresh=pb.Refresh(token="new")), f.Refresh(f.REFRESH, conn, "new")),
    ]
    wire.send(b"".join(ws_frame(BINARY, message) for message, _ in sent))
    got: list[tuple[Any, ...]] = []
    while len(got) < len(sent):
        got += rig.drain()
    assert got == [expected for _, expected in sent]
    assert rig.stat("frames_in") == {1: 1, 2: 2, 3: 1, 4: 1, 5: 1, 6: 2, 7: 1}


def test_every_server_frame_arrives_as_it_was_given(rig: Rig) -> None:
    wire, conn = rig.ready()
    sent: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        (
            f.Accepted(f.ACCEPTED, conn, b"c", 1, 2, MESSAGE_ID, BIG, 4),
            {"accepted": pb.Accepted(conversation=b"c", stream=1, client_seq=2, message_id=MESSAGE_ID, seq=BIG, at=4)},
        ),
        (
            f.Rejected(f.REJECTED, conn, b"c", 1, 2, b"m", 1003, f.RETRY_NEVER, 5, 6, 7),
            {
                "rejected": pb.Rejected(
                    conversation=b"c", stream=1, client_seq=2, message_id=b"m", code=1003, retry=pb.RETRY_NEVER,
                    expected=5, current_stream=6, retry_after_ms=7,
                )
            },
        ),
        (
            f.Deliver(f.DELIVER, conn, 1, 0, f.KIND_OWN_COPY, b"c", USER, 3, MESSAGE_ID, 4, 5, b"x" * 50_000, 1, 0),
            {
                "deliver": pb.Deliver(
                    seq=1, kind=pb.KIND_OWN_COPY, conversation=b"c", sender=USER, device=3, message_id=MESSAGE_ID, at=4,
                    peer_seq=5, payload=b"x" * 50_000, content_type=pb.CONTENT_TYPE_IRIS,
                )
            },
        ),
        (
            f.Receipt(f.RECEIPT, conn, 1, 2, b"c", 3, 4),
            {"receipt": pb.Receipt(rev=1, prev_rev=2, conversation=b"c", delivered=3, read=4)},
        ),
        (
            f.ReadSync(f.READ_SYNC, conn, 1, 2, b"c", 3),
            {"read_sync": pb.ReadSync(rev=1, prev_rev=2, conversation=b"c", seq=3)},
        ),
        (
            f.Presence(f.PRESENCE, conn, USER, f.STATUS_ONLINE, 9),
            {"presence": pb.Presence(user=USER, status=pb.STATUS_ONLINE, last_seen=9)},
        ),
        (
            f.Typing(f.TYPING, conn, b"c", USER, True),
            {"typing": pb.Typing(conversation=b"c", sender=USER, active=True)},
        ),
        (f.GoAway(f.GO_AWAY, conn, 7), {"go_away": pb.GoAway(within_ms=7)}),
        (f.GoAway(f.GO_AWAY, conn, 0), {"go_away": pb.GoAway()}),
        (f.Refreshed(f.REFRESHED, conn, 8), {"refreshed": pb.Refreshed(token_expires_at=8)}),
        (
            f.Problem(f.PROBLEM, conn, 1010, 6, f.RETRY_AFTER, 5, "zu viel ✗"),
            {"problem": pb.Problem(code=1010, frame=6, retry=pb.RETRY_AFTER, retry_after_ms=5, detail="zu viel ✗")},
        ),
    ]  # fmt: skip
    rig.engine.send([frame for frame, _ in sent])
    assert [wire.read_message() for _ in sent] == [pb.ServerFrame(**body) for _, body in sent]
    assert rig.stat("frames_out") == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1, 9: 2, 10: 1, 11: 1}


def test_welcome_arrives_as_it_was_given(rig: Rig) -> None:
    wire, conn = rig.logged_in()
    rig.engine.send([f.Welcome(f.WELCOME, conn, b"s", 1, BIG, 3, 4, True, USER, 2, ("a", ""), 9, (1, 2, 3, 4, 5, 6))])
    limits = pb.Limits(
        payload_bytes_max=1, send_window=2, ping_interval_ms=3, idle_timeout_ms=4, watches_max=5, send_repeat_ms=6
    )
    assert wire.read_message().welcome == pb.Welcome(
        session=b"s", limits=limits, time=1, head=BIG, head_rev=3, oldest=4, reset=True, user=USER, device=2,
        features=["a", ""], token_expires_at=9,
    )  # fmt: skip
    assert rig.stat("states")["ready"] == 1


def test_frames_wait_for_welcome_and_keep_their_order(rig: Rig) -> None:
    wire = rig.upgraded()
    acks = [ws_frame(BINARY, client_frame(ack=pb.Ack(seq=number))) for number in range(500)]
    wire.send(ws_frame(BINARY, HELLO) + b"".join(acks[:250]))
    conn = rig.next(f.HELLO)[1]
    wire.send(b"".join(acks[250:]))
    assert rig.no_more()
    rig.engine.send([welcome(conn)])
    assert [rig.next(f.ACK)[2] for _ in range(500)] == list(range(500))


def test_closed_comes_once_and_last(rig: Rig) -> None:
    wire, conn = rig.ready()
    wire.send(ws_frame(BINARY, client_frame(ack=pb.Ack(seq=1))) + ws_frame(8, b"\x03\xe8"))
    got: list[tuple[Any, ...]] = []
    while not got or got[-1][0] != f.CLOSED:
        got += rig.drain()
    assert got == [(f.ACK, conn, 1, 0), (f.CLOSED, conn, CloseCode.NORMAL)]
    assert wire.close_code() == CloseCode.NORMAL
    wire.sock.close()
    rig.until("connections", 0)
    assert rig.no_more()


def test_hellos_are_handed_over_a_few_at_a_time(rig: Rig) -> None:
    wires = [rig.upgraded() for _ in range(5)]
    for wire in wires:
        wire.say(HELLO)
    rig.until("iris_logins_waiting", 5)
    wires[-1].sock.close()
    rig.until("connections", 4)
    got = [rig.drain(2), rig.drain(2), rig.drain(2)]
    while got[2][-1][0] != f.CLOSED:  # it was counted before it was handed over
        got[2] += rig.drain(2)
    assert [[event[0] for event in part] for part in got] == [[f.HELLO] * 2, [f.HELLO] * 2, [f.HELLO, f.CLOSED]]
    assert got[2][0][1] == got[2][1][1]
    assert rig.no_more()


def test_a_malformed_tuple_raises_and_nothing_of_its_batch_is_sent(rig: Rig) -> None:
    wire, conn = rig.ready()
    good = f.Refreshed(f.REFRESHED, conn, 1)
    wrong: list[tuple[Any, type[Exception]]] = [
        ((), ValueError),
        ((f.REFRESHED,), ValueError),
        ((f.REFRESHED, conn), ValueError),
        ((f.REFRESHED, conn, 1, 2), ValueError),
        ((f.REFRESHED, conn, "1"), TypeError),
        ((f.REFRESHED, conn, -1), ValueError),
        ((f.REFRESHED, conn, 1 << 64), ValueError),
        ((f.REFRESHED, "1", 1), TypeError),
        ((f.REFRESHED, -1, 1), OverflowError),
        ((0, conn, 1), ValueError),
        ((12, conn, 1), ValueError),
        ((300, conn, 1), OverflowError),
        ((f.GO_AWAY, conn, 1 << 32), ValueError),
        ((f.TYPING, conn, "text", USER, True), TypeError),
        ((f.TYPING, conn, b"c", USER, 1), TypeError),
        ((f.PROBLEM, conn, 1, 1, 1, 1, b"bytes"), TypeError),
        ((*welcome(conn)[:-1], (1, 2, 3)), ValueError),
        ((*welcome(conn)[:10], ["list"], 1, (1, 2, 3, 4, 5, 6)), TypeError),
        ((f.CLOSE, conn), ValueError),
        ((f.CLOSE, conn, 1005), ValueError),
        ((f.CLOSE, conn, 5000), ValueError),
        ([f.REFRESHED, conn, 1], TypeError),
        (None, TypeError),
    ]
    for frame, error in wrong:
        with pytest.raises(error):
            rig.engine.send([good, frame])
    rig.engine.send([f.Refreshed(f.REFRESHED, conn, 7)])
    assert wire.read_message().refreshed.token_expires_at == 7


def test_connections_that_are_gone_are_passed_over_and_ids_never_return(rig: Rig) -> None:
    seen = set()
    for _ in range(5):
        wire, conn = rig.ready()
        assert conn not in seen
        seen.add(conn)
        wire.sock.close()
        assert rig.next(f.CLOSED)[1] == conn
    wire, conn = rig.ready()
    before = rig.stat("gone_connections_total")
    gone = [f.Refreshed(f.REFRESHED, old, 1) for old in (*seen, 12345, (1 << 64) - 1, 63 << 57)]
    rig.engine.send([*gone, f.Close(f.CLOSE, min(seen), 1001), f.Refreshed(f.REFRESHED, conn, 2)])
    assert wire.read_message().refreshed.token_expires_at == 2
    rig.until("gone_connections_total", before + len(gone) + 1)


def test_an_unknown_frame_is_answered_and_the_connection_lives(rig: Rig) -> None:
    wire, conn = rig.ready()
    unknown = b"\xfa\x3e\x03abc"  # field 1007, from a client of version 9
    for message, number in [(unknown, 1007), (b"", 0), (b"\x50\x01", 10)]:
        wire.say(message)
        assert wire.read_message().problem == pb.Problem(code=ErrorCode.UNSUPPORTED, frame=number, retry=pb.RETRY_NEVER)
    wire.say(client_frame(ack=pb.Ack(seq=1)) + unknown)
    assert rig.next(f.ACK) == (f.ACK, conn, 1, 0)
    assert rig.stat("unknown_frames_total") == 3


BAD_FRAMES = {
    "garbage": b"hello world",
    "cut": good_send()[:-1],
    "no id": good_send(message_id=b""),
    "short id": good_send(message_id=b"m" * 15),
    "long id": good_send(message_id=b"m" * 17),
    "long conversation": good_send(conversation=b"c" * 65),
    "negative enum": good_send(content_type=-1),
    "long token": client_frame(refresh=pb.Refresh(token="t" * 4097)),
    "many watches": client_frame(watch=pb.Watch(users=[USER] * 4097)),
    "short user": client_frame(watch=pb.Watch(users=[USER[:15]])),
    "text that is not utf-8": b"\x3a\x03\x0a\x01\xff",
}


@pytest.mark.parametrize("message", BAD_FRAMES.values(), ids=list(BAD_FRAMES))
def test_bad_frames_close_the_connection_and_no_other(rig: Rig, message: bytes) -> None:
    (wire, conn), (other, other_conn) = rig.ready(), rig.ready()
    wire.say(message)
    assert wire.close_code() == CloseCode.BAD_FRAME
    assert rig.next(f.CLOSED) == (f.CLOSED, conn, CloseCode.BAD_FRAME)
    assert rig.stat("closed") == {CloseCode.BAD_FRAME: 1}
    other.say(client_frame(ack=pb.Ack(seq=1)))
    assert rig.next(f.ACK) == (f.ACK, other_conn, 1, 0)


def test_hello_is_first_and_only_once(rig: Rig) -> None:
    for first in (good_send(), client_frame(ack=pb.Ack(seq=1)), b""):
        wire = rig.upgraded()
        wire.say(first)
        assert wire.close_code() == CloseCode.HELLO_FIRST
    wire, conn = rig.ready()
    wire.say(HELLO)
    assert wire.close_code() == CloseCode.SECOND_HELLO
    assert rig.next(f.CLOSED) == (f.CLOSED, conn, CloseCode.SECOND_HELLO)
    assert rig.no_more(), "who never said Hello has no Closed"
    assert rig.stat("closed") == {CloseCode.HELLO_FIRST: 3, CloseCode.SECOND_HELLO: 1}


def test_a_malformed_hello_is_a_bad_frame(rig: Rig) -> None:
    long = [client_frame(hello=pb.Hello(token="t" * size)) for size in (4097, 20_000, 130_000)]
    for message in (*long, HELLO[:-1], b"\xff"):
        wire = rig.upgraded()
        wire.say(message)
        assert wire.close_code() == CloseCode.BAD_FRAME
    assert rig.no_more()


def test_python_closes_with_a_code_of_its_own(rig: Rig) -> None:
    for answer in (rig.logged_in, rig.ready):
        wire, conn = answer()
        rig.engine.send([f.Close(f.CLOSE, conn, CloseCode.REPLACED)])
        assert wire.close_code() == CloseCode.REPLACED
        assert rig.next(f.CLOSED) == (f.CLOSED, conn, CloseCode.REPLACED)
        wire.sock.close()
    rig.until("connections", 0)


def test_nothing_goes_out_before_welcome() -> None:
    """A frame of an attempt to attach that is over, say: the client would not know what to make of it."""
    with running() as rig:
        wire, conn = rig.logged_in()
        refreshed = f.Refreshed(f.REFRESHED, conn, 1)
        rig.engine.send([refreshed])
        rig.until("gone_connections_total", 1)
        rig.engine.send([refreshed, refreshed, welcome(conn), f.Refreshed(f.REFRESHED, conn, 2)])
        assert wire.read_message().HasField("welcome")
        assert wire.read_message().refreshed.token_expires_at == 2
        assert rig.stat("gone_connections_total") == 3


def test_what_is_given_before_a_close_goes_out_before_it(rig: Rig) -> None:
    wire, conn = rig.ready()
    rig.engine.send([f.Refreshed(f.REFRESHED, conn, 1), f.Close(f.CLOSE, conn, CloseCode.REPLACED)])
    assert wire.read_message().HasField("refreshed")
    assert wire.close_code() == CloseCode.REPLACED
    early, conn = rig.logged_in()
    rig.engine.send([f.Refreshed(f.REFRESHED, conn, 1), f.Close(f.CLOSE, conn, CloseCode.REPLACED)])
    assert early.read_frame()[0] == CLOSE
