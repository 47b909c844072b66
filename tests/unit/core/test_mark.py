"""The seven rules of a Send, one by one, and against a plain reading of them by chance."""

from __future__ import annotations

import random

from iris.core.catalogue import Limits
from iris.core.mark import Mark, Outcome, Verdict
from iris.core.rows import MarkRow

USER, SENDER, DEVICE = b"u" * 16, b"s" * 16, 1
STALE, GAP, NEW, REPEAT, MOVED = Verdict.STALE, Verdict.GAP, Verdict.NEW, Verdict.REPEAT, Verdict.MOVED
WINDOW = 4


def name(number: int) -> bytes:
    return number.to_bytes(16, "big")


def take(mark: Mark, stream: int, number: int, message: int, code: int = 0) -> MarkRow:
    """The next number for a new message."""
    assert mark.judge(stream, number, 0, name(message))[0] is NEW
    return mark.record(USER, SENDER, DEVICE, Outcome(stream, number, name(message), 100 + message, message, code))


def marked(*, stream: int = 3, upto: int = 5) -> Mark:
    """A mark that has taken 1 to `upto`; message ids are 10 above the numbers."""
    mark = Mark(WINDOW)
    for number in range(1, upto + 1):
        take(mark, stream, number, 10 + number)
    return mark


# --- the rules in their order; each would say something else if the one before it did not come first ---
def test_1_an_older_stream_is_stale() -> None:
    assert marked().judge(2, 9, 9, name(15)) == (STALE, None, 3)


def test_2_a_newer_stream_begins_at_one_and_nothing_is_stored_by_asking() -> None:
    mark = marked()
    assert mark.judge(7, 2, 0, name(99)) == (GAP, None, 1)
    assert mark.judge(7, 1, 0, name(99))[0] is NEW
    assert mark.judge(7, 1, 1, name(99)) == (STALE, None, 3)
    assert (mark.stream, mark.high) == (3, 5), "judging changes nothing"


def test_3_more_answered_than_was_ever_taken_is_stale_even_with_a_gap() -> None:
    assert marked().judge(3, 9, 6, name(99)) == (STALE, None, 3)
    assert Mark(WINDOW).judge(1, 4, 3, name(99)) == (STALE, None, 0), "a mark that has expired"


def test_4_a_skipped_number_is_a_gap_even_of_a_known_message() -> None:
    assert marked().judge(3, 7, 5, name(15)) == (GAP, None, 6)


def test_5_a_repeat_has_its_outcome_and_another_message_under_its_number_is_stale() -> None:
    mark = marked()
    verdict, outcome, _ = mark.judge(3, 4, 0, name(14))
    assert verdict is REPEAT
    assert outcome == Outcome(3, 4, name(14), 114, 14, 0)
    assert mark.judge(3, 4, 0, name(99)) == (STALE, None, 3)
    assert mark.judge(3, 4, 0, name(13)) == (STALE, None, 3), "known, but not by this number"
    assert mark.judge(3, 1, 0, name(11)) == (STALE, None, 3), "its outcome is no longer kept"


def test_6_a_known_message_under_the_next_number_keeps_its_outcome() -> None:
    mark = marked()
    verdict, outcome, _ = mark.judge(4, 1, 0, name(13))
    assert verdict is MOVED
    assert outcome is not None
    row = mark.move(USER, SENDER, DEVICE, outcome, 4, 1)
    assert (row.stream, row.client_seq, row.message_id, row.seq, row.at) == (4, 1, name(13), 113, 13)
    assert (mark.stream, mark.high) == (4, 1), "the number is spent"
    assert mark.judge(4, 1, 0, name(13))[0] is REPEAT
    assert mark.judge(3, 3, 0, name(13)) == (STALE, None, 4)


def test_7_anything_else_is_new_and_a_refusal_is_an_outcome_too() -> None:
    mark = marked()
    take(mark, 3, 6, 99, code=1003)
    verdict, outcome, _ = mark.judge(3, 6, 0, name(99))
    assert verdict is REPEAT
    assert outcome is not None
    assert outcome.code == 1003
    assert mark.judge(9, 1, 0, name(99))[0] is MOVED, "refused once, refused for ever"


def test_the_default_window_is_32() -> None:
    mark = Mark(Limits().send_window)
    for number in range(1, 41):
        take(mark, 1, number, number)
    assert mark.judge(2, 1, 0, name(9))[0] is MOVED
    assert mark.judge(2, 1, 0, name(8))[0] is NEW


def test_a_window_sent_again_twice_half_way_loses_no_outcome() -> None:
    """Four answers were lost. The client opens a stream, is cut off after two, opens another: all are known."""
    mark = Mark(WINDOW)
    for number in range(1, 5):
        take(mark, 1, number, number)
    for stream, upto in ((2, 2), (3, 3), (4, 4)):
        for number in range(1, upto + 1):
            verdict, known, _ = mark.judge(stream, number, 0, name(number))
            assert verdict is MOVED, f"message {number} would be stored again"
            assert known is not None
            mark.move(USER, SENDER, DEVICE, known, stream, number)
    take(mark, 4, 5, 5)
    assert mark.judge(4, 2, 0, name(2))[0] is REPEAT
    assert mark.judge(4, 1, 0, name(1))[0] is STALE, "the lowest number makes room"


def test_new_messages_push_out_answered_outcomes_not_older_ones_that_were_moved() -> None:
    """The answers to 1 and 2 are lost each time, those to later messages come: 1 and 2 must stay known."""
    mark = Mark(WINDOW)
    for number in range(1, 5):
        take(mark, 1, number, number)
    rows = {}
    for stream in (2, 3, 4):
        for number in (1, 2):
            verdict, known, _ = mark.judge(stream, number, 0, name(number))
            assert verdict is MOVED, f"message {number} would be stored again"
            assert known is not None
            row = mark.move(USER, SENDER, DEVICE, known, stream, number)
            rows[row.slot] = row
        for number in (3, 4):
            row = take(mark, stream, number, 10 * stream + number)
            rows[row.slot] = row
            assert row.slot == row.ordinal % WINDOW
    loaded = Mark(WINDOW)
    loaded.load(list(rows.values()))
    for number, message in ((1, 1), (2, 2), (3, 43), (4, 44)):
        assert loaded.judge(4, number, 0, name(message))[0] is REPEAT


def test_a_mark_is_loaded_as_it_was_stored() -> None:
    mark, rows = Mark(WINDOW), {}
    for number in range(1, 8):
        row = take(mark, 1, number, number)
        rows[row.slot] = row
    for number in (1, 2):
        known = mark.judge(2, number, 0, name(number + 4))[1]
        assert known is not None
        row = mark.move(USER, SENDER, DEVICE, known, 2, number)
        rows[row.slot] = row
    loaded = Mark(WINDOW)
    loaded.load(random.Random(1).sample(list(rows.values()), len(rows)))
    for field in Mark.__slots__:
        assert getattr(loaded, field) == getattr(mark, field), field


def test_another_window_finds_the_newest_outcomes() -> None:
    """send_window is configuration: rows of a wider ring are read into a narrower one, and back."""
    mark, rows = Mark(8), {}
    for number in range(1, 14):
        row = take(mark, 1, number, number)
        rows[row.slot] = row
    narrow = Mark(4)
    narrow.load(list(rows.values()))
    assert (narrow.stream, narrow.high, narrow.ordinal) == (1, 13, 13)
    assert [narrow.judge(1, number, 0, name(number))[0] for number in (9, 10, 13)] == [STALE, REPEAT, REPEAT]
    row = take(narrow, 1, 14, 14)
    rows[row.slot] = row
    wide = Mark(8)
    wide.load(list(rows.values()))
    assert (wide.high, wide.ordinal) == (14, 14)
    assert wide.judge(1, 14, 0, name(14))[0] is REPEAT


class Plain:
    """The rules as they are written, on a list of messages in the order of their numbers."""

    def __init__(self) -> None:
        self.stream = self.high = 0
        self.known: list[list[int]] = []  # [stream, number, message, outcome]

    def send(self, stream: int, number: int, answered: int, message: int) -> tuple[Verdict, object]:
        high = self.high if stream == self.stream else 0
        if stream < self.stream or answered > high:
            return STALE, self.stream
        if number > high + 1:
            return GAP, high + 1
        found = next((entry for entry in self.known if entry[2] == message), None)
        if number <= high:
            same = found is not None and found[:2] == [stream, number]
            return (REPEAT, found[3]) if found is not None and same else (STALE, self.stream)
        self.stream, self.high = stream, number
        if found is not None:
            found[:2] = [stream, number]
            return MOVED, found[3]
        self.known = sorted([*self.known, [stream, number, message, 1_000 + message]])[-WINDOW:]
        return NEW, 1_000 + message


def test_the_mark_is_the_plain_rules() -> None:
    for seed in range(400):
        chance, plain, mark = random.Random(seed), Plain(), Mark(WINDOW)
        for _ in range(60):
            stream, number = (
                plain.stream + chance.choice([-1, 0, 0, 0, 0, 1]),
                plain.high + chance.choice([-2, -1, 0, 1, 1, 2]),
            )
            send = (stream, chance.choice([number, 1]), chance.choice([0, 0, 1, number - 1]), chance.randint(1, 12))
            want = plain.send(*send)
            verdict, known, told = mark.judge(*send[:3], name(send[3]))
            got: object = told
            if verdict is NEW:
                got = 1_000 + send[3]
                mark.record(USER, SENDER, DEVICE, Outcome(send[0], send[1], name(send[3]), got, 0, 0))
            elif known is not None:
                got = known.seq
                if verdict is MOVED:
                    mark.move(USER, SENDER, DEVICE, known, send[0], send[1])
            assert (verdict, got) == want, f"seed {seed}: {send}"
