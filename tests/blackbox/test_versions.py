"""A client of version 9 talks to this server: what it adds is ignored or refused, and the connection lives."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.blackbox.client import Connection, Mailbox, Person, Talk, message_id, text
from tests.blackbox.conftest import Online
from tests.blackbox.schema import bytes_field, new, number_field, varint

Dial = Callable[[], Connection]
UNSUPPORTED, RETRY_NEVER, BAD_FRAME = 1009, 1, 4501

# Fields that version 1 does not have, of every wire type.
EXTRA = (
    number_field(900, 2**64 - 1)
    + bytes_field(901, b"\xff" * 50)
    + bytes([0xB1, 0x38]) + bytes(8)  # 902, 64 bits
    + bytes([0xBD, 0x38]) + bytes(4)  # 903, 32 bits
)  # fmt: skip


def inner(body: str, **fields: object) -> bytes:
    """The bytes of a body alone."""
    frame = new("ClientFrame")
    part = getattr(frame, body)
    made: bytes = type(part)(**fields).SerializeToString()
    return made


def send_body(talk: Talk, identity: bytes, number: int = 1) -> bytes:
    """A Send without the frame around it."""
    return inner(
        "send",
        conversation=talk.conversation,
        stream=1,
        client_seq=number,
        message_id=identity,
        payload=text("hi"),
        content_type=1,
    )


def test_hello_with_more_in_it(dial: Dial, ada: Person) -> None:
    by = dial()
    cursor = bytes_field(2, number_field(1, 0) + EXTRA)
    hello = bytes_field(1, ada.access.encode()) + cursor + EXTRA
    by.raw(EXTRA + bytes_field(1, hello) + EXTRA)
    welcome = by.take("welcome")
    assert welcome.user == ada.user
    by.alive()


def test_unknown_features_are_not_offered_back(dial: Dial, ada: Person) -> None:
    by = dial()
    welcome = by.hello(ada.access, features=["groups", "calls", "", "ü", "groups"])
    assert list(welcome.features) == []


def test_hello_without_cursor_or_client(dial: Dial, ada: Person) -> None:
    by = dial()
    by.raw(bytes_field(1, bytes_field(1, ada.access.encode())))
    assert by.take("welcome").device == ada.login.device


def test_send_with_more_in_it(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by, to = online(ada), online(bob)
    identity = message_id()
    by.raw(EXTRA + bytes_field(2, EXTRA + send_body(talk, identity) + EXTRA) + EXTRA)
    assert by.take("accepted").message_id == identity
    row = to.take("deliver")
    assert (row.message_id, row.payload) == (identity, text("hi"))


def test_other_frames_with_more_in_them(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by, to = online(ada), online(bob)
    talk.send(by)
    answer = talk.accepted(by)
    box = Mailbox()
    box.fill(to, lambda it: bool(it.rows))
    to.raw(bytes_field(3, inner("ack", seq=box.seq) + EXTRA))
    assert by.take("receipt").delivered == answer.seq
    to.raw(bytes_field(4, EXTRA + inner("read", conversation=talk.conversation, seq=box.seq)))
    assert to.take("read_sync").seq == box.seq
    to.raw(bytes_field(5, inner("typing", conversation=talk.conversation, active=True) + EXTRA) + EXTRA)
    assert by.take("typing").active
    to.raw(bytes_field(6, EXTRA + inner("watch", users=[ada.user])))
    assert to.take("presence").user == ada.user
    to.raw(bytes_field(7, inner("refresh", token=bob.access) + EXTRA))
    assert to.take("refreshed").token_expires_at


@pytest.mark.parametrize("number", [8, 15, 16, 99, 2047, 2**29 - 1])
def test_unknown_frame(online: Online, ada: Person, number: int) -> None:
    by = online(ada)
    by.raw(bytes_field(number, b"\x08\x01"))
    problem = by.take("problem")
    assert (problem.code, problem.frame, problem.retry) == (UNSUPPORTED, number, RETRY_NEVER)
    by.alive()


def test_empty_frame(online: Online, ada: Person) -> None:
    by = online(ada)
    by.raw(b"")
    problem = by.take("problem")
    assert (problem.code, problem.frame) == (UNSUPPORTED, 0)
    by.alive()


def test_many_unknown_frames(online: Online, ada: Person, talk: Talk) -> None:
    by = online(ada)
    for number in range(100, 300):
        by.raw(bytes_field(number, b""))
    for number in range(100, 300):
        assert by.take("problem").frame == number
    talk.send(by)
    talk.accepted(by)


def test_fields_in_any_order_and_given_twice(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    """As in all of protobuf: the last value of a field counts."""
    by, to = online(ada), online(bob)
    identity = message_id()
    body = (
        number_field(8, 1)
        + bytes_field(7, b"old")
        + bytes_field(7, text("hi"))
        + bytes_field(5, bytes(16))
        + bytes_field(5, identity)
        + number_field(3, 9)
        + number_field(3, 1)
        + number_field(2, 1)
        + bytes_field(1, talk.conversation)
    )
    by.raw(bytes_field(2, body))
    assert by.take("accepted").message_id == identity
    assert to.take("deliver").payload == text("hi")


def test_body_in_two_parts_is_merged(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    """Protobuf merges a message field that is given twice."""
    by, to = online(ada), online(bob)
    identity = message_id()
    body = send_body(talk, identity)
    first = bytes_field(1, talk.conversation)
    assert body.startswith(first)
    by.raw(bytes_field(2, first) + bytes_field(2, body[len(first) :]))
    assert by.take("accepted").message_id == identity
    assert to.take("deliver").message_id == identity


def test_last_of_two_bodies_counts(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    """Of a oneof, the last member that is given is the one."""
    by = online(ada)
    by.raw(bytes_field(3, b"") + bytes_field(2, send_body(talk, message_id())))
    assert by.take("accepted").client_seq == 1
    by.raw(bytes_field(2, send_body(talk, message_id(), 2)) + bytes_field(6, b""))
    talk.number = talk.answered = 1
    talk.send(by)
    talk.accepted(by)
    by.alive()
    assert by.names() == []


def test_varints_longer_than_needed(online: Online, ada: Person, talk: Talk) -> None:
    by = online(ada)
    body = send_body(talk, message_id()) + varint(2 << 3) + b"\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00"
    by.raw(bytes_field(2, body))
    assert by.take("accepted").stream == 1


@pytest.mark.parametrize("value", [2, 77, 2**31 - 1])
def test_unknown_enum_values_are_carried(online: Online, ada: Person, bob: Person, talk: Talk, value: int) -> None:
    """The server never looks into a payload: the reader decides."""
    by, to = online(ada), online(bob)
    talk.send(by, content_type=value, alg=value)
    talk.accepted(by)
    row = to.take("deliver")
    assert (row.content_type, row.alg) == (value, value)


def test_frame_of_the_server_from_a_client(online: Online, ada: Person) -> None:
    """Field 11 is Problem in ServerFrame; from a client it is unknown."""
    by = online(ada)
    by.raw(new("ServerFrame", problem={"code": 1}).SerializeToString())
    assert by.take("problem").frame == 11


def test_text_that_is_not_utf8(dial: Dial, ada: Person) -> None:
    """A `string` field is UTF-8 in protobuf."""
    by = dial()
    by.raw(bytes_field(1, bytes_field(1, ada.access.encode()) + bytes_field(4, b"\xff\xfe")))
    assert by.close_code() == BAD_FRAME
    dial().hello(ada.access)


def test_groups_are_passed_over(online: Online, ada: Person) -> None:
    """Wire types 3 and 4, which nobody writes any more."""
    by = online(ada)
    group = bytes([0x9B, 0x06, 0x08, 0x01, 0x9C, 0x06])  # field 99
    by.raw(group)
    assert by.take("problem").frame == 99
    by.raw(bytes_field(3, group))
    by.alive()
