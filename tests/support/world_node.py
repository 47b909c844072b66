"""The shards of one process and the fabric around them, driven by hand: what iris/shard/node.py does, without asyncio.

The order of effects is that of the real shell: a turn's writes are one commit, its effects wait until the store has
called it durable, loads and pages are effects too. The fabric may lose, repeat and delay batches, by chance from the
world's seed or because a test's filter says so.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar

from iris.core.catalogue import Limits
from iris.core.commands import EdgeGone, Loaded, MarksLoaded, NameLoaded, Paged, Wake
from iris.core.ids import shard_of, user_unit
from iris.core.lease import NodeLeases
from iris.core.requests import Result
from iris.core.rows import Write
from iris.core.shard import Residents, Shard
from iris.core.turn import Ask, Effects, LoadMarks, LoadName, LoadPage, LoadUser, Now, Turn
from iris.core.user import User
from iris.store.memory import MemoryStore
from iris.store.port import StoreError

T = TypeVar("T")
Batch = Sequence[tuple[bytes, tuple[Any, ...]]]
Items = Sequence[tuple[Any, ...]]


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")


class Faults(NamedTuple):
    """How likely a batch is lost, repeated or delayed."""

    lose: float = 0.0
    repeat: float = 0.0
    delay: float = 0.0
    delay_ms: int = 3_000


class Fabric:
    """Batches between edges and the node. `passes` may hold back single commands and frames; see `lose` too."""

    def __init__(self, clock: Callable[[], int], chance: random.Random) -> None:
        self.faults = Faults()
        self.renewals = True  # whether leases are renewed
        self.passes: Callable[[tuple[Any, ...]], bool] | None = None
        self.node: Node | None = None
        self.edges: dict[int, Any] = {}
        self._clock = clock
        self._chance = chance
        self._parcels: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def lose(self, *kinds: type[Any], most: int = 1 << 60) -> list[Any]:
        """Lose commands and frames of these kinds, `most` of them, until `passes` is None again; the list has them."""
        lost: list[Any] = []

        def passes(item: tuple[Any, ...]) -> bool:
            if not isinstance(item, kinds) or len(lost) >= most:
                return True
            lost.append(item)
            return False

        self.passes = passes
        return lost

    def see(self, *kinds: type[Any]) -> list[Any]:
        """Commands and frames of these kinds, as they go by from now on."""
        seen: list[Any] = []

        def passes(item: tuple[Any, ...]) -> bool:
            if isinstance(item, kinds):
                seen.append(item)
            return True

        self.passes = passes
        return seen

    def to_units(self, batch: Batch) -> None:
        if self.passes is not None:
            batch = [entry for entry in batch if self.passes(entry[1])]
        self._carry(lambda: self.node.receive(batch) if self.node else None)

    def to_edge(self, edge: int, batch: Items) -> None:
        if self.passes is not None:
            batch = [item for item in batch if self.passes(item)]
        self._carry(lambda: self.edges[edge].receive(batch) if edge in self.edges else None)

    def renew(self, edge: int, number: int) -> None:
        if self.renewals:
            self._carry(lambda: self.node.renew(edge, number) if self.node else None)

    def renewed(self, edge: int, number: int) -> None:
        self._carry(lambda: self.edges[edge].renewed(number) if edge in self.edges else None)

    def clear(self) -> None:
        """The process has died with everything that was under way in it."""
        self._parcels.clear()

    def deliver(self) -> bool:
        """Hand over the next batch that is due."""
        if not self._parcels or self._parcels[0][0] > self._clock():
            return False
        heapq.heappop(self._parcels)[2]()
        return True

    @property
    def due(self) -> bool:
        return bool(self._parcels) and self._parcels[0][0] <= self._clock()

    def next_timeout(self) -> int | None:
        return self._parcels[0][0] if self._parcels else None

    def _carry(self, hand_over: Callable[[], None]) -> None:
        faults, chance = self.faults, self._chance
        copies = 1
        if faults.lose and chance.random() < faults.lose:
            copies = 0
        elif faults.repeat and chance.random() < faults.repeat:
            copies = 2
        for _ in range(copies):
            wait = chance.randint(1, faults.delay_ms) if faults.delay and chance.random() < faults.delay else 0
            self._count += 1
            heapq.heappush(self._parcels, (self._clock() + wait, self._count, hand_over))


class Node:
    """All shards of one process."""

    def __init__(
        self,
        store: MemoryStore,
        fabric: Fabric,
        limits: Limits,
        clock: Callable[[], Now],
        on_commit: Callable[[Sequence[Write]], None],
    ) -> None:
        self.store = store
        self.turn = Turn(limits, store.epoch, store.num_shards)
        self.residents = Residents(limits.users_in_memory_max)
        self.leases = NodeLeases(limits.lease_ms)
        self.shards: dict[int, Shard] = {}
        self.asks: list[Ask] = []
        self.replies: dict[int, Result] = {}
        self.inbox: list[Batch] = []
        self._fabric = fabric
        self._clock = clock
        self._on_commit = on_commit

    def receive(self, batch: Batch) -> None:
        self.inbox.append(batch)

    def renew(self, edge: int, number: int) -> None:
        now = self._clock()
        if not self.leases.renew(edge, now.mono):
            self._edge_gone(edge, now)
        self._fabric.renewed(edge, number)

    @property
    def users(self) -> dict[bytes, User]:
        """Everybody in memory."""
        return {name: user for shard in self.shards.values() for name, user in shard.users.items()}

    def wake(self, users: Sequence[bytes]) -> None:
        self.receive([(user_unit(user), Wake(user)) for user in users])

    @property
    def due(self) -> bool:
        """Whether a turn has something to do."""
        when = self.next_timeout()
        return bool(self.inbox or self._gathered) or (when is not None and when <= self._clock().mono)

    def next_timeout(self) -> int | None:
        """Mono ms."""
        due = [when for when in (self.turn.next_timeout(), self.leases.next_timeout()) if when is not None]
        return min(due, default=None)

    def run(self) -> None:
        """One turn."""
        turn = self.turn
        now = turn.now = self._clock()
        for edge in self.leases.lapsed(now.mono):
            self._edge_gone(edge, now)
        turn.run_timeouts(now.mono)
        inbox, self.inbox = self.inbox, []
        for batch in inbox:
            for unit, command in batch:
                self.shard(unit).handle(command)  # type: ignore[arg-type]
        self.commit()

    def shard(self, unit: bytes) -> Shard:
        """The owner of a unit."""
        number = shard_of(unit, self.turn.num_shards)
        if number not in self.shards:
            self.shards[number] = Shard(self.turn, self.residents)
        return self.shards[number]

    def commit(self) -> None:
        """Submit what was gathered, unless a commit is under way."""
        if self.store.outstanding:
            return
        writes, effects = self.turn.take()
        if writes:
            self._on_commit(writes)
            self.store.submit(writes, lambda error: self._durable(error, effects))
        elif effects:
            self._release(effects)

    def read(self, position: int = 0) -> None:
        """Answer a load or a page that was asked for."""
        self.receive([self._answer(self.asks.pop(position))])

    @property
    def _gathered(self) -> bool:
        return not self.store.outstanding and bool(self.turn.writes or self.turn.effects)

    def _durable(self, error: StoreError | None, effects: Effects) -> None:
        if error is None:
            self._release(effects)
            self.commit()

    def _release(self, effects: Effects) -> None:
        by_edge: dict[int, list[tuple[Any, ...]]] = {}
        for edge, item in effects.edge:
            by_edge.setdefault(edge, []).append(item)
        for edge, batch in by_edge.items():
            self._fabric.to_edge(edge, batch)
        if effects.units:
            self._fabric.to_units(effects.units)
        self.replies.update(effects.replies)
        self.asks.extend(effects.asks)

    def _edge_gone(self, edge: int, now: Now) -> None:
        self.turn.now = now
        for shard in self.shards.values():
            shard.edge_gone(EdgeGone(edge))

    def _answer(self, ask: Ask) -> tuple[bytes, tuple[Any, ...]]:
        store = self.store
        match ask:
            case LoadUser(user):
                return user_unit(user), Loaded(user, at_once(store.load_user(user)))
            case LoadName(name):
                return name, NameLoaded(name, at_once(store.load_name(name)))
            case LoadMarks(user, sender):
                return user_unit(user), MarksLoaded(user, sender, at_once(store.load_marks(user, sender)))
            case LoadPage(user, after, upto, rows_max, bytes_max, purpose):
                rows = at_once(store.page_mailbox(user, after, upto, rows_max, bytes_max))
                return user_unit(user), Paged(user, after, upto, rows, purpose)
