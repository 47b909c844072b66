"""What a chat looks like: lines that scroll, ticks that change in place, and the input line below them.

Builds the text to write; a terminal, a pipe and a test take it alike. On a terminal a tick is painted over where its
line stands, as long as that is on screen; elsewhere the change is a line of its own.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Callable

TICKS = {"queued": "·", "accepted": "✓", "delivered": "✓✓", "read": "✓✓", "refused": "✗", "expired": "✗"}
WORDS = {"read": "read", "refused": "refused", "expired": "not delivered in time"}
DIM, GREEN, RED, BOLD, PLAIN = "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[1m", "\x1b[0m"
COLOURS = {"read": GREEN, "refused": RED, "expired": RED}
TICK_WIDTH = 4
LINES_MAX = 500  # newest lines whose place on screen is remembered


def clean(text: str) -> str:
    """Text of others without what would move the cursor, change colours or reorder the line."""
    return "".join(
        letter if letter == " " or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else "·"
        for letter in text.replace("\n", " ⏎ ").replace("\t", " ")
        if letter not in "\u200d\ufe0f"  # joiners of emoji: harmless, and wide enough without them
    )


def width(text: str) -> int:
    """Columns that `text` takes."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


class Screen:
    """The chat window. `write` takes text; `columns` and `rows` are asked for anew each time."""

    def __init__(self, write: Callable[[str], None], *, live: bool, size: Callable[[], tuple[int, int]]) -> None:
        self._write = write
        self._live = live
        self._size = size
        self._placed: deque[tuple[str, int]] = deque(maxlen=LINES_MAX)  # (key, rows), oldest first
        self._input = ("", "", 0)
        self._input_shown = False

    def line(self, text: str, *, tick: str | None = None, key: str = "") -> None:
        """Add a line. `tick` is a message state shown before it; `key` names the line for `update`."""
        mark = self._tick(tick) if tick is not None else " " * TICK_WIDTH if key else ""
        self._erase_input()
        self._write(f"{mark}{text}\n")
        columns, _ = self._size()
        plain = (TICK_WIDTH if mark else 0) + width(_without_colours(text))
        self._placed.append((key, max(1, -(-plain // columns))))
        self._show_input()

    def update(self, key: str, state: str, text: str) -> None:
        """Change the tick of the line named `key`; `text` names the message where the line cannot be reached."""
        above = 0
        _, rows = self._size()
        for placed, height in reversed(self._placed):
            above += height
            if placed == key and self._live and above < rows - 1:
                self._erase_input()
                word = f"\x1b[{above}A\r{self._tick(state)}\x1b[{above}B\r"
                self._write(word)
                self._show_input()
                return
        if not self._live:
            self.line(f"{TICKS[state]} {WORDS.get(state, state)}: {text}")

    def input(self, prompt: str, text: str, cursor: int) -> None:
        """Show what is being typed."""
        if self._live:
            self._erase_input()
            self._input = (prompt, text, cursor)
            self._show_input()

    def end(self) -> None:
        """Leave the terminal tidy."""
        self._erase_input()

    def colour(self, code: str, text: str) -> str:
        """`text` in a colour, on terminals."""
        return f"{code}{text}{PLAIN}" if self._live and text else text

    def _tick(self, state: str) -> str:
        mark = TICKS[state]
        if not self._live:
            return mark + " " * (TICK_WIDTH - len(mark))
        return f"{COLOURS.get(state, DIM)}{mark}{PLAIN}" + " " * (TICK_WIDTH - len(mark))

    def _erase_input(self) -> None:
        if self._input_shown:
            self._write("\r\x1b[K")
            self._input_shown = False

    def _show_input(self) -> None:
        if not self._live:
            return
        prompt, text, cursor = self._input
        room = max(8, self._size()[0] - width(prompt) - 1)  # one row: what does not fit scrolls sideways
        start = 0
        while width(text[start:cursor]) >= room:
            start += 1
        shown = ""
        for letter in text[start:]:
            if width(shown + letter) > room - 1:
                break
            shown += letter
        back = width(shown[max(0, cursor - start) :])
        self._write(f"{BOLD}{prompt}{PLAIN}{shown}" + (f"\x1b[{back}D" if back else ""))
        self._input_shown = True


def _without_colours(text: str) -> str:
    for code in (DIM, GREEN, RED, BOLD, PLAIN):
        text = text.replace(code, "")
    return text
