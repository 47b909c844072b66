"""A line of text being typed on a terminal: keys in, lines out. Pure: knows no terminal.

Ours instead of the terminal's own line, because a line that arrives from elsewhere must be printed above what is being
typed, and because the peer is told that somebody types.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

LINE_LENGTH_MAX = 16_000  # characters; a payload holds 64 KiB
_KEYS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1bO.|\x1b.|[\s\S]")
_UNFINISHED = re.compile(r"\x1b(\[[0-9;?]*|O)?\Z")


@dataclass(frozen=True, slots=True)
class Line:
    """A finished line."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """Ctrl-D on an empty line."""


class LineEditor:
    """What stands on the input line, with the cursor before `text[cursor]`."""

    def __init__(self) -> None:
        self.text = ""
        self.cursor = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._past: list[str] = []
        self._at = 0

    def feed(self, data: bytes) -> list[Line | End]:
        """Take keys as the terminal sends them; returns what they finished."""
        keys = self._rest + self._decoder.decode(data)
        self._rest = ""
        if unfinished := _UNFINISHED.search(keys):
            self._rest, keys = unfinished[0], keys[: unfinished.start()]
        done: list[Line | End] = []
        for key in _KEYS.findall(keys):
            if key in ("\r", "\n"):
                done.append(Line(self._finish()))
            elif key == "\x04" and not self.text:
                done.append(End())
            else:
                self._edit(key)
        return done

    def _finish(self) -> str:
        text = self.text
        if text and self._past[-1:] != [text]:
            self._past = [*self._past[-99:], text]
        self._at = len(self._past)
        self.text, self.cursor = "", 0
        return text

    def _edit(self, key: str) -> None:
        before, behind = self.text[: self.cursor], self.text[self.cursor :]
        match key:
            case "\x7f" | "\x08":
                before = before[:-1]
            case "\x1b[3~":
                behind = behind[1:]
            case "\x15":
                before = ""
            case "\x0b":
                behind = ""
            case "\x17":
                before = re.sub(r"\S+\s*\Z|\s+\Z", "", before)
            case "\x1b[D" | "\x02":
                before, behind = before[:-1], before[-1:] + behind
            case "\x1b[C" | "\x06":
                before, behind = before + behind[:1], behind[1:]
            case "\x1b[H" | "\x01" | "\x1bOH":
                before, behind = "", before + behind
            case "\x1b[F" | "\x05" | "\x1bOF":
                before, behind = before + behind, ""
            case "\x1b[A" | "\x1b[B":
                self._recall(-1 if key == "\x1b[A" else 1)
                return
            case "\t":
                before += " "
            case _ if key.isprintable() and len(self.text) < LINE_LENGTH_MAX:
                before += key
        self.text, self.cursor = before + behind, len(before)

    def _recall(self, step: int) -> None:
        self._at = max(0, min(len(self._past), self._at + step))
        self.text = self._past[self._at] if self._at < len(self._past) else ""
        self.cursor = len(self.text)
