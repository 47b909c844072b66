"""A server of version 9 talks to this client: what it adds is passed over, what it says as before still counts.

Its frames are made by hand, byte by byte, since this version's code cannot make them.
"""

from __future__ import annotations

import pytest

from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.content import decode_text
from iris_sdk.core import effects as fx
from tests.unit.sdk.test_core_rules import ME, TALK, Bench, deliver, frames, sends

LATER_FIELD = b"\xfa\x3e\x05later"  # field 1007, length-delimited
LATER_BODY = b"\xfa\x3e\x02\x08\x01"  # a ServerFrame whose only body is field 1007


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def extended(body_field: int, body: bytes) -> bytes:
    """A ServerFrame with this body, each of them with a field of a later version behind."""
    longer = body + LATER_FIELD
    return bytes([body_field << 3 | 2]) + varint(len(longer)) + longer + LATER_FIELD


def hear(bench: Bench, data: bytes) -> list[fx.Effect]:
    """What the client does with these bytes."""
    return bench.do(lambda: bench.core.receive(pb.ServerFrame.FromString(data), bench.now))


def test_an_unknown_frame_is_passed_over() -> None:
    bench = Bench()
    bench.live()
    assert hear(bench, LATER_BODY) == []
    bench.receive(deliver=deliver(1, 0))
    assert any(isinstance(write, fx.SaveMessage) for write in bench.writes)


def test_unknown_fields_change_nothing() -> None:
    bench = Bench()
    bench.live()
    bench.queue(b"m" * 16)
    accepted = pb.Accepted(conversation=TALK, stream=1, client_seq=1, message_id=b"m" * 16, seq=7, at=9000)
    hear(bench, extended(2, accepted.SerializeToString()))
    hear(bench, extended(4, deliver(1, 0).SerializeToString()))
    bench.tick(50)
    saved = [write for write in bench.writes if isinstance(write, fx.SaveMessage)]
    assert [row.message_id for row in saved] == [b"\x01" * 16]
    assert sends(bench.tick(60_000)) == []  # it was accepted: nothing is sent again


def test_a_row_of_an_unknown_kind_is_passed_over_and_the_next_one_is_taken() -> None:
    bench = Bench()
    bench.live()
    later = deliver(1, 0).SerializeToString().replace(b"\x18\x01", b"\x18\x4d", 1)  # kind 77
    assert pb.Deliver.FromString(later).kind == 77
    hear(bench, extended(4, later))
    bench.receive(deliver=deliver(2, 1))
    effects = bench.log + bench.tick(1_000)
    saved = [write for write in bench.writes if isinstance(write, fx.SaveMessage)]
    assert [row.seq for row in saved] == [2]
    assert max(ack.seq for ack in frames(effects, "ack")) == 2  # type: ignore[attr-defined]


def test_an_unknown_way_to_retry_keeps_the_message() -> None:
    bench = Bench()
    bench.live()
    bench.queue(b"m" * 16)
    bench.reject(1, b"m" * 16, code=1999, retry=77)
    again = [send for _ in range(40) for send in sends(bench.tick(1_000))]
    assert (1, 1, b"m" * 16) in again


@pytest.mark.parametrize(("code", "comes_back"), [(4099, True), (4777, False)])
def test_an_unknown_close_code_acts_by_its_range(code: int, comes_back: bool) -> None:
    bench = Bench()
    bench.live()
    effects = bench.do(lambda: bench.core.lost(code, bench.now, 0.5)) + bench.tick(60_000)
    assert any(isinstance(effect, fx.Connect | fx.NeedToken) for effect in effects) is comes_back


def test_unknown_content_is_kept_and_shows_no_text() -> None:
    assert decode_text(LATER_FIELD, 1, 0) is None
    assert decode_text(b"whatever", 77, 0) is None
    assert decode_text(b"secret", 1, 9) is None


def test_welcome_names_whom_it_speaks_to_whatever_else_it_says() -> None:
    bench = Bench()
    bench.do(bench.core.start)
    bench.do(lambda: bench.core.token("t"))
    bench.do(bench.core.opened)
    welcome = pb.Welcome(user=ME, device=1, time=bench.now, token_expires_at=bench.now + 3_600_000)
    hear(bench, extended(1, welcome.SerializeToString()))
    assert sends(bench.queue(b"m" * 16)) == [(1, 1, b"m" * 16)]
