"""The sample text of `make run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from iris.cli.sample import Leave, Return, Say, parse

HELLO = Path(__file__).parents[3] / "examples" / "hello.txt"


def test_the_text_that_comes_with_iris() -> None:
    steps = parse(HELLO.read_text(encoding="utf-8"))
    assert {step.who for step in steps} == {"ada", "bob"}
    assert {type(step) for step in steps} == {Say, Leave, Return}
    away = steps.index(Leave("bob"))
    assert any(isinstance(step, Say) and step.who == "ada" for step in steps[away : steps.index(Return("bob"))])


def test_lines_become_steps() -> None:
    assert parse("# a comment\n\n Ada: Hi: there \n(bob leaves)\nada: x\n(Bob returns)\nbob: y") == [
        Say("ada", "Hi: there"),
        Leave("bob"),
        Say("ada", "x"),
        Return("bob"),
        Say("bob", "y"),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it takes two"),
        ("ada: hi", "it takes two"),
        ("ada: hi\nwhat?", r"line 2: write NAME: TEXT"),
        ("ada:", r"line 1: write NAME: TEXT"),
        ("ada: hi\nbob: hi\ncarol: hi", "line 3: only two can talk"),
        ("ada: hi\n(bob leaves)\nbob: hi", "line 3: bob is away"),
        ("ada: hi\n(bob leaves)\n(bob leaves)", "line 3: bob is away already"),
        ("ada: hi\n(bob returns)", "line 2: bob is not away"),
        ("ada: hi\n" * 501, "line 501: more than 500"),
    ],
)
def test_what_cannot_be_played(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(text)
