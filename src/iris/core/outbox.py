"""Work for other units: rows in this unit's commit, sent until the other side has committed it.

Two lanes per target. *Items* are a numbered stream: number = epoch << 32 | counter, each sent with `prev`, the
pending number before it, and taken in order. A number is never given twice: the last one is stored when the unit is
put out of memory (`rest`), and a restart has a new epoch. *Registers* are max registers, one row per (kind, topic),
coalesced. Silence is retried for ever with doubling pauses (outbox_repeat_ms up to a minute). Limits: outbox_rows_max
items per target (asked before a message is accepted), outbox_window of them in flight. A target that is gone answers
"done".
"""

from __future__ import annotations

from collections import deque
from typing import Final

from iris.core.commands import ItemIn, RegisterIn
from iris.core.ids import seq_of, user_unit
from iris.core.rows import Gone, InboxMarkRow, OutboxItemRow, OutboxRegisterRow
from iris.core.tables import NOTHING
from iris.core.turn import Turn

# kinds of item bodies: (kind, ...)
COPY: Final = 1  # (COPY, conversation, message_id, at, peer_seq, device, payload, content_type, alg): an own copy
CLAIM: Final = 2  # (CLAIM,): a name for the source
RELEASE: Final = 3  # (RELEASE,): the source's name is free again
TOMBSTONE: Final = 4  # (TOMBSTONE,): a dead letter's number

# kinds of registers
DELIVERED: Final = 1  # topic: conversation; value: the highest seq that a device of the source has
READ: Final = 2  # topic: conversation; value: the highest seq that the source's user has read
BLOCK: Final = 3  # topic: b""; value: BlockRow.version

REPEAT_MS_MAX: Final = 60_000
ROWS = "iris_outbox_rows"  # a gauge: rows on their way, over all loaded units


class Lane:
    """What waits for one target."""

    __slots__ = ("items", "pause", "refusals", "registers", "retry_at", "sent")

    def __init__(self) -> None:
        self.items: deque[OutboxItemRow] = deque()
        self.registers: dict[tuple[int, bytes], int] = {}
        self.sent = 0  # the highest item number sent
        self.pause = 0  # ms between repeats; 0 while nothing waits
        self.retry_at = 0
        self.refusals = 0  # definite refusals of the first item


class Outbox:
    """The outbox of one user."""

    __slots__ = ("_armed_at", "_last", "_stored", "lanes", "rows", "user")

    def __init__(self, user: bytes) -> None:
        self.user = user
        self.lanes: dict[bytes, Lane] = NOTHING
        self.rows = 0
        self._last = 0  # the last number given
        self._stored = 0  # ... as far as the store knows
        self._armed_at: int | None = None  # when `_repeat` is called next

    def load(self, items: list[OutboxItemRow], registers: list[OutboxRegisterRow], last: int) -> None:
        """Take the stored rows and the last number given; `start` then sends them."""
        self._last = self._stored = last
        for item in sorted(items, key=lambda row: row.number):
            self._lane(item.target).items.append(item)
        for row in registers:
            self._lane(row.target).registers[row.kind, row.topic] = row.value
        self.rows = len(items) + len(registers)

    def add(self, turn: Turn, target: bytes, body: tuple[object, ...]) -> int:
        """Put an item on its way; returns its number."""
        self._last = max(self._last + 1, seq_of(turn.epoch, 1))
        row = OutboxItemRow(self.user, target, self._last, body)
        turn.write(row)
        self._count(turn, 1)
        lane = self._lane(target)
        lane.items.append(row)
        if len(lane.items) <= turn.limits.outbox_window:
            self._send_item(turn, lane, row, lane.items[-2].number if len(lane.items) > 1 else 0)
        self._arm(turn, lane)
        return row.number

    def raise_register(self, turn: Turn, target: bytes, kind: int, topic: bytes, value: int) -> None:
        """Put a max register on its way; a lower value than the one under way is nothing new."""
        lane = self._lane(target)
        old = lane.registers.get((kind, topic))
        if old is not None and old >= value:
            return
        if old is None:
            self._count(turn, 1)
        lane.registers[kind, topic] = value
        # By position, past the records' own constructors: one of each for every receipt.
        turn.writes.append(tuple.__new__(OutboxRegisterRow, (self.user, target, kind, topic, value)))
        turn.to_unit(target, tuple.__new__(RegisterIn, (target, b"u" + self.user, kind, topic, value)))
        self._arm(turn, lane)

    def items_done(self, turn: Turn, target: bytes, number: int) -> list[OutboxItemRow]:
        """The target has committed everything up to `number`; returns what that finishes."""
        lane = self.lanes.get(target)
        if lane is None:
            return []
        done = []
        while lane.items and lane.items[0].number <= number:
            row = lane.items.popleft()
            turn.write(Gone(row))
            self._count(turn, -1)
            done.append(row)
        if done:
            lane.refusals = 0
            self._progress(turn, target, lane)
        return done

    def register_done(self, turn: Turn, target: bytes, kind: int, topic: bytes, value: int) -> None:
        """The target holds at least `value`."""
        lane = self.lanes.get(target)
        if lane is None:
            return
        pending = lane.registers.get((kind, topic))
        if pending is None or pending > value:
            return
        del lane.registers[kind, topic]
        row = tuple.__new__(OutboxRegisterRow, (self.user, target, kind, topic, 0))
        turn.writes.append(tuple.__new__(Gone, (row,)))
        self._count(turn, -1)
        self._progress(turn, target, lane)

    def waiting(self, target: bytes) -> int:
        """Items on their way to one target. Counted apart, so that one that takes none fills nobody else's outbox."""
        lane = self.lanes.get(target)
        return 0 if lane is None else len(lane.items)

    def first(self, target: bytes) -> OutboxItemRow | None:
        """The item that the target has to take next."""
        lane = self.lanes.get(target)
        return lane.items[0] if lane is not None and lane.items else None

    def bury(self, turn: Turn, row: OutboxItemRow) -> None:
        """Replace the first item of its target by a tombstone, so that those behind it go on."""
        tombstone = row._replace(body=(TOMBSTONE,))
        lane = self.lanes[row.target]
        lane.items[0] = tombstone
        turn.write(tombstone)
        self._send_item(turn, lane, tombstone, 0)

    def resend(self, turn: Turn, lane: Lane) -> None:
        """Send everything that waits, from the front of the window on."""
        prev = 0
        target = b""
        for position, row in enumerate(lane.items):
            if position == turn.limits.outbox_window:
                break
            self._send_item(turn, lane, row, prev)
            prev, target = row.number, row.target
        if lane.registers and not target:
            target = next(name for name, other in self.lanes.items() if other is lane)
        for (kind, topic), value in lane.registers.items():
            turn.to_unit(target, RegisterIn(target, user_unit(self.user), kind, topic, value))

    def start(self, turn: Turn) -> None:
        """After loading: send everything and begin to repeat."""
        turn.count(ROWS, self.rows)
        for lane in self.lanes.values():
            self.resend(turn, lane)
            self._arm(turn, lane)

    def rest(self, turn: Turn) -> None:
        """The unit goes out of memory; its numbers must not begin anew."""
        if self._last > self._stored:
            turn.write(InboxMarkRow(self.user, user_unit(self.user), self._last))

    def write_all(self, turn: Turn) -> None:
        """Write every row again, after the unit was dropped."""
        for target, lane in self.lanes.items():
            for row in lane.items:
                turn.write(row)
            for (kind, topic), value in lane.registers.items():
                turn.write(OutboxRegisterRow(self.user, target, kind, topic, value))

    def _count(self, turn: Turn, by: int) -> None:
        self.rows += by
        turn.counters[ROWS] += by

    def _lane(self, target: bytes) -> Lane:
        lane = self.lanes.get(target)
        if lane is None:
            if self.lanes is NOTHING:
                self.lanes = {}
            lane = self.lanes[target] = Lane()
        return lane

    def _send_item(self, turn: Turn, lane: Lane, row: OutboxItemRow, prev: int) -> None:
        lane.sent = max(lane.sent, row.number)
        turn.to_unit(row.target, ItemIn(row.target, user_unit(self.user), row.number, prev, row.body))

    def _progress(self, turn: Turn, target: bytes, lane: Lane) -> None:
        """Something was confirmed: no repeat is due soon, and the window has room for what was never sent."""
        if not lane.items and not lane.registers:
            del self.lanes[target]
            return
        lane.pause = turn.limits.outbox_repeat_ms
        lane.retry_at = turn.now.mono + lane.pause
        self._arm_at(turn, lane.retry_at)
        prev = 0
        for position, row in enumerate(lane.items):
            if position == turn.limits.outbox_window:
                break
            if row.number > lane.sent:
                self._send_item(turn, lane, row, prev)
            prev = row.number

    def _arm(self, turn: Turn, lane: Lane) -> None:
        if not lane.pause:
            lane.pause = turn.limits.outbox_repeat_ms
            lane.retry_at = turn.now.mono + lane.pause
        self._arm_at(turn, lane.retry_at)

    def _arm_at(self, turn: Turn, when: int) -> None:
        if self._armed_at is None or when < self._armed_at:
            self._armed_at = when
            turn.call_at(when, Outbox._repeat, self, turn, when)

    def _repeat(self, turn: Turn, when: int) -> None:
        if when != self._armed_at:
            return  # another timeout was set for earlier
        self._armed_at = None
        for lane in self.lanes.values():
            if lane.retry_at <= turn.now.mono:
                lane.pause = min(2 * lane.pause, REPEAT_MS_MAX)
                lane.retry_at = turn.now.mono + lane.pause
                turn.count("iris_outbox_repeats_total")
                self.resend(turn, lane)
        if self.lanes:
            self._arm_at(turn, min(lane.retry_at for lane in self.lanes.values()))
