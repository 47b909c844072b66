"""A node (the real NodeCore on a store in memory) and the fabric around it, driven by hand.

The fabric may lose, repeat and delay batches, by chance from the world's seed or because a test's filter says so.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from iris.core.catalogue import Limits
from iris.core.commands import Wake
from iris.core.ids import user_unit
from iris.core.requests import Result
from iris.core.rows import Write
from iris.core.shard import Shard
from iris.core.turn import Ask, Now, Turn
from iris.core.user import User
from iris.fabric.port import Renewed
from iris.shard.core import NodeCore
from iris.shard.loads import load
from iris.store.memory import MemoryStore, at_once
from iris.store.port import StoreError

Batch = Sequence[tuple[bytes, tuple[Any, ...]]]
Items = Sequence[tuple[Any, ...]]


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

    def to_node(self, node: int, edge: int, number: int, batch: Batch) -> None:
        if self.passes is not None:
            batch = [entry for entry in batch if self.passes(entry[1])]
        self._carry(lambda: self.node.receive_from(edge, number, batch) if self.node else None)

    def to_edge(self, edge: int, node: int, number: int, batch: Items) -> None:
        if self.passes is not None:
            batch = [item for item in batch if self.passes(item)]
        if self.faults.lose and self._chance.random() < self.faults.lose / 2:
            batch = []  # lost behind the edge's back: only the client can notice
        self._carry(lambda: self.edges[edge].receive(node, number, batch) if edge in self.edges else None)

    def renew(self, node: int, edge: int, number: int, sent: int) -> None:
        if self.renewals:
            self._carry(lambda: self.node.renew(edge, number, sent) if self.node else None)

    def renewed(self, edge: int, node: int, answer: Renewed) -> None:
        self._carry(lambda: self.edges[edge].renewed(node, answer) if edge in self.edges else None)

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
    """The real node, its store and its loads."""

    def __init__(
        self,
        store: MemoryStore,
        fabric: Fabric,
        limits: Limits,
        clock: Callable[[], Now],
        on_commit: Callable[[Sequence[Write]], None],
    ) -> None:
        self.store = store
        self.core = NodeCore(0, limits, store.epoch, store.num_shards)
        self.asks: list[Ask] = []
        self.replies: dict[int, Result] = {}
        self._fabric = fabric
        self._clock = clock
        self._on_commit = on_commit

    @property
    def turn(self) -> Turn:
        return self.core.turn

    @property
    def shards(self) -> dict[int, Shard]:
        return self.core.shards

    @property
    def users(self) -> dict[bytes, User]:
        """Everybody in memory."""
        return {name: user for shard in self.shards.values() for name, user in shard.users.items()}

    def shard(self, unit: bytes) -> Shard:
        """The owner of a unit."""
        return self.core.shard(unit)

    def receive(self, batch: Batch) -> None:
        self.core.receive(batch)

    def receive_from(self, edge: int, number: int, batch: Batch) -> None:
        self.core.receive_from(edge, number, batch)

    def renew(self, edge: int, number: int, sent: int) -> None:
        self.core.renew(edge, number, sent, self._clock())
        self._flush()

    def wake(self, users: Sequence[bytes]) -> None:
        self.receive([(user_unit(user), Wake(user)) for user in users])

    @property
    def due(self) -> bool:
        """Whether a turn has something to do."""
        when = self.next_timeout()
        return self.core.ready or (when is not None and when <= self._clock().mono)

    def next_timeout(self) -> int | None:
        """Mono ms."""
        return self.core.next_timeout()

    def run(self) -> None:
        """One turn."""
        self.core.run(self._clock())
        self._flush()

    def read(self, position: int = 0) -> None:
        """Answer a load or a page that was asked for."""
        self.receive([at_once(load(self.store, self.asks.pop(position)))])

    def _durable(self, error: StoreError | None) -> None:
        if error is None:
            self.core.durable(self._clock())
            self._flush()

    def _flush(self) -> None:
        core, fabric = self.core, self._fabric
        out = core.take()
        for edge, number, batch in out.edges:
            fabric.to_edge(edge, core.number, number, batch)
        if out.units:
            fabric.to_units(out.units)
        for edge, answer in out.renewed:
            fabric.renewed(edge, core.number, answer)
        self.replies.update(out.replies)
        self.asks.extend(out.asks)
        writes = core.take_commit()
        if writes is not None:
            self._on_commit(writes)
            self.store.submit(writes, self._durable)
