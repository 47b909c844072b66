"""What has happened: the newest events in a ring, for people to read, and a number to tell two runs apart by.

An event is kept as it came and becomes text only when it is read, so that tracing costs little. The digest covers the
time, kind and place of each event of a run, not only of those that are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

KEPT: Final = 20_000
_MASK = (1 << 64) - 1

Entry = tuple[int, str, bytes, tuple[Any, ...]]  # (µs, what, whom it concerns or b"", details)


class Trace:
    """Events, newest last."""

    def __init__(self, *, full: bool = False) -> None:
        self._entries: deque[Entry] = deque(maxlen=None if full else KEPT)
        self._sum = 0

    def note(self, now: int, number: int, what: str, whom: bytes, *details: Any) -> None:
        """number: an int that depends on what happens, for the digest."""
        self._sum = hash((self._sum, now, number))  # of ints: the same in every process
        self._entries.append((now, what, whom, details))

    def digest(self) -> str:
        """Equal for equal runs."""
        return f"{self._sum & _MASK:016x}"

    def tail(self, users: Sequence[bytes] = (), most: int = 60, names: Callable[[bytes], str] = bytes.hex) -> list[str]:
        """The newest events that concern one of `users`, and those that concern everybody; all without `users`."""
        wanted = set(users)
        found: list[str] = []
        for now, what, whom, details in reversed(self._entries):
            if not wanted or not whom or whom in wanted:
                found.append(_line(now, what, whom, details, names))
                if len(found) == most:
                    break
        return found[::-1]

    def lines(self, names: Callable[[bytes], str] = bytes.hex) -> list[str]:
        """Everything that is kept."""
        return self.tail((), 1 << 60, names)


def _line(now: int, what: str, whom: bytes, details: tuple[Any, ...], names: Callable[[bytes], str]) -> str:
    words = " ".join(_word(detail, names) for detail in details)
    return f"{now / 1_000_000:11.6f} {names(whom) if whom else '*':12} {what} {words}".rstrip()


def _word(detail: Any, names: Callable[[bytes], str]) -> str:
    if isinstance(detail, bytes):
        if len(detail) == 32:
            return f"{names(detail[:16])}&{names(detail[16:])}"
        return names(detail) if len(detail) == 16 else detail.hex()
    if isinstance(detail, tuple):
        name = type(detail).__name__
        inner = ",".join(_word(one, names) for one in detail)
        return f"{'' if name == 'tuple' else name}({inner})"
    if isinstance(detail, list):
        return "[" + " ".join(_word(one, names) for one in detail) + "]"
    return str(detail)
