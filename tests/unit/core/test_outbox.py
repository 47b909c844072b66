"""The outbox: numbered items and max registers on their way to other units, until these have them."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

from iris.core import outbox
from iris.core.catalogue import Limits
from iris.core.commands import ItemIn, RegisterIn
from iris.core.ids import seq_of
from iris.core.outbox import Outbox
from iris.core.rows import Gone, InboxMarkRow, OutboxItemRow, OutboxRegisterRow
from iris.core.turn import Now, Turn

USER, UNIT, TARGET, OTHER = b"a" * 16, b"u" + b"a" * 16, b"u" + b"b" * 16, b"@name"
LIMITS = Limits(outbox_window=3, outbox_repeat_ms=1_000)


def made(epoch: int = 2) -> tuple[Outbox, Turn]:
    turn = Turn(LIMITS, epoch, 8)
    return Outbox(USER), turn


def sent(turn: Turn) -> list[Any]:
    """What has been sent since the last look."""
    return [command for _, command in turn.take()[1].units]


def numbers(commands: list[Any]) -> list[tuple[int, int]]:
    """(number, prev) of the items, without the epoch."""
    return [(item.number & 0xFFFF, item.prev & 0xFFFF) for item in commands if isinstance(item, ItemIn)]


def at(turn: Turn, mono: int) -> None:
    turn.now = Now(mono, mono, 0)
    turn.run_timeouts(mono)


def test_items_go_out_in_order_each_with_the_one_before_it_within_the_window() -> None:
    box, turn = made()
    for number in range(5):
        box.add(turn, TARGET, (outbox.COPY, number))
    rows = [row for row in turn.writes if isinstance(row, OutboxItemRow)]
    assert [row.number for row in rows] == [seq_of(2, n) for n in (1, 2, 3, 4, 5)]
    assert numbers(sent(turn)) == [(1, 0), (2, 1), (3, 2)]
    assert [row.body for row in box.items_done(turn, TARGET, seq_of(2, 2))] == [(outbox.COPY, 0), (outbox.COPY, 1)]
    assert [type(row) for row in turn.writes] == [Gone, Gone]
    assert numbers(sent(turn)) == [(4, 3), (5, 4)], "what is confirmed makes room"
    box.items_done(turn, TARGET, seq_of(2, 5))
    assert box.rows == 0
    assert box.lanes == {}


def test_silence_is_answered_by_sending_again_with_doubling_pauses() -> None:
    box, turn = made()
    box.add(turn, TARGET, (outbox.COPY,))
    box.raise_register(turn, TARGET, outbox.READ, b"c", 7)
    assert len(sent(turn)) == 2
    times = []
    for mono in range(0, 300_000, 100):
        at(turn, mono)
        if commands := sent(turn):
            assert len(commands) == 2
            times.append(mono)
    assert times[:4] == [1_000, 3_000, 7_000, 15_000]
    assert {b - a for a, b in pairwise(times[6:])} == {60_000}


def test_another_target_is_repeated_in_its_own_time() -> None:
    """A silent target, asked once a minute, does not make a new one wait that long."""
    box, turn = made()
    box.add(turn, TARGET, (outbox.COPY,))
    for mono in range(0, 130_000, 500):
        at(turn, mono)
    sent(turn)
    box.add(turn, OTHER, (outbox.CLAIM,))
    assert numbers(sent(turn)) == [(2, 0)]
    at(turn, 130_500 + LIMITS.outbox_repeat_ms)
    assert [command.unit for command in sent(turn)] == [OTHER]


def test_registers_are_coalesced_and_end_when_their_newest_value_is_there() -> None:
    box, turn = made()
    for value in (3, 5, 4, 5):
        box.raise_register(turn, TARGET, outbox.DELIVERED, b"c", value)
    assert [command.value for command in sent(turn)] == [3, 5]
    assert box.rows == 1
    box.register_done(turn, TARGET, outbox.DELIVERED, b"c", 3)
    assert box.rows == 1, "an older value's answer"
    box.register_done(turn, TARGET, outbox.DELIVERED, b"c", 5)
    assert (box.rows, box.lanes) == (0, {})
    box.register_done(turn, TARGET, outbox.DELIVERED, b"c", 5)  # said twice


def test_a_lane_that_waits_for_registers_alone_knows_its_target() -> None:
    box, turn = made()
    box.raise_register(turn, OTHER, outbox.BLOCK, b"", 1)
    sent(turn)
    at(turn, 1_000)
    assert sent(turn) == [RegisterIn(OTHER, UNIT, outbox.BLOCK, b"", 1)]


def test_what_was_stored_is_sent_from_the_front_after_a_restart() -> None:
    box, turn = made(1)
    for number in range(4):
        box.add(turn, TARGET, (outbox.COPY, number))
    box.raise_register(turn, TARGET, outbox.READ, b"c", 7)
    items = [row for row in turn.writes if isinstance(row, OutboxItemRow)]
    registers = [row for row in turn.writes if isinstance(row, OutboxRegisterRow)]
    again, turn = made(2)
    again.load(random.Random(1).sample(items, 4), registers, 0)
    again.start(turn)
    commands = sent(turn)
    assert numbers(commands) == [(1, 0), (2, 1), (3, 2)]
    assert isinstance(commands[-1], RegisterIn)
    assert again.rows == 5
    assert again.add(turn, TARGET, (outbox.COPY, 9)) == seq_of(2, 1), "above all of the earlier epoch"


def test_numbers_go_on_after_the_unit_was_out_of_memory() -> None:
    box, turn = made()
    box.add(turn, TARGET, (outbox.COPY,))
    box.items_done(turn, TARGET, seq_of(2, 1))
    turn.take()
    box.rest(turn)
    assert turn.writes == [InboxMarkRow(USER, UNIT, seq_of(2, 1))]
    again, turn = made()
    again.load([], [], seq_of(2, 1))
    assert again.add(turn, TARGET, (outbox.COPY,)) == seq_of(2, 2)
    unused, turn = made()
    unused.load([], [], seq_of(2, 9))
    unused.rest(turn)
    assert turn.writes == [], "nothing new to say"


def test_a_buried_item_leaves_a_tombstone_with_its_number() -> None:
    box, turn = made()
    for _ in range(2):
        box.add(turn, TARGET, (outbox.COPY,))
    sent(turn)
    first = box.first(TARGET)
    assert first is not None
    box.bury(turn, first)
    (row,) = turn.writes
    assert row == first._replace(body=(outbox.TOMBSTONE,))
    assert numbers(sent(turn)) == [(1, 0)]


def test_everything_is_written_again_after_the_unit_was_dropped() -> None:
    box, turn = made()
    box.add(turn, TARGET, (outbox.COPY,))
    box.raise_register(turn, OTHER, outbox.BLOCK, b"", 3)
    before = list(turn.take()[0])
    box.write_all(turn)
    assert turn.writes == before
