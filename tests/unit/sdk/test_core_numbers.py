"""Numbers that no server can mean: the frame is ignored, so that nothing goes to the profile that it cannot hold."""

from __future__ import annotations

import pytest

from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.core import effects as fx
from tests.unit.sdk.test_core_rules import ME, TALK, Bench

TOO_MUCH = 1 << 53


@pytest.mark.parametrize("field", ["seq", "at", "peer_seq"])
def test_a_row_with_a_number_of_64_bits_is_not_taken(field: str) -> None:
    bench = Bench()
    bench.live()
    row = pb.Deliver(seq=1, kind=pb.KIND_MESSAGE, conversation=TALK, sender=b"B" * 16, message_id=b"i" * 16)
    setattr(row, field, TOO_MUCH)
    bench.receive(deliver=row)
    assert not any(isinstance(write, fx.SaveMessage | fx.SaveCursor) for write in bench.writes)
    setattr(row, field, TOO_MUCH - 1)
    bench.receive(deliver=row)
    assert any(isinstance(write, fx.SaveMessage) for write in bench.writes)


def test_a_welcome_with_such_a_number_is_not_one() -> None:
    bench = Bench()
    bench.live(oldest=TOO_MUCH)
    assert bench.writes == []
    bench.receive(welcome=pb.Welcome(user=ME, device=1, oldest=7))
    assert any(isinstance(write, fx.SaveGap) for write in bench.writes)
