"""One turn of a shard node: what the shards want written and what may happen once that is durable.

A turn belongs to one node and is shared by its shards. The shell sets `now`, lets the shards handle events, then
takes the commit: the writes go to the store as one unit, the effects are released only after the store has called
them durable, in commit order. Nothing here reads a clock or does I/O. Limits: `commit_rows_max` and
`commit_bytes_max` (see `full` and `half_full`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from iris.core.catalogue import Limits
from iris.core.ids import seq_of
from iris.core.requests import Result
from iris.core.rows import Write
from iris.core.timers import Timers


class Now(NamedTuple):
    """The time of a turn, in ms."""

    mono: int  # never goes back; for timers
    wall: int  # since 1970; for `at`
    horizon: int  # messages from before it may expire (see core/expiry.py)


class LoadUser(NamedTuple):
    user: bytes


class LoadName(NamedTuple):
    name: bytes


class LoadMarks(NamedTuple):
    user: bytes
    sender: bytes


class LoadPage(NamedTuple):
    """Mailbox rows with after < seq <= upto, at most so many. `purpose` comes back with the page."""

    user: bytes
    after: int
    upto: int
    rows_max: int
    bytes_max: int
    purpose: tuple[object, ...]


Ask = LoadUser | LoadName | LoadMarks | LoadPage


class Effects:
    """What may happen when the commit is durable; each list in order, those of different edges in any."""

    __slots__ = ("asks", "edge", "replies", "units")

    def __init__(self) -> None:
        self.edge: defaultdict[int, list[tuple[object, ...]]] = defaultdict(list)  # edge -> frames and session records
        self.units: list[tuple[bytes, tuple[object, ...]]] = []  # (unit, command)
        self.asks: list[Ask] = []
        self.replies: list[tuple[int, Result]] = []  # (request id, result)

    def __bool__(self) -> bool:
        return bool(self.edge or self.units or self.asks or self.replies)


class Turn(Timers):
    """The writes and effects of the commit under construction, the timers, and the node's counters."""

    __slots__ = (
        "accepted", "bytes", "counters", "effects", "epoch", "first_seq", "limits", "now", "num_shards", "writes",
    )  # fmt: skip

    def __init__(self, limits: Limits, epoch: int, num_shards: int) -> None:
        super().__init__()
        self.limits = limits
        self.epoch = epoch
        self.first_seq = seq_of(epoch, 1)
        self.num_shards = num_shards
        self.now = Now(0, 0, 0)
        self.writes: list[Write] = []
        self.bytes = 0  # payload bytes among the writes
        self.accepted = 0  # messages accepted by this commit; counted once a commit, as a Counter takes 100 ns
        self.effects = Effects()
        self.counters: Counter[str | tuple[str, int]] = Counter()

    @property
    def full(self) -> bool:
        """Whether Sends must be refused because too much waits for the next commit."""
        return len(self.writes) >= self.limits.commit_rows_max or self.bytes >= self.limits.commit_bytes_max

    @property
    def half_full(self) -> bool:
        """Whether the next commit has half of what it may hold: what else has come waits for another turn."""
        limits = self.limits
        return 2 * len(self.writes) >= limits.commit_rows_max or 2 * self.bytes >= limits.commit_bytes_max

    def write(self, row: Write) -> None:
        self.writes.append(row)

    def to_edge(self, edge: int, item: tuple[object, ...]) -> None:
        self.effects.edge[edge].append(item)

    def to_unit(self, unit: bytes, command: tuple[object, ...]) -> None:
        self.effects.units.append((unit, command))

    def ask(self, question: Ask) -> None:
        self.effects.asks.append(question)

    def reply(self, request: int, result: Result) -> None:
        self.effects.replies.append((request, result))

    def count(self, name: str, by: int = 1) -> None:
        self.counters[name] += by

    def count_code(self, name: str, code: int) -> None:
        self.counters[name, code] += 1

    def take(self) -> tuple[list[Write], Effects]:
        """The commit: hands over what was gathered and starts the next one."""
        if self.accepted:
            self.counters["iris_messages_accepted_total"] += self.accepted
            self.accepted = 0
        writes, effects = self.writes, self.effects
        self.writes, self.effects, self.bytes = [], Effects(), 0
        return writes, effects
