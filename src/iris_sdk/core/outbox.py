"""All conversations' outboxes: who may send next, how fast, and what the server's answers mean.

The rules of one conversation are in sending.py. Here: conversations take turns, the server's allowance of Sends is
kept, unanswered messages are looked at again from time to time, and nothing is sent outside a session.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.catalogue import ERRORS, ErrorCode
from iris_sdk.core import effects as fx
from iris_sdk.core.ledger import Batch, Ledger
from iris_sdk.core.sending import Answer, Entry, Outbound

SCAN_MS: Final = 1000  # how often unanswered messages are looked at for a repeat
RETRY_MS: Final = 1000  # where the server names no time
SEND_SHARE = 0.9  # of sends_per_second_max: the rest is for clocks that differ


class Outbox:
    """The sending half of a ClientCore. `repeat_ms` and `window` may change with each session."""

    def __init__(
        self, effects: deque[fx.Effect], ledger: Ledger, *, sends_per_second: int, window: int, repeat_ms: int
    ):
        self.window = window
        self.repeat_ms = repeat_ms
        self._effects, self._ledger = effects, ledger
        self._outbounds: dict[bytes, Outbound] = {}
        self._ready: dict[bytes, None] = {}  # to look at for sending, in turn
        self._unanswered: dict[bytes, None] = {}
        self._up = False  # there is a session
        self._scan_at = 0
        self._rate = sends_per_second * SEND_SHARE / 1000  # per ms
        self._allowance = self._allowance_max = float(sends_per_second)
        self._allowance_at = 0
        self._wake_at: int | None = None  # the allowance is back, or a pause that the server asked for is over

    def restore(self, conversation: bytes, stream: int, base: int, last_at: int) -> None:
        """What the profile holds of a conversation."""
        self._outbounds[conversation] = Outbound(conversation, self.window, stream=stream, base=base, last_at=last_at)

    def add(self, messages: Iterable[tuple[bytes, bytes, bool]]) -> None:
        """(conversation, message_id, answered), in the outbox's order."""
        for conversation, message_id, answered in messages:
            self._outbound(conversation).add(message_id, answered)
            self._ready[conversation] = None

    def seen(self, conversation: bytes, at: int) -> None:
        """A message of this conversation has this `at`."""
        outbound = self._outbound(conversation)
        outbound.last_at = max(outbound.last_at, at)

    @property
    def unanswered(self) -> int:
        """Conversations with messages that are not answered."""
        return sum(not outbound.idle for outbound in self._outbounds.values())

    def session_began(self) -> None:
        self._up = True
        for outbound in self._outbounds.values():
            if not outbound.idle:
                outbound.reconnected(self.window)
                self._ready[outbound.conversation] = None

    def session_over(self) -> None:
        self._up = False
        self._wake_at = None
        self._ready.clear()

    def next_timeout(self) -> int | None:
        wake_at = self._wake_at
        if self._unanswered and (wake_at is None or self._scan_at < wake_at):
            return self._scan_at
        return wake_at

    def tick(self, now: int) -> None:
        if now >= self._scan_at:
            self._scan_at = now + SCAN_MS
            self._ready.update(self._unanswered)
        self.pump(now)

    def committed(self, batch: Batch) -> None:
        """Answers and streams became durable: windows move."""
        for outbound, entry in batch.answers:
            entry.answer = Answer.DURABLE
            self._ready[outbound.conversation] = None
        for outbound, _ in batch.answers:
            outbound.durable()
        for outbound, stream in batch.streams:
            outbound.stream_durable(stream)
            self._ready[outbound.conversation] = None

    def pump(self, now: int) -> None:
        """Open streams and send what is due, conversations in turn, no faster than the server's allowance."""
        if not self._up:
            return
        gained = (now - self._allowance_at) * self._rate
        self._allowance, self._allowance_at = min(self._allowance_max, self._allowance + gained), now
        self._wake_at = None
        if not self._ready:
            return
        waiting: list[bytes] = []
        while self._ready and self._wake_at is None:
            conversation = next(iter(self._ready))
            del self._ready[conversation]
            outbound = self._outbounds[conversation]
            stream = outbound.new_stream_wanted()
            if stream is not None:
                self._ledger.stream(outbound, fx.SaveStream(conversation, stream))
            if now < outbound.paused_until:
                waiting.append(conversation)
            elif self._send_due(outbound, now):
                waiting.append(conversation)
                self._wake_at = now + max(1, int(1 / self._rate))
        self._ready.update(dict.fromkeys(waiting))  # at the end: others had no turn yet
        pauses = [self._outbounds[c].paused_until for c in waiting if self._outbounds[c].paused_until > now]
        self._wake_at = min([*pauses, *([] if self._wake_at is None else [self._wake_at])], default=None)

    def _send_due(self, outbound: Outbound, now: int) -> bool:
        """Returns whether the allowance ended before the conversation did."""
        for number, entry in outbound.due(now, self.repeat_ms, int(self._allowance)):
            self._allowance -= 1
            self._effects.append(
                fx.SendMessage(
                    outbound.conversation,
                    outbound.stream,
                    number,
                    outbound.answered,
                    entry.message_id,
                    outbound.last_at,
                )
            )
        if not outbound.waiting:
            self._unanswered.pop(outbound.conversation, None)
        else:
            if not self._unanswered:
                self._scan_at = now + SCAN_MS
            self._unanswered[outbound.conversation] = None
        return self._allowance < 1 and outbound.has_due(now, self.repeat_ms)

    def on_accepted(self, answer: pb.Accepted) -> None:
        outbound = self._outbound(answer.conversation)
        entry = outbound.find(answer.stream, answer.client_seq, answer.message_id)
        if entry is not None:
            outbound.last_at = max(outbound.last_at, answer.at)
            self._answered(outbound, entry, answer.seq, answer.at, 0)

    def on_rejected(self, answer: pb.Rejected, now: int) -> None:
        outbound = self._outbound(answer.conversation)
        entry = outbound.find(answer.stream, answer.client_seq, answer.message_id)
        if entry is None:
            return
        if answer.retry == pb.RETRY_NEW_STREAM:
            outbound.stale(answer.current_stream)
        elif answer.retry == pb.RETRY_GAP:
            outbound.gap(answer.expected, now)
        elif answer.retry == pb.RETRY_NEVER:
            self._answered(outbound, entry, 0, 0, answer.code)
            if not _spends_number(answer.code):
                outbound.refused_without_number()
        else:
            outbound.pause(now, answer.retry_after_ms or RETRY_MS)
        self._ready[outbound.conversation] = None
        self.pump(now)

    def _answered(self, outbound: Outbound, entry: Entry, seq: int, at: int, code: int) -> None:
        entry.answer = Answer.RECEIVED
        self._ledger.answer(outbound, entry, fx.SaveAnswer(entry.message_id, outbound.conversation, seq, at, code))
        if not outbound.waiting:
            self._unanswered.pop(outbound.conversation, None)

    def _outbound(self, conversation: bytes) -> Outbound:
        outbound = self._outbounds.get(conversation)
        if outbound is None:
            outbound = self._outbounds[conversation] = Outbound(conversation, self.window)
        return outbound


def _spends_number(code: int) -> bool:
    try:
        return ERRORS[ErrorCode(code)].outcome
    except ValueError:  # of a later version: a new stream is right either way
        return False
