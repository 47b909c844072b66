"""What the chat writes, seen through a small terminal."""

from __future__ import annotations

import re

import pytest

from iris.cli.screen import Screen, clean, width

COLUMNS, ROWS = 30, 8


class Terminal:
    """Understands the few codes that Screen uses."""

    def __init__(self) -> None:
        self.rows = [""]
        self.row = self.column = 0

    def write(self, text: str) -> None:
        for code, number, letter, plain in re.findall(r"(\x1b\[(\d*)([A-Za-z]))|([\s\S])", text):
            if not code:
                self._put(plain)
            elif letter == "A":
                self.row -= int(number)
            elif letter == "B":
                self.row += int(number)
            elif letter == "D":
                self.column -= int(number)
            elif letter == "K":
                self.rows[self.row] = self.rows[self.row][: self.column]

    def _put(self, letter: str) -> None:
        if letter == "\n":
            self._down()
            self.column = 0
        elif letter == "\r":
            self.column = 0
        else:
            if self.column >= COLUMNS:
                self._down()
                self.column = 0
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + letter + row[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        while self.row >= len(self.rows):
            self.rows.append("")


def window(live: bool = True) -> tuple[Screen, Terminal]:
    terminal = Terminal()
    return Screen(terminal.write, live=live, size=lambda: (COLUMNS, ROWS)), terminal


def test_a_tick_changes_where_its_line_stands() -> None:
    screen, terminal = window()
    screen.line("you  hello", tick="queued", key="a")
    screen.line("x" * 40)
    screen.input("> ", "typing", 6)
    screen.update("a", "accepted", "hello")
    screen.update("a", "read", "hello")
    assert terminal.rows == ["✓✓  you  hello", "x" * 30, "x" * 10, "> typing"]
    assert (terminal.row, terminal.column) == (3, 8)


def test_a_line_beyond_the_screen_is_left_alone() -> None:
    screen, terminal = window()
    screen.line("you  hello", tick="queued", key="a")
    for _ in range(ROWS):
        screen.line("more")
    screen.update("a", "read", "hello")
    assert terminal.rows[0] == "·   you  hello"


def test_new_lines_come_above_what_is_being_typed() -> None:
    screen, terminal = window()
    screen.input("@bob > ", "half a sent", 4)
    screen.line("bob  hi")
    assert terminal.rows == ["bob  hi", "@bob > half a sent"]
    assert terminal.column == len("@bob > half")
    screen.end()
    assert terminal.rows[-1] == ""


def test_a_long_input_scrolls_sideways_in_one_row() -> None:
    screen, terminal = window()
    text = "".join(chr(97 + index % 26) for index in range(100))
    screen.input("> ", text, 100)
    assert len(terminal.rows) == 1
    assert terminal.rows[0].endswith(text[-5:])


def test_without_a_terminal_changes_are_lines_and_nothing_is_coloured() -> None:
    screen, terminal = window(live=False)
    screen.line("you  hello", tick="accepted", key="a")
    screen.input("> ", "", 0)
    screen.update("a", "delivered", "hello")
    screen.update("a", "read", "hello")
    assert terminal.rows[:3] == ["✓   you  hello", "✓✓ delivered: hello", "✓✓ read: hello"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain é", "plain é"), ("a\x1b[2Jb\x07", "a·[2Jb·"), ("one\ntwo\tthree", "one ⏎ two three"), ("a\u202eb", "a·b")],
)
def test_the_words_of_others_cannot_move_the_cursor(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_width() -> None:
    assert [width("abc"), width("日本"), width("e\u0301"), width("😀")] == [3, 4, 1, 2]
