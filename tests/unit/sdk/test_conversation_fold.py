"""The fold passes every content scenario, in whatever order the rows come."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest

from iris_sdk.content import Content, Delete, Edit, Mention, Reaction, Ref, Text, Unknown
from iris_sdk.core.conversation import Fold, Reacted, Shown, Written
from tests.unit.sdk.test_content import FOLDER

STORIES: list[dict[str, Any]] = [
    {**story, "name": f"{path.stem}: {story['name']}"}
    for path in sorted(FOLDER.glob("*.json"))
    if path.stem != "encoding"
    for story in json.loads(path.read_text(encoding="utf-8"))
]


def mentions_of(given: dict[str, Any]) -> tuple[Mention, ...]:
    return tuple(itertools.starmap(Mention, given.get("mentions", [])))


def reply_of(given: dict[str, Any]) -> Ref | None:
    return Ref(*given["reply_to"]) if "reply_to" in given else None


def content_of(said: dict[str, Any]) -> Content:
    ((kind, given),) = said.items()
    match kind:
        case "text":
            return Text(given["body"], reply_of(given), given.get("forwarded", False), mentions_of(given))
        case "reaction":
            return Reaction(Ref(*given["target"]), given["emoji"])
        case "edit":
            return Edit(Ref(*given["target"]), given["body"], mentions_of(given))
        case "delete":
            return Delete(Ref(*given["target"]))
    assert kind == "unknown"
    return Unknown(b"", 0, 0)


def row_of(given: dict[str, Any]) -> Written:
    content = content_of(given["content"])
    return Written(
        given["sender"], given["message_id"], given["at"], content, given.get("state", ""), given.get("n", 0)
    )


def shown_of(given: dict[str, Any]) -> Shown:
    named = {**given, "mentions": mentions_of(given), "reply_to": reply_of(given)}
    named["reactions"] = tuple(Reacted(emoji, tuple(users)) for emoji, users in given.get("reactions", []))
    return Shown(**named)


def shown(story: dict[str, Any], rows: Iterable[Written]) -> list[Shown]:
    return Fold(rows, [Ref(*ref) for ref in story["hidden"]]).shown()


@pytest.mark.parametrize("story", STORIES, ids=[story["name"] for story in STORIES])
def test_story(story: dict[str, Any]) -> None:
    rows, expected = [row_of(row) for row in story["rows"]], [shown_of(one) for one in story["shown"]]
    assert shown(story, rows) == expected
    assert shown(story, reversed(rows)) == expected
    assert shown(story, rows + rows) == expected
    for order in itertools.islice(itertools.permutations(rows), 200):
        assert shown(story, order) == expected


def test_a_row_with_a_newer_state_takes_the_place_of_the_older() -> None:
    text = Written("ada", "m1", 10, Text("helo"), "queued")
    edit = Written("ada", "m2", 99, Edit(text.ref, "hello"), "queued")
    fold = Fold([text, edit])
    assert fold.shown()[0].body == "hello"
    fold.add(Written("ada", "m1", 12, Text("helo"), "read"))
    fold.add(Written("ada", "m2", 20, Edit(text.ref, "hello"), "refused"))
    assert fold.shown() == [Shown("ada", "m1", 12, "text", "helo", state="read")]


def test_what_an_answer_answers_is_found_as_it_is_shown() -> None:
    first = Written("ada", "m1", 10, Text("a secret"))
    fold = Fold([first, Written("ada", "m2", 20, Delete(first.ref))])
    found = fold.one(first.ref)
    assert found is not None
    assert (found.kind, found.body) == ("deleted", "")
    fold.hide(first.ref)
    assert fold.one(first.ref) is None
    assert fold.one(Ref("bob", "m1")) is None
    assert fold.shown() == []
