"""Upgrades, Hello and everything that closes a connection, while two bystanders go on undisturbed."""

from __future__ import annotations

import base64
import contextlib
import struct
from collections.abc import Callable, Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.blackbox.client import Api, Connection, Mailbox, Person, Talk, conversation, message_id, person
from tests.blackbox.conftest import Online
from tests.blackbox.raw import BINARY, CLOSE, PING, PONG, RawSocket
from tests.blackbox.schema import bytes_field, client_frame
from tests.support.server import Server

Dial = Callable[[], Connection]
PROTOCOL_ERROR, TEXT_FRAME, INVALID_UTF8, TOO_BIG = 1002, 1003, 1007, 1009
BAD_FRAME, HELLO_FIRST, SECOND_HELLO, PAYLOAD_TOO_LARGE, REPLACED = 4501, 4502, 4503, 4504, 4512
FLOODING, HELLO_TIMEOUT, IDLE_TIMEOUT, TOKEN_INVALID = 4004, 4001, 4002, 4510


@pytest.fixture(autouse=True)
def bystanders(online: Online, api: Api) -> Iterator[None]:
    """Two people who talk before and after whatever the test does, on the same connections."""
    one, two = person(api), person(api)
    by, to, talk, box = online(one), online(two), Talk(conversation(one.user, two.user)), Mailbox()

    def exchange() -> None:
        identity = talk.send(by)
        talk.accepted(by)
        box.fill(to, lambda it: identity in it.ids())
        box.ack(to)

    exchange()
    yield
    exchange()
    assert box.ids() == list(talk.sent.values())


def test_text_message_closes(online: Online, ada: Person) -> None:
    by = online(ada)
    by.raw("hello")
    assert by.close_code() == TEXT_FRAME


def test_text_message_before_hello(dial: Dial) -> None:
    by = dial()
    by.raw("{}")
    assert by.close_code() == TEXT_FRAME


@pytest.mark.parametrize("body", ["send", "ack", "read", "typing", "watch", "refresh"])
def test_frame_before_hello(dial: Dial, body: str) -> None:
    by = dial()
    by.put(body, **({"message_id": message_id(), "conversation": bytes(32)} if body == "send" else {}))
    assert by.close_code() == HELLO_FIRST


def test_second_hello(online: Online, ada: Person) -> None:
    by = online(ada)
    by.put("hello", token=ada.access)
    assert by.close_code() == SECOND_HELLO


def test_second_hello_before_welcome(dial: Dial, ada: Person) -> None:
    by = dial()
    by.put("hello", token=ada.access)
    by.put("hello", token=ada.access)
    assert by.close_code() == SECOND_HELLO


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 20,
        b"\x00\x01\x02",
        b"\x0a",  # a length is missing
        b"\x12\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",  # a varint of more than ten bytes
        b"\x12\xff\xff\xff\xff\x0f",  # a length of 4 GiB
        client_frame("send", conversation=bytes(32), message_id=bytes(16), payload=b"x" * 50)[:-1],  # cut off
        b"\x10\x01",  # Send as a varint
    ],
    ids=lambda raw: raw[:8].hex(),
)
def test_garbage(online: Online, ada: Person, garbage: bytes) -> None:
    by = online(ada)
    by.raw(garbage)
    assert by.close_code() == BAD_FRAME


@pytest.mark.parametrize("wrong", [b"", b"x" * 15, b"x" * 17, b"x" * 200], ids=len)
def test_message_id_that_is_not_16_bytes(online: Online, ada: Person, talk: Talk, wrong: bytes) -> None:
    by = online(ada)
    by.put("send", conversation=talk.conversation, stream=1, client_seq=1, message_id=wrong)
    assert by.close_code() == BAD_FRAME


def test_conversation_above_64_bytes(online: Online, ada: Person) -> None:
    by = online(ada)
    by.put("send", conversation=bytes(65), stream=1, client_seq=1, message_id=message_id())
    assert by.close_code() == BAD_FRAME


@pytest.mark.parametrize(("stream", "number"), [(1, 0), (0, 1), (2**53, 1), (2**64 - 1, 1), (1, 2**53)])
def test_a_number_out_of_its_range_is_never_stored(
    online: Online, ada: Person, bob: Person, talk: Talk, stream: int, number: int
) -> None:
    by = online(ada)
    by.put("send", conversation=talk.conversation, stream=stream, client_seq=number, message_id=message_id())
    assert by.close_code() == BAD_FRAME
    by = online(ada)
    talk.send(by)
    talk.accepted(by)
    box = Mailbox()
    box.fill(online(bob), lambda it: bool(it.rows))
    assert box.ids() == [talk.sent[1]]


def test_payload_too_large(online: Online, ada: Person, talk: Talk) -> None:
    by = online(ada)
    talk.send(by, payload=bytes(65_537))
    assert by.close_code() == PAYLOAD_TOO_LARGE


def test_message_above_128_kib(online: Online, ada: Person, talk: Talk) -> None:
    by = online(ada)
    with contextlib.suppress(ConnectionClosed):  # the server may close while we still send
        by.raw(bytes_field(9, bytes(131_072)))
    assert by.close_code() == TOO_BIG
    by = online(ada)
    with contextlib.suppress(ConnectionClosed):
        by.raw([bytes_field(9, bytes(131_072))[at : at + 30_000] for at in range(0, 131_076, 30_000)])  # in fragments
    assert by.close_code() == TOO_BIG
    by = online(ada)
    by.raw(bytes_field(9, bytes(131_068)))  # exactly 128 KiB
    assert by.take("problem").frame == 9


def test_hello_above_8_kib(dial: Dial, ada: Person) -> None:
    by = dial()
    by.put("hello", token=ada.access, client="x" * 8192)
    assert by.close_code() in (TOO_BIG, BAD_FRAME)
    by = dial()
    by.hello(ada.access, features=["x" * 100] * 60)  # many, yet below


def test_token_above_4_kib(dial: Dial) -> None:
    by = dial()
    by.put("hello", token="x" * 4097)
    assert by.close_code() == BAD_FRAME


def test_fragments_are_one_message(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by, to = online(ada), online(bob)
    identity = message_id()
    raw = client_frame("send", conversation=talk.conversation, stream=1, client_seq=1, message_id=identity)
    by.raw([raw[:1], raw[1:40], b"", raw[40:]])
    by.take("accepted")
    assert to.take("deliver").message_id == identity


def test_frames_after_hello_need_not_wait(dial: Dial, ada: Person, bob: Person, talk: Talk) -> None:
    """A client should wait for Welcome; what it sends too early, and again, is not stored twice."""
    by = dial()
    by.put("hello", token=ada.access)
    identity = talk.send(by)
    by.take("welcome")
    talk.send(by, again=1)
    talk.accepted(by, 1)
    to = dial()
    to.hello(bob.access)
    box = Mailbox()
    box.fill(to, lambda it: it.seq > 0)
    assert box.ids() == [identity]


def test_newer_connection_of_a_device_wins(dial: Dial, online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    old, phone = online(ada), online(ada.another_device())
    for _ in range(3):
        new = dial()
        new.hello(ada.access)
        assert old.close_code() == REPLACED
        old = new
    talk.send(old)
    talk.accepted(old)
    phone.alive()


def test_what_the_replaced_one_was_sent_is_not_lost(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by, old = online(ada), online(bob)
    identity = talk.send(by)
    old.take("deliver")  # never acked
    new, box = online(bob), Mailbox()
    assert old.close_code() == REPLACED
    box.fill(new, lambda it: identity in it.ids())


def test_flooding(online: Online, ada: Person) -> None:
    by = online(ada)
    with contextlib.suppress(ConnectionClosed):
        for _ in range(12_000):
            by.socket.ping()
    assert by.close_code() == FLOODING


def test_client_may_ping_and_close(online: Online, ada: Person) -> None:
    by = online(ada)
    assert by.socket.ping(b"are you there").wait(10)
    by.socket.close(1000, "done")
    assert by.close_code() == 1000


# --- the upgrade ---


@pytest.mark.parametrize("protocols", [("iris.v2.pb",), ("chat",), ()])
def test_upgrade_without_our_subprotocol(iris: Server, protocols: tuple[str, ...]) -> None:
    with RawSocket(iris.port) as raw:
        assert raw.upgrade(protocol=", ".join(protocols) if protocols else None).status == 400


def test_subprotocol_is_picked_among_others(iris: Server) -> None:
    with RawSocket(iris.port) as raw:
        answer = raw.upgrade(
            protocol="iris.v9.pb, iris.v1.pb, chat", extra="Sec-WebSocket-Extensions: permessage-deflate\r\n"
        )
        assert answer.status == 101
        assert answer.headers["sec-websocket-protocol"] == "iris.v1.pb"
        assert "sec-websocket-extensions" not in answer.headers


def early(token: str, seq: int = 0) -> tuple[str, str, str]:
    """The subprotocols of an upgrade with Hello in it."""
    message = client_frame("hello", token=token, cursor={"seq": seq, "rev": 0}, client="blackbox/1")
    text = base64.urlsafe_b64encode(message).rstrip(b"=").decode()
    return "iris.v1.pb", "iris.v1.pb.early", f"iris.early.{text}"


def test_hello_with_the_upgrade(iris: Server, api: Api, online: Online) -> None:
    """Welcome comes by itself, and the session is like any other."""
    ada, bob = person(api), person(api)
    by, talk = online(ada), Talk(conversation(ada.user, bob.user))
    first = Connection(iris.ws_url, protocols=early(bob.access))
    assert first.socket.subprotocol == "iris.v1.pb.early"
    assert first.take("welcome").user == bob.user
    identity = talk.send(by)
    row = first.take("deliver")
    assert row.message_id == identity
    first.drop()
    again = Connection(iris.ws_url, protocols=early(bob.access, row.seq))  # its cursor counts as an Ack
    assert again.take("welcome").head == row.seq
    by.take("receipt", lambda receipt: receipt.delivered == row.seq)
    later = talk.send(by)
    assert again.take("deliver").message_id == later
    again.close()


def test_hello_with_the_upgrade_and_a_bad_token(iris: Server) -> None:
    assert Connection(iris.ws_url, protocols=early("eyJ.e30.sig")).close_code() == TOKEN_INVALID


def test_upgrade_with_another_version(iris: Server) -> None:
    with RawSocket(iris.port) as raw:
        answer = raw.upgrade(version="8")
        assert answer.status == 426
        assert answer.headers["sec-websocket-version"] == "13"  # RFC 6455, 4.2.2


@pytest.mark.parametrize("wrong", [{"http": "HTTP/1.0"}, {"key": ""}, {"key": "short"}], ids=str)
def test_malformed_upgrade(iris: Server, wrong: dict[str, str]) -> None:
    with RawSocket(iris.port) as raw:
        assert raw.upgrade(**wrong).status == 400


def test_request_head_above_8_kib(iris: Server) -> None:
    with RawSocket(iris.port) as raw:
        assert raw.upgrade(extra=f"X-Long: {'x' * 9000}\r\n").status == 431


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/connect/", "/v2/connect", "/v1/connectx", "/v1/info"])
def test_upgrade_at_a_wrong_path(iris: Server, path: str) -> None:
    with RawSocket(iris.port) as raw:
        assert raw.upgrade(path=path).status not in (101, 500)


def test_get_without_an_upgrade(api: Api) -> None:
    assert api.call("GET", "/connect").status_code in (400, 404)


def test_library_sees_the_refusal(iris: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        Connection(iris.ws_url, protocols=("iris.v2.pb",))
    assert refused.value.response.status_code == 400


# --- broken WebSocket frames ---

HELLO_SIZED = client_frame("hello", token="x")


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ({"payload": HELLO_SIZED, "masked": False}, PROTOCOL_ERROR),
        ({"payload": HELLO_SIZED, "first": 0x80 | 0x40 | BINARY}, PROTOCOL_ERROR),  # a reserved bit
        ({"payload": HELLO_SIZED, "first": 0x83}, PROTOCOL_ERROR),  # an unknown opcode
        ({"payload": HELLO_SIZED, "first": 0x80}, PROTOCOL_ERROR),  # goes on with nothing
        ({"payload": b"x" * 126, "opcode": PING}, PROTOCOL_ERROR),  # a long control frame
        ({"payload": b"x", "first": PING}, PROTOCOL_ERROR),  # a fragmented one
        ({"payload": b"x", "opcode": CLOSE}, PROTOCOL_ERROR),  # half a close code
        ({"payload": struct.pack("!H", 1005), "opcode": CLOSE}, PROTOCOL_ERROR),  # one that may not be sent
        ({"payload": struct.pack("!H", 1000) + b"\xff\xfe", "opcode": CLOSE}, INVALID_UTF8),
        ({"payload": struct.pack("!H", 1000) + b"bye", "opcode": CLOSE}, 1000),
        ({"payload": struct.pack("!H", 4999), "opcode": CLOSE}, 4999),
    ],
    ids=str,
)
def test_broken_websocket_frame(iris: Server, case: dict[str, object], code: int) -> None:
    with RawSocket(iris.port) as raw:
        assert raw.upgrade().status == 101
        raw.frame(**case)  # type: ignore[arg-type]
        assert raw.close_code() == code
        while raw.more():  # and then the connection ends
            pass


def test_ping_before_hello_is_answered(iris: Server) -> None:
    with RawSocket(iris.port) as raw:
        assert raw.upgrade().status == 101
        raw.frame(b"abc", opcode=PING)
        assert raw.next() == (PONG, b"abc")


def test_connection_that_sends_nothing_hurts_nobody(iris: Server, online: Online, ada: Person) -> None:
    with RawSocket(iris.port), RawSocket(iris.port) as half:
        half.put(b"GET /v1/conn")
        online(ada).alive()
