"""A shard node on an event loop: gives NodeCore the time, its commits to the store, what it says to the fabric.

After a failed commit nothing more is released: the process must stop. At most loads_max batches of reads are under
way at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from iris.core.catalogue import Limits
from iris.core.commands import RequestIn
from iris.core.requests import Request, Result
from iris.core.shard import Residents, Shard
from iris.core.turn import Ask, Now, Turn
from iris.fabric.port import Fabric, ToUnits
from iris.shard.core import NodeCore
from iris.shard.loads import load
from iris.shard.trace import Trace
from iris.store.port import Store, StoreError

READING_S: Final = 0.001  # reads in one go; a user of an embedded store takes a tenth of that


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
        number: int = 0,
    ) -> None:
        """clock: the time of a turn. on_fatal: the store has failed; stop. on_committed: seconds from submit to
        durable. number: what edges call this node.
        """
        self.trace = Trace()
        self.core = NodeCore(number, limits, store.epoch, store.num_shards, self.trace.note)
        self._store = store
        self._fabric = fabric
        self._clock = clock
        self._on_fatal = on_fatal
        self._on_committed = on_committed
        self._loop = asyncio.get_running_loop()
        self._loads = asyncio.Semaphore(limits.loads_max)
        self._tasks: set[asyncio.Task[None]] = set()
        self._replies: dict[int, asyncio.Future[Result]] = {}
        self._requests = 0
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._failed = False
        self._quiet = asyncio.Event()

    # --- from the fabric ---
    def receive(self, batch: ToUnits) -> None:
        """Commands for units of this node; taken up in the next turn."""
        self.core.receive(batch)
        self._schedule()

    def receive_from(self, edge: int, number: int, batch: ToUnits) -> None:
        """The batch of this number of an edge."""
        self.core.receive_from(edge, number, batch)
        self._schedule()

    def renew(self, edge: int, number: int, sent: int) -> None:
        """An edge renews its lease."""
        if self._failed:
            return
        self.core.renew(edge, number, sent, self._clock())
        self._flush()
        self._go_on()

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
    def turn(self) -> Turn:
        """What the shards share."""
        return self.core.turn

    @property
    def residents(self) -> Residents:
        """The users in memory."""
        return self.core.residents

    @property
    def shards(self) -> Iterable[Shard]:
        """The shards that have been used."""
        return self.core.shards.values()

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
        core = self.core
        return self._failed or not (self._scheduled or core.committing or self._tasks or core.waiting)

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
            self.core.run(self._clock())
            self._flush()
        except Exception as error:
            self._fail(StoreError(f"a shard failed and may not go on: {error!r}"))
            raise
        self._arm()
        self._go_on()
        if self._settled():
            self._quiet.set()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.run)

    def _go_on(self) -> None:
        """Another turn, if this one has left something that need not wait for the disk."""
        if self.core.ready:
            self._schedule()

    def _arm(self) -> None:
        """Wake for the next timeout."""
        when = self.core.next_timeout()
        if when is None:
            return
        now = self.core.turn.now.mono
        if self._timer is not None:
            if self._timer_at <= when and not self._timer.cancelled() and self._timer_at > now:
                return
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_later(max(0, when - now) / 1000, self._schedule)

    # --- what the core says ---
    def _flush(self) -> None:
        """Do what the core wants done; then submit its commit."""
        core, fabric = self.core, self._fabric
        out = core.take()
        for edge, number, batch in out.edges:
            fabric.to_edge(edge, core.number, number, batch)
        if out.units:
            fabric.to_units(out.units)
        for edge, answer in out.renewed:
            fabric.renewed(edge, core.number, answer)
        for request, result in out.replies:
            future = self._replies.get(request)
            if future is not None and not future.done():
                future.set_result(result)
        if out.asks:
            task = self._loop.create_task(self._answer(out.asks))
            self._tasks.add(task)
            task.add_done_callback(self._answered)
        writes = core.take_commit()
        if writes is not None:
            started = self._loop.time()
            self._store.submit(writes, lambda error: self._durable(error, started))

    def _durable(self, error: StoreError | None, started: float) -> None:
        if error is not None:
            self._fail(error)
            return
        if self._failed:
            return
        self._on_committed(self._loop.time() - started)
        self.core.durable(self._clock())
        self._flush()
        self._go_on()
        if self._settled():
            self._quiet.set()

    # --- loads ---
    async def _answer(self, asks: Sequence[Ask]) -> None:
        """Read what a turn asks for. An embedded store reads on this event loop, so others get a turn now and then."""
        async with self._loads:
            answers: list[tuple[bytes, tuple[Any, ...]]] = []
            pause_at = self._loop.time() + READING_S
            for ask in asks:
                answers.append(await load(self._store, ask))
                if self._loop.time() >= pause_at:
                    self.receive(answers)
                    answers = []
                    await asyncio.sleep(0)
                    pause_at = self._loop.time() + READING_S
            self.receive(answers)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error if isinstance(error, StoreError) else StoreError(f"a read failed: {error!r}"))
        elif self._settled():
            self._quiet.set()
