"""What is shown of a profile: pages, what hangs on a message, what is unread; and profiles of older versions."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from iris_sdk import Acted, Delete, Edit, Message, Reaction, Ref, Text, ids, schema
from iris_sdk.content import Action, encode
from iris_sdk.convert import to_event
from iris_sdk.core import effects as fx
from iris_sdk.core.conversation import Reacted, Shown
from iris_sdk.ids import user_text
from iris_sdk.screen import Screen
from iris_sdk.store import Reader, Writer
from tests.support.sdk_world import new_profile

ME, BOB, CYN = b"A" * 16, b"B" * 16, b"C" * 16
TALK, OTHER = ids.direct_conversation(ME, BOB), ids.direct_conversation(ME, CYN)


def message_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def ref(sender: bytes, number: int) -> Ref:
    return Ref(user_text(sender), message_id(number).hex())


def got(number: int, content: Text | Action | bytes, sender: bytes = BOB, talk: bytes = TALK) -> fx.SaveMessage:
    payload = content if isinstance(content, bytes) else encode(content)
    own = sender == ME
    return fx.SaveMessage(own, talk, sender, 9, message_id(number), number, number, number * 10, payload, 1, 0)


def apply(db: sqlite3.Connection, *writes: fx.Write) -> None:
    (result,) = Writer(db).transact([lambda writer: writer.apply(writes)])
    assert result is None, result


def put(db: sqlite3.Connection, *contents: Text | Action) -> list[Ref]:
    payloads = [(encode(content), content.body if isinstance(content, Text) else None) for content in contents]
    (made,) = Writer(db).transact([lambda writer: writer.enqueue(TALK, payloads, 5, 100)])
    return [Ref(user_text(ME), one.hex()) for one, _ in made]


def bodies(shown: list[Shown]) -> list[str]:
    return [one.body for one in shown]


def test_pages_lead_from_the_newest_to_the_first_and_hold_no_actions() -> None:
    db = new_profile(ME, 1)
    for number in range(1, 8):
        apply(db, got(2 * number, Text(str(number))), got(2 * number + 1, Reaction(ref(BOB, 2 * number), "👍")))
    waiting = put(db, Text("8"), Reaction(ref(BOB, 2), "❤️"), Text("9"))
    screen = Screen(db)
    first = screen.page(TALK, 3)
    second = screen.page(TALK, 3, first[0].ref)
    third = screen.page(TALK, 9, second[0].ref)
    assert [bodies(page) for page in (first, second, third)] == [["7", "8", "9"], ["4", "5", "6"], ["1", "2", "3"]]
    assert bodies(screen.page(TALK, 9, waiting[2])) == [str(number) for number in range(1, 9)]
    assert screen.page(TALK, 9, third[0].ref) == []
    assert third[0].reactions == (Reacted("👍", (user_text(BOB),)), Reacted("❤️", (user_text(ME),)))


def test_what_comes_before_its_message_waits_for_it() -> None:
    db = new_profile(ME, 1)
    apply(db, got(1, Edit(ref(BOB, 3), "hello")), got(2, Reaction(ref(BOB, 3), "👍")), got(3, Text("helo")))
    (shown,) = Screen(db).page(TALK, 9)
    assert (shown.body, shown.edited_at, len(shown.reactions)) == ("hello", 10, 1)


def test_the_newest_edit_of_many_counts_and_what_was_refused_does_not() -> None:
    db = new_profile(ME, 1)
    (mine,) = put(db, Text("0"))
    edits = put(db, *(Edit(mine, str(number)) for number in range(1, 5)))
    assert bodies(Screen(db).page(TALK, 9)) == ["4"]
    answer = fx.SaveAnswer(bytes.fromhex(edits[3].message_id), TALK, 0, 0, 1101)
    apply(db, answer)
    assert bodies(Screen(db).page(TALK, 9)) == ["3"]
    put(db, Delete(mine))
    found = Screen(db).one(mine)
    assert found is not None
    assert (found.kind, found.body) == ("deleted", "")


def test_an_action_counts_only_in_its_own_conversation_and_an_edit_only_by_the_author() -> None:
    db = new_profile(ME, 1)
    apply(
        db,
        got(1, Text("hello")),
        got(2, Reaction(ref(BOB, 1), "💣"), CYN, OTHER),
        got(3, Delete(ref(BOB, 1)), talk=OTHER),
        got(4, Edit(ref(BOB, 1), "bye"), ME),
    )
    (shown,) = Screen(db).page(TALK, 9)
    assert (shown.kind, shown.body, shown.reactions) == ("text", "hello", ())


def test_actions_and_hidden_messages_are_not_unread_and_what_cannot_be_read_is() -> None:
    db = new_profile(ME, 1)
    apply(db, got(1, Text("one")), got(2, Text("two")), got(3, b"\xff"), got(4, Reaction(ref(BOB, 1), "👍")))
    screen = Screen(db)
    assert screen.conversations() == [(TALK, 40, 3)]
    Writer(db).transact([lambda writer: writer.hide(BOB, message_id(2))])
    assert screen.conversations() == [(TALK, 40, 2)]
    assert [one.kind for one in screen.page(TALK, 9)] == ["text", "unknown"]
    assert screen.one(ref(BOB, 2)) is None
    assert screen.one(ref(BOB, 4)) is None  # no message
    assert screen.one(ref(BOB, 99)) is None
    assert Reader(db).newest_seq(TALK) == 4  # reading a conversation reads its actions too


def test_events_tell_messages_from_actions() -> None:
    db = new_profile(ME, 1)
    reaction, answer = Reaction(ref(BOB, 1), "👍"), Text("yes", reply_to=ref(BOB, 1))
    apply(db, got(1, Text("one")), got(2, reaction), got(3, answer), got(4, Edit(ref(ME, 9), "x"), ME))
    events = [to_event(row, 0, ME) for row in Reader(db).changes(0)]
    assert isinstance(events[1], Acted)
    assert (events[1].action, events[1].sender) == (reaction, user_text(BOB))
    assert isinstance(events[2], Message)
    assert (events[2].text, events[2].content) == ("yes", answer)
    assert isinstance(events[3], Acted)
    assert events[3].sender == user_text(ME)


def test_an_older_profile_kept_the_bytes_of_what_it_could_not_read(tmp_path: Path) -> None:
    db = schema.connect(tmp_path, create=True)
    new = Writer(db)
    new.transact([lambda writer: writer.set_meta(user=ME, device=1, handle="ada", server="http://localhost:1")])
    apply(db, got(1, Text("helo")), got(2, Edit(ref(BOB, 1), "hello")), got(3, Reaction(ref(BOB, 1), "👍")))
    for table in ("actions", "hidden"):
        db.execute(f"DROP TABLE {table}")
    db.execute("DROP INDEX history_queued")
    db.execute("ALTER TABLE history DROP COLUMN wiped")
    db.execute("PRAGMA user_version = 2")
    db.close()
    (shown,) = Screen(schema.connect(tmp_path)).page(TALK, 9)
    assert (shown.body, shown.reactions[0].emoji) == ("hello", "👍")
