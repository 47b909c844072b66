"""The input line of the chat: keys as terminals send them."""

from __future__ import annotations

import pytest

from iris.cli.editor import LINE_LENGTH_MAX, End, Line, LineEditor


@pytest.mark.parametrize(
    ("keys", "text", "cursor"),
    [
        (b"abc", "abc", 3),
        (b"abc\x7f\x7f", "a", 1),
        (b"\x7f", "", 0),
        (b"abc\x1b[D\x1b[DX", "aXbc", 2),
        (b"abc\x01X\x05Y", "XabcY", 5),
        (b"one two\x17", "one ", 4),
        (b"one two\x15", "", 0),
        (b"abc\x1b[D\x0b", "ab", 2),
        (b"abc\x1b[H\x1b[3~", "bc", 0),
        (b"a\tb", "a b", 3),
        (b"a\x1b[99;5~b\x00\x1bOPc", "abc", 3),
        ("héß😀".encode(), "héß😀", 4),
        (b"a\xffb", "a�b", 3),
    ],
)
def test_editing(keys: bytes, text: str, cursor: int) -> None:
    editor = LineEditor()
    assert editor.feed(keys) == []
    assert (editor.text, editor.cursor) == (text, cursor)


def test_keys_may_come_in_pieces() -> None:
    whole, pieces = LineEditor(), LineEditor()
    keys = "aé😀\x1b[D\x1b[3~\x1bOHx".encode()
    whole.feed(keys)
    for key in keys:
        pieces.feed(bytes([key]))
    assert (whole.text, whole.cursor) == (pieces.text, pieces.cursor) == ("xaé", 1)


def test_lines_end_and_history() -> None:
    editor = LineEditor()
    assert editor.feed(b"one\rtwo\nthree") == [Line("one"), Line("two")]
    assert editor.text == "three"
    assert editor.feed(b"\x15\x1b[A\x1b[A") == []
    assert editor.text == "one"
    assert editor.feed(b"\x1b[B") == []
    assert editor.text == "two"
    assert editor.feed(b"\x04") == []
    assert editor.feed(b"\x15\x04") == [End()]


def test_a_line_is_bounded() -> None:
    editor = LineEditor()
    editor.feed(b"x" * (LINE_LENGTH_MAX + 10))
    assert len(editor.text) == LINE_LENGTH_MAX
