"""The profile: what a commit does to its rows, what is refused at opening, ids and addresses."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_sdk import Event, OutboxFull, OwnCopy, ProfileError, StateChange, ids, schema
from iris_sdk.convert import to_event
from iris_sdk.core import effects as fx
from iris_sdk.rows import HistoryRow, ReadRow
from iris_sdk.store import Reader, Writer
from iris_sdk.worker import FileLock
from tests.support.sdk_world import new_profile

ME, BOB = b"A" * 16, b"B" * 16
TALK = ids.direct_conversation(ME, BOB)


def message(seq: int, *, own: bool = False, sender: bytes = BOB, peer_seq: int = 0) -> fx.SaveMessage:
    return fx.SaveMessage(own, TALK, sender, 1, bytes([seq]) * 16, seq, peer_seq, seq * 10, b"", 1, 0)


def apply(db: sqlite3.Connection, *writes: fx.Write) -> None:
    (result,) = Writer(db).transact([lambda writer: writer.apply(writes)])
    assert result is None, result


def enqueue(db: sqlite3.Connection, *texts: str) -> list[bytes]:
    payloads: list[tuple[bytes, str | None]] = [(text.encode(), text) for text in texts]
    (made,) = Writer(db).transact([lambda writer: writer.enqueue(TALK, payloads, 7, 100)])
    return [message_id for message_id, _ in made]


def states(db: sqlite3.Connection) -> list[str]:
    return [row.state for row in Reader(db).history(None, 0, 100)]


def test_a_row_that_comes_twice_is_there_once_and_its_number_is_not_spent() -> None:
    db = new_profile(ME, 1)
    apply(db, message(1), message(1), message(2), fx.SaveCursor(2, 0))
    apply(db, message(2))
    assert [(row.n, row.seq) for row in Reader(db).history(None, 0, 100)] == [(1, 1), (2, 2)]
    assert Reader(db).load().seq == 2


def test_receipts_move_states_forward_whatever_comes_first() -> None:
    db = new_profile(ME, 1)
    one, two, three = enqueue(db, "a", "b", "c")
    apply(db, fx.SaveAnswer(one, TALK, 11, 100, 0), fx.SaveReceipt(TALK, 12, 11))
    assert states(db) == ["read", "queued", "queued"]
    apply(db, fx.SaveAnswer(two, TALK, 12, 101, 0), fx.SaveAnswer(three, TALK, 13, 102, 0))
    assert states(db) == ["read", "delivered", "accepted"]
    apply(db, fx.SaveReceipt(TALK, 5, 5), fx.SaveReceipt(TALK, 13, 13))
    assert states(db) == ["read", "read", "read"]


def test_what_waits_for_a_handle_goes_before_what_comes_later() -> None:
    db = new_profile(ME, 1)

    def put(conversation: bytes, text: str, handle: str) -> bytes:
        job = lambda writer: writer.enqueue(conversation, [(text.encode(), text)], 7, 100, handle)  # noqa: E731
        (made,) = Writer(db).transact([job])
        return bytes(made[0][0])

    early, other, late = put(b"", "early", "bob"), put(b"", "other", "cyd"), put(b"", "late", "bob")
    assert Reader(db).unaddressed() == ["bob", "cyd"]
    assert Reader(db).outbox_after(0) == []
    last = put(TALK, "last", "bob")
    assert [(row[1], row[2]) for row in Reader(db).outbox_after(0)] == [(TALK, early), (TALK, late), (TALK, last)]
    Writer(db).transact([lambda writer: writer.refuse_unaddressed("cyd", 1007)])
    assert Reader(db).unaddressed() == []
    assert Reader(db).waiting() == 3
    row = Reader(db).row(ME, other)
    assert row is not None
    assert (row.state, row.code) == ("refused", 1007)


def test_a_profile_of_the_first_version_is_brought_up(tmp_path: Path) -> None:
    db = schema.connect(tmp_path, create=True)
    for table in ("unaddressed", "actions", "hidden"):
        db.execute(f"DROP TABLE {table}")
    db.execute("DROP INDEX history_queued")
    db.execute("ALTER TABLE history DROP COLUMN wiped")
    db.execute("PRAGMA user_version = 1")
    db.close()
    assert Reader(schema.connect(tmp_path)).unaddressed() == []
    assert Reader(schema.connect(tmp_path)).unaddressed() == []


def test_an_own_copy_of_what_waits_here_is_no_second_row() -> None:
    db = new_profile(ME, 1)
    (sent,) = enqueue(db, "a")
    copy = fx.SaveMessage(True, TALK, ME, 1, sent, 3, 30, 500, b"a", 1, 0)
    apply(db, copy)
    (row,) = Reader(db).history(None, 0, 100)
    assert (row.kind, row.state, row.seq, row.at) == ("sent", "accepted", 30, 500)
    assert [found[2] for found in Reader(db).outbox_after(0)] == [sent]  # its number still needs the answer


def test_expired_is_final() -> None:
    db = new_profile(ME, 1)
    (sent,) = enqueue(db, "a")
    apply(db, fx.SaveAnswer(sent, TALK, 11, 100, 0), fx.Expire(101))
    apply(db, fx.SaveReceipt(TALK, 11, 11))
    assert states(db) == ["expired"]


def test_answered_rows_keep_their_places_until_those_before_are_answered() -> None:
    db = new_profile(ME, 1)
    a, b, c = enqueue(db, "a", "b", "c")
    apply(db, fx.SaveAnswer(b, TALK, 2, 100, 0))
    assert [(row[2], row[3]) for row in Reader(db).outbox_after(0)] == [(a, False), (b, True), (c, False)]
    assert Reader(db).waiting() == 2
    apply(db, fx.SaveAnswer(a, TALK, 1, 100, 0))
    assert [row[2] for row in Reader(db).outbox_after(0)] == [c]
    (saved,) = Reader(db).load().conversations
    assert (saved.stream, saved.base) == (1, 3)
    apply(db, fx.SaveStream(TALK, 6))
    (saved,) = Reader(db).load().conversations
    assert (saved.stream, saved.base) == (6, 1)


def test_changes_after_a_number_are_all_that_happened_since() -> None:
    db = new_profile(ME, 1)
    (sent,) = enqueue(db, "a")
    apply(db, message(1), fx.SaveRead(TALK, 1))
    after = Reader(db).position()
    apply(db, fx.SaveAnswer(sent, TALK, 4, 100, 0), message(2), fx.SaveRead(TALK, 2), fx.SaveRead(TALK, 1))
    found = Reader(db).changes(after)
    assert [(type(row), row.changed) for row in found] == [
        (HistoryRow, after + 1),
        (HistoryRow, after + 2),
        (ReadRow, after + 3),
    ]
    assert Reader(db).changes(after, limit=1)[0].changed == after + 1


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 100])
@pytest.mark.parametrize("taken", [1, 2, 3, 100])
def test_a_copy_from_another_device_is_met_once_and_in_order_however_the_reader_stops(limit: int, taken: int) -> None:
    """Receipts change copies before a slow reader has come to them; it stops after `taken` events and begins anew."""
    db = new_profile(ME, 1)
    copies = [message(seq, own=True, sender=ME, peer_seq=seq) for seq in range(1, 7)]
    apply(db, *copies[:4], message(20), fx.SaveReceipt(TALK, 1, 0))
    apply(db, fx.SaveReceipt(TALK, 3, 2), *copies[4:], fx.SaveReceipt(TALK, 5, 5))
    met: list[Event] = []
    after = 0
    while rows := Reader(db).changes(after, limit):
        page = [event for row in rows if (event := to_event(row, after, ME)) is not None][:taken]
        met += page
        after = page[-1].n  # type: ignore[union-attr]  # all of these have one
    shown = [event.seq for event in met if isinstance(event, OwnCopy)]
    assert shown == [1, 2, 3, 4, 5, 6]
    last = {event.seq: event.state for event in met if isinstance(event, OwnCopy | StateChange)}
    assert last == {1: "read", 2: "read", 3: "read", 4: "read", 5: "read", 6: "accepted"}


def test_what_is_committed_while_changes_are_read_is_not_passed_over(tmp_path: Path) -> None:
    """Rows and read positions are two queries; the writer is another connection and does not wait."""
    writing, reading = schema.connect(tmp_path, create=True), schema.connect(tmp_path)
    Writer(writing).transact([lambda writer: writer.set_meta(user=ME, device=1)])
    apply(writing, message(1))
    late = [lambda: apply(writing, message(2), fx.SaveRead(TALK, 2))]

    def between(statement: str) -> None:
        if "FROM conversations" in statement and late:
            late.pop()()

    reading.set_trace_callback(between)
    seen: list[int] = []
    after = 0
    while rows := Reader(reading).changes(after):
        seen += [row.seq for row in rows if isinstance(row, HistoryRow)]
        after = rows[-1].place(after)
    assert not late
    assert seen == [1, 2]


def test_the_outbox_has_a_limit_and_takes_all_or_nothing() -> None:
    db = new_profile(ME, 1)
    payloads: list[tuple[bytes, str | None]] = [(b"x", "x")] * 3
    first, second = Writer(db).transact([lambda writer: writer.enqueue(TALK, payloads, 7, 5)] * 2)
    assert len(first) == 3
    assert isinstance(second, OutboxFull)
    assert Reader(db).waiting() == 3


def test_the_screen_is_sorted_as_at_the_other_end_and_ends_with_what_waits() -> None:
    db = new_profile(ME, 1)
    enqueue(db, "waits")
    apply(db, message(5), message(3), message(4, own=True, sender=ME, peer_seq=9))
    assert [row.seq for row in Reader(db).screen(TALK, 10)] == [3, 9, 5, 0]
    assert [row.seq for row in Reader(db).screen(TALK, 2)] == [5, 0]


def test_a_newer_foreign_or_damaged_profile_is_refused(tmp_path: Path) -> None:
    db = schema.connect(tmp_path / "p", create=True)
    db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    db.close()
    with pytest.raises(ProfileError, match="newer version"):
        schema.connect(tmp_path / "p")
    with pytest.raises(ProfileError, match="log in first"):
        schema.connect(tmp_path / "nothing")
    (tmp_path / "q").mkdir()
    (tmp_path / "q" / schema.FILE).write_bytes(b"not a database" * 100)
    with pytest.raises(ProfileError, match="damaged"):
        schema.connect(tmp_path / "q")
    other = sqlite3.connect(tmp_path / "q" / "other")
    other.execute("PRAGMA user_version = 1")
    other.close()
    (tmp_path / "q" / "other").rename(tmp_path / "q" / schema.FILE)
    with pytest.raises(ProfileError, match="not an Iris profile"):
        schema.connect(tmp_path / "q")


def test_a_commit_is_synced_to_the_disk(tmp_path: Path) -> None:
    db = schema.connect(tmp_path, create=True)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    one, two = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.try_acquire()
    assert not two.try_acquire()
    one.release()
    assert two.try_acquire()
    two.release()


@given(st.binary(min_size=16, max_size=16))
def test_user_ids_have_one_text(user: bytes) -> None:
    text = ids.user_text(user)
    assert ids.user_from_text(text.upper()) == user
    assert ids.is_user_text(text)


@pytest.mark.parametrize("text", ["", "ada", "z" * 26, "0" * 25, "0" * 25 + "u", "@bob"])
def test_what_is_no_user_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        ids.user_from_text(text)
