"""A shard node: drains commands into shards, commits what they want written, releases effects when that is durable.

One turn handles everything that has arrived; its writes are one commit of the store. While a commit is being synced
the next one is gathered, so throughput comes from group commit and latency stays one sync. After a failed commit
nothing more is released: the process must stop. Loads and page reads are effects too, so nothing is read that is
not durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from iris.core.catalogue import Limits
from iris.core.commands import (
    Command,
    EdgeGone,
    Loaded,
    MarksLoaded,
    NameLoaded,
    Paged,
    RequestIn,
)
from iris.core.ids import shard_of, user_unit
from iris.core.lease import NodeLeases
from iris.core.requests import Request, Result
from iris.core.rows import Write
from iris.core.shard import Residents, Shard
from iris.core.turn import Ask, Effects, LoadMarks, LoadName, LoadPage, LoadUser, Now, Turn
from iris.fabric.port import Fabric, ToUnits
from iris.shard.trace import Trace
from iris.store.port import Store, StoreError

ROUTES_MAX = 1_000_000  # units whose shard is remembered
ANSWERS = {Loaded, NameLoaded, MarksLoaded, Paged}  # of the store; whole users and pages, which no trace may keep


class ShardNode:
    """All shards of one node, on one event loop."""

    def __init__(
        self,
        store: Store,
        fabric: Fabric,
        limits: Limits,
        clock: Callable[[], Now],
        on_fatal: Callable[[StoreError], None],
        on_committed: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        """clock: the time of a turn. on_fatal: the store has failed; stop. on_committed: seconds from submit to
        durable.
        """
        self.turn = Turn(limits, store.epoch, store.num_shards)
        self.residents = Residents(limits.users_in_memory_max)
        self.leases = NodeLeases(limits.lease_ms)
        self.trace = Trace()
        self._store = store
        self._fabric = fabric
        self._clock = clock
        self._on_fatal = on_fatal
        self._on_committed = on_committed
        self._shards: dict[int, Shard] = {}
        self._routes: dict[bytes, Shard] = {}
        self._inbox: list[ToUnits] = []
        self._loop = asyncio.get_running_loop()
        self._loads = asyncio.Semaphore(limits.loads_max)
        self._tasks: set[asyncio.Task[None]] = set()
        self._replies: dict[int, asyncio.Future[Result]] = {}
        self._requests = 0
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._syncing = False
        self._failed = False
        self._quiet = asyncio.Event()

    # --- from the fabric ---
    def receive(self, batch: ToUnits) -> None:
        """Commands for units of this node; taken up in the next turn."""
        if batch:
            self._inbox.append(batch)
            self._schedule()

    def renew(self, edge: int, number: int) -> None:
        """An edge renews its lease; after a gap its old sessions go first."""
        now = self._clock()
        if not self.leases.renew(edge, now.mono):
            self._edge_gone(edge, now)
        self._fabric.renewed(edge, number)

    # --- from the API ---
    async def ask(self, request: Request, timeout_s: float) -> Result | None:
        """Ask a unit; its answer once that is durable, or None after `timeout_s`."""
        self._requests += 1
        future: asyncio.Future[Result] = self._loop.create_future()
        number = self._requests
        self._replies[number] = future
        try:
            self.receive([(request.unit, RequestIn(request.unit, request._replace(id=number)))])
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            return None
        finally:
            del self._replies[number]

    @property
    def shards(self) -> Iterable[Shard]:
        """The shards that have been used."""
        return self._shards.values()

    @property
    def loads_waiting(self) -> int:
        """Batches of loads that wait because loads_max are under way."""
        return max(0, len(self._tasks) - self.turn.limits.loads_max)

    @property
    def stopped(self) -> bool:
        """Whether the store has failed and nothing is released any more."""
        return self._failed

    async def settle(self) -> None:
        """Wait until everything received is committed and its effects are out (or the store has failed)."""
        while not self._settled():
            self._quiet.clear()
            await self._quiet.wait()

    def _settled(self) -> bool:
        return self._failed or not (self._inbox or self._scheduled or self._syncing or self._tasks)

    def _fail(self, error: StoreError) -> None:
        self._failed = True
        self._quiet.set()
        self._on_fatal(error)

    # --- turns ---
    def run(self) -> None:
        """One turn. A rule that raises is our mistake, and its half-done writes must not be stored: the node fails."""
        self._scheduled = False
        if self._failed:
            return
        try:
            self._run()
        except Exception as error:
            self._fail(StoreError(f"a shard failed and may not go on: {error!r}"))
            raise
        if self._settled():
            self._quiet.set()

    def _run(self) -> None:
        turn = self.turn
        now = turn.now = self._clock()
        for edge in self.leases.lapsed(now.mono):
            self._edge_gone(edge, now)
        turn.run_timeouts(now.mono)
        inbox, self._inbox = self._inbox, []
        routes = self._routes
        for batch in inbox:
            if type(batch[0][1]) not in ANSWERS:
                self.trace.note("received", now.wall, batch)
            for unit, command in batch:
                shard = routes.get(unit) or self._route(unit)
                shard.handle(command)  # type: ignore[arg-type]
        self._commit()
        self._arm()

    def _route(self, unit: bytes) -> Shard:
        number = shard_of(unit, self.turn.num_shards)
        shard = self._shards.get(number)
        if shard is None:
            shard = self._shards[number] = Shard(self.turn, self.residents)
        if len(self._routes) >= ROUTES_MAX:
            self._routes.clear()
        self._routes[unit] = shard
        return shard

    def _edge_gone(self, edge: int, now: Now) -> None:
        self.turn.now = now
        self.turn.count("iris_lease_lost_total")
        for shard in self._shards.values():
            shard.edge_gone(EdgeGone(edge))
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.run)

    def _arm(self) -> None:
        """Wake for the next timeout or lapse."""
        due = [when for when in (self.turn.next_timeout(), self.leases.next_timeout()) if when is not None]
        if not due:
            return
        when = min(due)
        if self._timer is not None:
            if self._timer_at <= when and not self._timer.cancelled() and self._timer_at > self.turn.now.mono:
                return
            self._timer.cancel()
        self._timer_at = when
        delay = max(0, when - self.turn.now.mono) / 1000
        self._timer = self._loop.call_later(delay, self._schedule)

    # --- commits ---
    def _commit(self) -> None:
        """Submit what was gathered, unless a commit is under way: then it goes with the next."""
        if self._syncing or self._failed:
            return
        writes, effects = self.turn.take()
        if effects.edge:
            self.trace.note("pumped", self.turn.now.wall, effects.edge)
        if writes:
            self._syncing = True
            started = self._loop.time()
            self._store.submit(writes, lambda error: self._durable(error, writes, effects, started))
        elif effects:
            self._release(effects)

    def _durable(self, error: StoreError | None, writes: Sequence[Write], effects: Effects, started: float) -> None:
        if error is not None:
            self._fail(error)
            return
        self._syncing = False
        self._on_committed(self._loop.time() - started)
        self.trace.note("committed", self._clock().wall, writes)
        self._release(effects)
        self._commit()
        if self._settled():
            self._quiet.set()

    def _release(self, effects: Effects) -> None:
        """Everything that waited for this commit, in order."""
        if effects.edge:
            by_edge: dict[int, list[tuple[object, ...]]] = {}
            for edge, item in effects.edge:
                batch = by_edge.get(edge)
                if batch is None:
                    batch = by_edge[edge] = []
                batch.append(item)
            wall = self._clock().wall
            for edge, batch in by_edge.items():
                self.trace.note("handed", wall, batch)
                self._fabric.to_edge(edge, batch)
        if effects.units:
            self._fabric.to_units(effects.units)
        for number, result in effects.replies:
            future = self._replies.get(number)
            if future is not None and not future.done():
                future.set_result(result)
        if effects.asks:
            task = self._loop.create_task(self._answer(effects.asks))
            self._tasks.add(task)
            task.add_done_callback(self._answered)

    # --- loads ---
    async def _answer(self, asks: Sequence[Ask]) -> None:
        async with self._loads:
            answers: list[tuple[bytes, tuple[Any, ...]]] = []
            for ask in asks:
                answers.append(await self._read(ask))
            self.receive(answers)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error if isinstance(error, StoreError) else StoreError(f"a read failed: {error!r}"))
        elif self._settled():
            self._quiet.set()

    async def _read(self, ask: Ask) -> tuple[bytes, Command]:
        store = self._store
        match ask:
            case LoadUser(user):
                return user_unit(user), Loaded(user, await store.load_user(user))
            case LoadName(name):
                return name, NameLoaded(name, await store.load_name(name))
            case LoadMarks(user, sender):
                return user_unit(user), MarksLoaded(user, sender, await store.load_marks(user, sender))
            case LoadPage(user, after, upto, rows_max, bytes_max, purpose):
                rows = await store.page_mailbox(user, after, upto, rows_max, bytes_max)
                return user_unit(user), Paged(user, after, upto, rows, purpose)
