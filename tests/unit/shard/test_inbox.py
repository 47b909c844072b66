"""Commands that wait for a turn: in order, in pieces, and how many are too many."""

from __future__ import annotations

from typing import Any

from iris.core.catalogue import Limits
from iris.core.commands import SendIn, Wake
from iris.core.frames import SEND, Send
from iris.shard.inbox import PIECES, Inbox

USER = bytes(16)
Batch = list[tuple[bytes, tuple[Any, ...]]]


def wakes(first: int, count: int) -> Batch:
    return [(b"%d" % number, Wake(USER)) for number in range(first, first + count)]


def send(payload: bytes) -> Batch:
    frame = Send(SEND, 1, bytes(32), 1, 1, 0, bytes(16), 0, payload, 0, 0)
    return [(b"u", SendIn(USER, 1, USER, 1, False, frame))]


def test_pieces_come_in_order_and_none_is_longer_than_its_part_of_a_commit() -> None:
    inbox = Inbox(Limits(commit_rows_max=4 * PIECES))
    for first, count in ((0, 3), (3, 9), (12, 4)):
        inbox.put(wakes(first, count))
    assert inbox.commands == 16
    pieces = []
    while inbox.commands:
        pieces.append(inbox.take())
    assert [len(piece) for piece in pieces] == [3, 4, 4, 1, 4]
    assert [unit for piece in pieces for unit, _ in piece] == [b"%d" % number for number in range(16)]
    assert inbox.commands == 0


def test_more_commands_than_may_wait_are_too_many() -> None:
    inbox = Inbox(Limits(waiting_commands_max=5))
    inbox.put(wakes(0, 5))
    assert not inbox.over()
    inbox.put(wakes(5, 1))
    assert inbox.over()
    inbox.take()
    assert not inbox.over()


def test_payloads_that_wait_are_counted_until_they_are_taken() -> None:
    inbox = Inbox(Limits(waiting_bytes_max=100))
    inbox.put(send(bytes(60)))
    inbox.put(wakes(0, 2))
    assert not inbox.over()
    inbox.put(send(bytes(41)))
    assert inbox.over()
    inbox.take()
    assert not inbox.over()
    inbox.put(send(bytes(59)))
    assert not inbox.over(), "41 and 59 are just what may wait"
    inbox.put(send(b"x"))
    assert inbox.over()
    while inbox.commands:
        inbox.take()
    assert not inbox.over()


def test_bytes_of_a_batch_that_is_taken_in_pieces_count_to_its_end() -> None:
    inbox = Inbox(Limits(commit_rows_max=PIECES, waiting_bytes_max=100))
    inbox.put(send(bytes(60)) + send(bytes(60)))
    assert inbox.over()
    inbox.take()
    assert inbox.over()
    inbox.take()
    assert not inbox.over()
