"""Naming people in a text of the terminal's chat."""

from __future__ import annotations

import pytest

from iris.cli.mentions import complete, find, pieces
from iris_sdk import Mention

USERS = {"bob": "b", "carl.s": "c"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("hi @bob", ["@bob"]),
        ("@Bob, (@carl.s): @bob.", ["@Bob", "@carl.s", "@bob"]),
        ("👍 @bob", ["@bob"]),
        ("@bobby a@bob @@bob @bob@x @nobody bob", []),
    ],
)
def test_those_are_named_who_are_known(text: str, named: list[str]) -> None:
    assert [text[one.start : one.start + one.length] for one in find(text, USERS)] == named


def test_a_mention_says_whom_it_means() -> None:
    assert find("hi @bob", USERS) == [Mention("b", 3, 4)]


@pytest.mark.parametrize(
    ("text", "whole"),
    [("hi @b", "hi @bob"), ("@", "@bob"), ("@C", "@Carl.s"), ("@bob", None), ("@x", None), ("a@b", None), ("b", None)],
)
def test_a_handle_that_is_begun_is_completed(text: str, whole: str | None) -> None:
    assert complete(text, USERS) == whole


def test_pieces_are_the_whole_text() -> None:
    body = "hi @bob and @bob"
    made = list(pieces(body, find(body, USERS)))
    assert made == [("hi ", ""), ("@bob", "b"), (" and ", ""), ("@bob", "b")]
    assert list(pieces("", [])) == []
