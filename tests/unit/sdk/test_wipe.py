"""Deleted words leave the database, and the file: not only the screen."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from iris_sdk import Delete, Deleted, Edit, Message, Reaction, Ref, Text, ids, schema
from iris_sdk.content import Action, encode
from iris_sdk.convert import to_event, to_row
from iris_sdk.core import effects as fx
from iris_sdk.ids import user_text
from iris_sdk.screen import Screen
from iris_sdk.store import Reader, Writer
from tests.support.sdk_world import new_profile

ME, BOB = b"A" * 16, b"B" * 16
TALK = ids.direct_conversation(ME, BOB)
SECRET = "the key is under the mat"


def message_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def ref(sender: bytes, number: int) -> Ref:
    return Ref(user_text(sender), message_id(number).hex())


def got(number: int, content: Text | Action, sender: bytes = BOB) -> fx.SaveMessage:
    own = sender == ME
    return fx.SaveMessage(own, TALK, sender, 9, message_id(number), number, number, number * 10, encode(content), 1, 0)


def apply(db: sqlite3.Connection, *writes: fx.Write) -> None:
    (result,) = Writer(db).transact([lambda writer: writer.apply(writes)])
    assert result is None, result


def put(db: sqlite3.Connection, content: Text | Action) -> Ref:
    body = content.body if isinstance(content, Text) else None
    (made,) = Writer(db).transact([lambda writer: writer.enqueue(TALK, [(encode(content), body)], 5, 100)])
    return Ref(user_text(ME), made[0][0].hex())


def accept(db: sqlite3.Connection, message: Ref, seq: int, code: int = 0) -> None:
    apply(db, fx.SaveAnswer(bytes.fromhex(message.message_id), TALK, 0 if code else seq, 0 if code else seq, code))


def hide(db: sqlite3.Connection, sender: bytes, number: bytes) -> None:
    Writer(db).transact([lambda writer: writer.hide(sender, number)])


def kept(db: sqlite3.Connection) -> str:
    """Everything that was said and is still in the table."""
    found = db.execute("SELECT payload, text FROM history").fetchall()
    return " ".join(payload.decode("utf-8", "replace") + (text or "") for payload, text in found)


def kinds(db: sqlite3.Connection) -> list[str]:
    return [one.kind for one in Screen(db).page(TALK, 100)]


def test_the_others_deletion_takes_the_words_and_their_edits_and_leaves_the_row() -> None:
    db = new_profile(ME, 1)
    apply(db, got(1, Text(SECRET)), got(2, Edit(ref(BOB, 1), SECRET + " again")), got(3, Text("hello")))
    before = Reader(db).row(BOB, message_id(1))
    apply(db, got(4, Delete(ref(BOB, 1))))
    assert "key" not in kept(db)
    assert before is not None
    assert Reader(db).row(BOB, message_id(1)) == before._replace(payload=b"", text=None, wiped=1)
    assert kinds(db) == ["deleted", "text"]
    assert Screen(db).conversations() == [(TALK, 40, 2)]
    apply(db, got(1, Text(SECRET)), got(2, Edit(ref(BOB, 1), SECRET)))  # a repeat is none
    assert "key" not in kept(db)
    assert kinds(db) == ["deleted", "text"]


def test_in_whatever_order_it_comes() -> None:
    db = new_profile(ME, 1)
    for write in (
        got(4, Delete(ref(BOB, 1))),
        got(2, Edit(ref(BOB, 1), SECRET)),
        got(1, Text(SECRET)),
        got(3, Edit(ref(BOB, 1), SECRET)),
    ):
        apply(db, write)
    assert "key" not in kept(db)
    assert kinds(db) == ["deleted"]


def test_my_deletion_takes_them_when_the_server_has_it_not_while_it_may_be_refused() -> None:
    db = new_profile(ME, 1)
    secret = put(db, Text(SECRET))
    accept(db, secret, 1)
    refused = put(db, Delete(secret))
    assert kinds(db) == ["deleted"]
    accept(db, refused, 0, 1101)
    assert kinds(db) == ["text"]
    accept(db, put(db, Delete(secret)), 2)
    assert "key" not in kept(db)
    apply(db, fx.SaveReceipt(TALK, 1, 0))
    row = Reader(db).row(ME, bytes.fromhex(secret.message_id))
    assert row is not None
    assert row.state == "delivered"
    apply(db, fx.Expire(1000))  # the deletion reached nobody, but its words are gone
    assert kinds(db) == ["deleted"]


def test_what_waits_keeps_its_words_until_it_was_sent() -> None:
    db = new_profile(ME, 1)
    secret = put(db, Text(SECRET))
    better, gone = put(db, Edit(secret, SECRET + "!")), put(db, Delete(secret))
    hidden = put(db, Text("hidden " + SECRET))
    hide(db, ME, bytes.fromhex(hidden.message_id))
    accept(db, secret, 1)
    for waiting in (better, hidden):
        payload = Reader(db).payload(ME, bytes.fromhex(waiting.message_id))
        assert payload is not None
        assert SECRET.encode() in payload[0]
    for seq, one in enumerate((gone, better, hidden), 2):
        accept(db, one, seq)
    assert "key" not in kept(db)


def test_a_deletion_from_another_device_of_mine() -> None:
    db = new_profile(ME, 1)
    apply(db, got(1, Text(SECRET), ME), got(2, Delete(ref(ME, 1)), ME))
    assert "key" not in kept(db)
    assert kinds(db) == ["deleted"]


def test_nobody_else_deletes_and_a_reaction_does_not() -> None:
    db = new_profile(ME, 1)
    mine = put(db, Text(SECRET))
    accept(db, mine, 1)
    apply(db, got(2, Delete(mine)), got(3, Edit(mine, "no")), got(4, Reaction(mine, "👍")))
    assert SECRET in kept(db)
    assert kinds(db) == ["text"]


def test_deleted_for_me_takes_the_words_and_edits_that_come_later() -> None:
    db = new_profile(ME, 1)
    apply(db, got(1, Text(SECRET)), got(2, Edit(ref(BOB, 1), SECRET)))
    hide(db, BOB, message_id(1))
    apply(db, got(3, Edit(ref(BOB, 1), SECRET)), got(1, Text(SECRET)))
    assert "key" not in kept(db)
    assert kinds(db) == []
    assert len(Reader(db).history(TALK, 0, 100)) == 3


def test_a_slow_reader_of_events_is_told_that_it_was_deleted() -> None:
    db = new_profile(ME, 1)
    apply(db, got(1, Text(SECRET)), got(2, Delete(ref(BOB, 1))))
    event = to_event(Reader(db).changes(0)[0], 0, ME)
    assert isinstance(event, Message)
    assert (event.text, event.payload, event.content) == (None, b"", Deleted())
    assert to_row(Reader(db).history(TALK, 0, 1)[0], ME).content == Deleted()


def test_the_words_leave_the_file_too(tmp_path: Path) -> None:
    db = schema.connect(tmp_path, create=True)
    Writer(db).transact([lambda writer: writer.set_meta(user=ME, device=1)])
    apply(db, got(1, Text(SECRET)), got(2, Text("hello")), got(3, Delete(ref(BOB, 1))))
    db.close()
    assert [path.name for path in tmp_path.iterdir()] == [schema.FILE]
    left = (tmp_path / schema.FILE).read_bytes()
    assert b"hello" in left
    assert b"under the mat" not in left


def test_words_that_an_older_version_kept_go_when_its_profile_is_opened(tmp_path: Path) -> None:
    db = schema.connect(tmp_path, create=True)
    Writer(db).transact([lambda writer: writer.set_meta(user=ME, device=1)])
    apply(db, got(1, Text(SECRET)), got(2, Text(SECRET)), got(3, Text("kept")), got(4, Delete(ref(BOB, 1))))
    hide(db, BOB, message_id(2))
    db.execute("UPDATE history SET payload = ?, text = ? WHERE seq < 3", (encode(Text(SECRET)), SECRET))
    db.execute("ALTER TABLE history DROP COLUMN wiped")
    db.execute("PRAGMA user_version = 3")
    db.close()
    db = schema.connect(tmp_path)
    assert "key" not in kept(db)
    assert "kept" in kept(db)
    assert kinds(db) == ["deleted", "text"]
    db.close()
    assert b"under the mat" not in (tmp_path / schema.FILE).read_bytes()
