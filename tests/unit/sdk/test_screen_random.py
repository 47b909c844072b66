"""Whatever is said in whatever order: a page of the profile is what the fold makes of all rows. No bytes break it."""

from __future__ import annotations

import sqlite3
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from iris_sdk import ids
from iris_sdk.content import (
    ALGORITHM,
    CONTENT_TYPE,
    Action,
    Delete,
    Deleted,
    Edit,
    Mention,
    Reaction,
    Ref,
    Text,
    Unknown,
    decode,
    encode,
)
from iris_sdk.core import effects as fx
from iris_sdk.core.conversation import Fold, Shown, Written
from iris_sdk.ids import user_from_text, user_text
from iris_sdk.screen import Screen
from iris_sdk.store import Writer
from tests.support.sdk_world import new_profile

ME, BOB = b"A" * 16, b"B" * 16
TALK = ids.direct_conversation(ME, BOB)
NUMBERS = st.integers(1, 6)  # few, so that actions meet their targets
PEOPLE = st.sampled_from([ME, BOB])
REFS = st.builds(lambda who, number: Ref(user_text(who), number.to_bytes(16, "big").hex()), PEOPLE, NUMBERS)
CONTENTS: st.SearchStrategy[Text | Action] = st.one_of(
    st.builds(Text, st.text(max_size=5), st.none() | REFS, st.booleans()),
    st.builds(Reaction, REFS, st.sampled_from(["", "👍", "❤️"])),
    st.builds(Edit, REFS, st.text(max_size=5)),
    st.builds(Delete, REFS),
)
Row = tuple[bytes, int, int, Text | Action, str]
# (who, number, at, content, what becomes of it: own messages may wait, be refused or accepted)
ROWS = st.lists(
    st.tuples(PEOPLE, NUMBERS, st.integers(1, 9), CONTENTS, st.sampled_from(["queued", "refused", "accepted"])),
    max_size=12,
    unique_by=lambda row: row[:2],
)


def stored(db: sqlite3.Connection, rows: list[Row]) -> list[Written]:
    """Put the rows into a profile as they would come; what a fold of all of them is given."""
    names = iter(row[1].to_bytes(16, "big") for row in rows if row[0] == ME)
    writer = Writer(db, new_id=lambda: next(names))
    written: list[Written] = []
    answers: list[fx.Write] = []
    for n, (who, number, at, content, fate) in enumerate(rows, 1):
        message_id, payload = number.to_bytes(16, "big"), encode(content)
        if who == BOB:
            got = fx.SaveMessage(False, TALK, BOB, 1, message_id, n, 0, at, payload, CONTENT_TYPE, ALGORITHM)
            writer.transact([partial(Writer.apply, writes=[got])])
            written.append(Written(user_text(who), message_id.hex(), at, content))
            continue
        messages = [(payload, content.body if isinstance(content, Text) else None)]
        put = partial(Writer.enqueue, conversation=TALK, messages=messages, now=at, outbox_max=99)
        (made,) = writer.transact([put])
        if fate != "queued":
            code = 1101 if fate == "refused" else 0
            answers.append(fx.SaveAnswer(message_id, TALK, 0 if code else n, at, code))
        written.append(Written(user_text(who), message_id.hex(), at, content, fate, made[0][1]))
    writer.transact([partial(Writer.apply, writes=answers)])
    return written


@given(ROWS, st.lists(REFS, max_size=2))
@settings(max_examples=150, deadline=None)
def test_a_page_is_what_the_fold_makes_of_all_rows(rows: list[Row], hidden: list[Ref]) -> None:
    db = new_profile(ME, 1)
    written = stored(db, rows)
    for ref in hidden:
        target = user_from_text(ref.sender), bytes.fromhex(ref.message_id)
        Writer(db).transact([partial(Writer.hide, sender=target[0], message_id=target[1])])
    expected = Fold(written, hidden).shown()
    screen = Screen(db)
    assert screen.page(TALK, 99) == expected
    pages: list[Shown] = []
    before: Ref | None = None
    while page := screen.page(TALK, 2, before):
        pages[:0] = page
        before = page[0].ref
    assert pages == expected
    assert [screen.one(one.ref) for one in expected] == expected


@given(st.binary(max_size=200), st.integers(0, 3), st.integers(0, 2))
def test_no_bytes_break_it(payload: bytes, content_type: int, alg: int) -> None:
    content = decode(payload, content_type, alg)
    if not isinstance(content, Unknown | Deleted):
        assert decode(encode(content), CONTENT_TYPE, ALGORITHM) == content


@given(st.text(max_size=20), st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), max_size=5))
def test_mentions_that_can_be_sent_come_back(body: str, spans: list[tuple[int, int]]) -> None:
    mentions = tuple(Mention(user_text(BOB), start, length) for start, length in spans)
    try:
        payload = encode(Text(body, mentions=mentions))
    except ValueError:
        return
    found = decode(payload, CONTENT_TYPE, ALGORITHM)
    assert isinstance(found, Text)
    assert sorted(found.mentions, key=lambda one: one.start) == sorted(mentions, key=lambda one: one.start)
