"""Small registers and timers beside the messages: read positions that must reach the server, who is typing."""

from __future__ import annotations

from typing import Final

READS_SHOWN_MAX: Final = 1024  # conversations whose shown position is known; the one shown longest ago goes
READS_IN_FLIGHT_MAX: Final = 32  # below the server's allowance for signals, also after a long time offline
TYPING_ROWS_MAX: Final = 1024  # a row ends by itself after typing_ms; above this new ones are not shown


class ReadRequests:
    """Read positions that the server has not shown yet. Each is asked for again until it does."""

    def __init__(self) -> None:
        self._wanted: dict[bytes, int] = {}
        self._sent: dict[bytes, int] = {}  # when, on this connection
        # A wish may come after the register has shown it, until that is stored. The server has no answer to such a one.
        self._shown: dict[bytes, int] = {}
        self._paused_until = 0

    def want(self, conversation: bytes, seq: int) -> bool:
        """Returns whether that is news."""
        if seq <= max(self._wanted.get(conversation, 0), self._shown.get(conversation, 0)):
            return False
        self._wanted[conversation] = seq
        self._sent.pop(conversation, None)
        return True

    def shown(self, conversation: bytes, seq: int) -> None:
        """The server's register is at `seq`."""
        self._shown.pop(conversation, None)
        self._shown[conversation] = seq
        if len(self._shown) > READS_SHOWN_MAX:
            del self._shown[next(iter(self._shown))]
        if self._wanted.get(conversation, 0) <= seq:
            self._wanted.pop(conversation, None)
            self._sent.pop(conversation, None)

    def refused(self) -> list[bytes]:
        """The server does not take one of those asked for; it does not say which. Forget them all."""
        gone = list(self._sent)
        for conversation in gone:
            del self._wanted[conversation]
        self._sent.clear()
        return gone

    def pause(self, now: int, wait_ms: int) -> None:
        self._paused_until = now + wait_ms
        self._sent.clear()

    def reconnected(self) -> None:
        self._paused_until = 0
        self._sent.clear()
        self._shown.clear()  # the server may have been set back

    def due(self, now: int, repeat_ms: int) -> list[tuple[bytes, int]]:
        """What to ask for now; it counts as asked."""
        if now < self._paused_until:
            return []
        found = [(c, self._wanted[c]) for c, at in self._sent.items() if now - at >= repeat_ms]
        for conversation, seq in self._wanted.items():
            if len(self._sent) + len(found) >= READS_IN_FLIGHT_MAX:
                break
            if conversation not in self._sent:
                found.append((conversation, seq))
        self._sent.update((conversation, now) for conversation, _ in found)
        return found

    def next_timeout(self, repeat_ms: int) -> int | None:
        if not self._wanted:
            return None
        if not self._sent:
            return self._paused_until
        return max(self._paused_until, min(self._sent.values()) + repeat_ms)


class TypingTable:
    """Who is typing where. An entry ends by itself when it is not repeated."""

    def __init__(self, typing_ms: int) -> None:
        self._typing_ms = typing_ms
        self._until: dict[tuple[bytes, bytes], int] = {}

    def seen(self, conversation: bytes, sender: bytes, active: bool, now: int) -> bool:
        """Returns whether that changes what is shown."""
        key = (conversation, sender)
        if not active:
            return self._until.pop(key, None) is not None
        known = key in self._until
        if not known and len(self._until) >= TYPING_ROWS_MAX:
            return False
        self._until[key] = now + self._typing_ms
        return not known

    def stopped(self, conversation: bytes, sender: bytes) -> bool:
        """A message came. Returns whether that changes what is shown."""
        return self._until.pop((conversation, sender), None) is not None

    def expired(self, now: int) -> list[tuple[bytes, bytes]]:
        """Those whose time is over; they are gone."""
        over = [key for key, until in self._until.items() if now >= until]
        for key in over:
            del self._until[key]
        return over

    def clear(self) -> list[tuple[bytes, bytes]]:
        """The connection is gone: nobody is typing as far as we know."""
        keys = list(self._until)
        self._until.clear()
        return keys

    def next_timeout(self) -> int | None:
        return min(self._until.values()) if self._until else None
