"""What upkeep does next, by hand."""

from __future__ import annotations

from iris.core.commands import Wake
from iris.core.ids import user_unit
from iris.shard.upkeep import HORIZON_WRITE_MS, Rounds


def test_rounds_go_over_all_users_and_begin_anew() -> None:
    rounds = Rounds()
    assert rounds.after == b""
    assert rounds.wake([b"a" * 16, b"b" * 16]) == [(user_unit(n * 16), Wake(n * 16)) for n in (b"a", b"b")]
    assert rounds.after == b"b" * 16
    assert rounds.wake([]) == []
    assert rounds.after == b""


def test_the_horizon_is_written_at_the_start_and_then_now_and_again() -> None:
    rounds = Rounds()
    assert rounds.horizon_due(0)
    assert not rounds.horizon_due(HORIZON_WRITE_MS - 1)
    assert rounds.horizon_due(HORIZON_WRITE_MS + 1)
    assert not rounds.horizon_due(HORIZON_WRITE_MS + 2)
