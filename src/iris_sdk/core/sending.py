"""The sender's side of the Send rules for one conversation: stream, numbers, window, answers.

Owns: which message of the outbox has which number, what is unanswered, what must be sent (again) now. Must not know:
payloads, connections, the clock. It keeps these invariants:

- Numbers survive the process: a message's number is `base` plus its place in the outbox, and the profile holds both. So
  a restart repeats the same numbers. (A new stream at each start would be wrong: every renumbering spends outcomes of
  the server's window a second time, and a message whose outcome has fallen out of it would be stored again.)
- A message that may have an outcome at the server is within the last `window` numbers until its answer is *durable*
  here. The server keeps that many outcomes, so a repeat after a crash finds its outcome. Hence the window moves on
  commit, not on answer.
- A new stream is durable before anything is sent under it, so a crash never brings a number back under another id.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Final


class Answer(Enum):
    NONE = auto()
    RECEIVED = auto()  # not yet durable here: still counts for the window
    DURABLE = auto()


class Entry:
    """A numbered message."""

    __slots__ = ("answer", "message_id", "sent_at")

    def __init__(self, message_id: bytes) -> None:
        self.message_id = message_id
        self.answer = Answer.NONE
        self.sent_at: int | None = None  # on this connection; None: must be sent


GAP_PATIENCE_MS: Final = 1000  # one lost frame makes a gap answer for each behind it: only the first starts a repeat


class Outbound:
    """One conversation's outbox."""

    def __init__(self, conversation: bytes, window: int, *, stream: int = 1, base: int = 1, last_at: int = 0) -> None:
        self.conversation = conversation
        self.stream = stream
        self.last_at = last_at  # the highest `at` seen in this conversation, ms
        self.paused_until = 0  # the server asked to wait, ms
        self._window = window
        self._base = base  # the number of entries[0]: the lowest one without a durable answer
        self._entries: deque[Entry] = deque()  # numbered
        self._queue: deque[Entry] = deque()  # not yet
        self._open = True  # the stream is durable
        self._opening = False  # ... or is being made so
        self._hole = False  # a refusal that may not have spent its number
        self._gap_quiet_until = 0

    def add(self, message_id: bytes, answered: bool = False) -> None:
        """The next row of the outbox. An answered one is still there to keep the places of those behind it."""
        entry = Entry(message_id)
        if answered:
            entry.answer = Answer.DURABLE
        self._queue.append(entry)

    @property
    def answered(self) -> int:
        """Every number up to this one has been answered."""
        return self._base - 1

    @property
    def idle(self) -> bool:
        """Nothing queued, nothing numbered."""
        return not self._queue and not self._entries

    @property
    def waiting(self) -> bool:
        """Something numbered has no answer."""
        return any(entry.answer is Answer.NONE for entry in self._entries)

    def new_stream_wanted(self) -> int | None:
        """The stream to make durable now, if one is wanted; then `stream_durable`. Nothing is sent in between."""
        if self._hole and not self.waiting:
            self._new_stream(self.stream)
        if self._open or self._opening:
            return None
        self._opening = True
        return self.stream

    def stream_durable(self, stream: int) -> None:
        if stream == self.stream and self._opening:
            self._open, self._opening = True, False

    def _new_stream(self, floor: int) -> None:
        """Leave this stream for one above `floor`; unanswered messages come first again, with their ids."""
        self.stream = max(self.stream, floor) + 1
        left = [Entry(entry.message_id) for entry in self._entries if entry.answer is Answer.NONE]
        self._queue = deque(left + [entry for entry in self._queue if entry.answer is Answer.NONE])
        self._entries.clear()
        self._base = 1
        self._open = self._opening = self._hole = False
        self._gap_quiet_until = 0

    def reconnected(self, window: int) -> None:
        """A new connection: everything unanswered is sent again, in order."""
        self._window = window
        for entry in self._entries:
            entry.sent_at = None
        self.paused_until = 0
        self._gap_quiet_until = 0

    def due(self, now: int, repeat_ms: int, most: int) -> list[tuple[int, Entry]]:
        """At most `most` messages to send now, in order of their numbers; they count as sent."""
        if not self._open or now < self.paused_until:
            return []
        while self._queue and len(self._entries) < self._window and not self._hole:
            self._entries.append(self._queue.popleft())
            self.durable()
        found: list[tuple[int, Entry]] = []
        for number, entry in enumerate(self._entries, self._base):
            if len(found) >= most:
                break
            if entry.answer is Answer.NONE and (entry.sent_at is None or now - entry.sent_at >= repeat_ms):
                entry.sent_at = now
                found.append((number, entry))
        return found

    def has_due(self, now: int, repeat_ms: int) -> bool:
        """Whether `due` would find something."""
        if not self._open or now < self.paused_until:
            return False
        if self._queue and len(self._entries) < self._window and not self._hole:
            return True
        return any(
            entry.answer is Answer.NONE and (entry.sent_at is None or now - entry.sent_at >= repeat_ms)
            for entry in self._entries
        )

    def find(self, stream: int, number: int, message_id: bytes) -> Entry | None:
        """The unanswered message that an answer speaks of; None for answers of the past."""
        if stream != self.stream or not self._open or not self._base <= number < self._base + len(self._entries):
            return None
        entry = self._entries[number - self._base]
        return entry if entry.message_id == message_id and entry.answer is Answer.NONE else None

    def durable(self) -> None:
        """Answers became durable: the window moves past them."""
        while self._entries and self._entries[0].answer is Answer.DURABLE:
            self._entries.popleft()
            self._base += 1

    def refused_without_number(self) -> None:
        """A final refusal that wrote nothing: its number is still free at the server, so this stream ends here."""
        self._hole = True

    def stale(self, current: int) -> None:
        """STREAM_STALE."""
        self._new_stream(current)

    def gap(self, expected: int, now: int) -> None:
        """SEQUENCE_GAP: send from `expected` on."""
        if self._hole and expected < self._base + len(self._entries):
            self._new_stream(self.stream)  # the server waits for the number that a refusal left free
            return
        if now < max(self._gap_quiet_until, self.paused_until):
            return
        unanswered = [n for n, entry in enumerate(self._entries, self._base) if entry.answer is Answer.NONE]
        if not unanswered or expected < unanswered[0]:
            return
        self._gap_quiet_until = now + GAP_PATIENCE_MS
        for number, entry in enumerate(self._entries, self._base):
            if number >= expected:
                entry.sent_at = None

    def pause(self, now: int, wait_ms: int) -> None:
        """The server asked to wait: then everything unanswered goes again, in order."""
        self.paused_until = max(self.paused_until, now + wait_ms)
        for entry in self._entries:
            entry.sent_at = None
