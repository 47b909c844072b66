"""A server of the simulated cluster: the real NodeCore and the real Edge on a store in memory, process after process.

A Server is the machine: its number, its disk, its clock. A Process is one life of the software on it; what is addressed
to an earlier life is lost. What the asyncio shells do between the cores (src/iris/shard/node.py, edge/shell.py) is done
here by events of the world.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from iris.core import frames as f
from iris.core.commands import Wake
from iris.core.ids import user_unit
from iris.core.rows import NodeRow, Write
from iris.core.turn import Ask, Now
from iris.edge.edge import Edge
from iris.edge.sessions import EdgeSettings
from iris.fabric.port import Renewed, ToUnits
from iris.shard.core import NodeCore
from iris.shard.loads import load
from iris.shard.upkeep import HORIZON, SWEEP_USERS, Horizon, Rounds
from iris.store.memory import MemoryStore, at_once
from iris.store.port import StoreError
from iris_sim.codec import Frame
from iris_sim.network import Conn

if TYPE_CHECKING:
    from iris_sim.world import World

WALL: Final = 1_700_000_000_000  # ms since 1970 when a world begins
HORIZON_PACE: Final = 2
TURN: Final = 20  # µs from an event to the turn that takes it up


class Server:
    """One machine."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number = world, number
        self.chance = random.Random(world.plan.seed * 64 + number)
        self.store = MemoryStore(world.plan.num_shards, world.plan.seed * 64 + number, auto=False)
        self.shift = 0  # ms, of its wall clock
        self.sync = world.plan.disk  # µs
        self.read = world.plan.read
        self.full = False  # the next sync fails
        self.restored = False
        self.backups: list[str] = []
        self.lives = 0
        self.process = Process(self)
        self._set_back = False  # its store, to a backup, since it last started
        self._down = 0  # numbers the stops: only the last one's restart counts

    @property
    def alive(self) -> bool:
        return self.process.alive

    @property
    def core(self) -> NodeCore:
        return self.process.core

    @property
    def edge(self) -> Edge:
        return self.process.edge

    def wall(self) -> int:
        """ms since 1970 by this machine's clock."""
        return WALL + self.world.now // 1000 + self.shift

    def mono(self) -> int:
        """ms since its process started."""
        return (self.world.now - self.process.booted) // 1000

    def crash(self, *, torn: bool, downtime: int) -> None:
        """kill -9; it starts again after `downtime` µs."""
        process = self.process
        if not process.alive:
            return
        pending = process.pending
        process.stop()
        before = self.store
        self.store = before.crash(torn=torn)
        kept = {id(write) for write in before.survived}
        self.world.watch.crashed(self, [write for write in pending if id(write) not in kept], before.survived)
        self._start_later(downtime)

    def backup(self, name: str) -> None:
        """A copy of everything durable."""
        self.store.backup(name)
        self.backups = [*self.backups[-3:], name]

    def drain(self, downtime: int) -> None:
        """Stopped in order: clients are told, then what is under way is done."""
        process = self.process
        process.edge.now = process.now()
        process.edge.go_away()
        process.flush_edge()
        self.world.after(self.world.limits.go_away_ms * 1000, process.hand, self._drained, process, downtime)

    def _drained(self, process: Process, downtime: int) -> None:
        process.edge.now = process.now()
        process.edge.close_all()
        process.flush_edge()
        store = self.store
        while self.store is store and store.outstanding:  # a commit may be followed by the next
            process.synced(store)
        if self.store is not store:
            return  # its disk was full: it has crashed
        process.stop()
        self.store = self.store.reopen()
        self.world.watch.crashed(self, (), ())
        self._start_later(downtime)

    def restore(self, backup: str, downtime: int) -> None:
        """The store is set back to a backup."""
        process = self.process
        pending = process.pending if process.alive else ()
        process.stop()
        self.store = self.store.restore(backup)
        self.restored = self._set_back = True
        self.world.watch.crashed(self, pending, ())
        self._start_later(downtime)

    def _start_later(self, downtime: int) -> None:
        self._down += 1
        self.world.trouble()
        self.world.after(downtime, self._start, self._down)

    def start_now(self) -> None:
        """Do not wait any longer."""
        if not self.alive:
            self._start(self._down)

    def _start(self, down: int) -> None:
        if self.alive or down != self._down:
            return
        self.world.trouble()
        self.process = Process(self)
        set_back, self._set_back = self._set_back, False
        self.process.start(set_back)


class Process:
    """One life of a server's software."""

    def __init__(self, server: Server) -> None:
        world = self.world = server.world
        self.server = server
        server.lives += 1
        self.alive = True
        self.paused = False
        self.booted = world.now
        self.conns: dict[int, Conn] = {}
        self.pending: Sequence[Write] = ()  # the commit under way
        store, plan = server.store, world.plan
        self.number = server.number + plan.nodes * server.lives  # of the edge: another life is another edge
        self.core = NodeCore(server.number, world.limits, store.epoch, store.num_shards)
        settings = EdgeSettings(self.number, self.number.to_bytes(8, "big"), plan.leeway_ms, tuple(range(plan.nodes)))
        self.edge = Edge(settings, world.limits, world.keys, owner=world.owner)
        stored = at_once(store.node_value(HORIZON))
        self.horizon = Horizon(stored, server.wall(), world.limits.message_days, HORIZON_PACE)
        self._first = stored is None
        self._now = Now(-1, 0, 0)
        self._frames: list[Frame] = []
        self._held: list[tuple[Callable[..., None], tuple[Any, ...]]] = []  # while it stands still
        self._edge_due = self._node_due = False
        self._armed = 1 << 62  # µs of the next look at the timeouts
        self._rounds = Rounds()
        world.edges[self.number] = self

    def start(self, restored: bool) -> None:
        """Begin to work."""
        self.world.watch.booted(self.server, restored)
        if self._first:
            self.core.turn.write(NodeRow(HORIZON, self.horizon.value))
            self._run_node()
        self._wake(at_once(_with_outbox(self.server.store)))
        self._run_edge()
        self.world.after(self.world.plan.sweep, self.hand, self._sweep)

    def stop(self) -> None:
        """It is gone, with everything that was under way in it."""
        self.alive = False
        self.world.edges.pop(self.number, None)
        conns, self.conns = self.conns, {}
        for conn in conns.values():
            conn.dropped()

    def now(self) -> Now:
        """The time of a turn: mono counts from the start of the process."""
        mono = (self.world.now - self.booted) // 1000
        wall = self.server.wall()
        known = self._now
        if known.mono != mono or known.wall != wall:
            known = self._now = Now(mono, wall, self.horizon.move(mono, wall))
        return known

    def hand(self, call: Callable[..., None], *args: Any) -> None:
        """Something arrives; in its time when the process stands still, never when it is gone."""
        if self.paused:
            self._held.append((call, args))
        elif self.alive:
            call(*args)

    def pause(self, duration: int) -> None:
        """Stand still for so long (µs)."""
        if self.alive and not self.paused:
            self.paused = True
            self.world.after(duration, self.go_on)

    def go_on(self) -> None:
        """Take up what has come meanwhile."""
        if not self.paused:
            return
        self.paused = False
        self.world.trouble()
        held, self._held = self._held, []
        for call, args in held:
            self.hand(call, *args)

    # --- the edge ---
    def take(self, frame: Frame) -> None:
        """A frame of a client."""
        self.world.watch.took(self.server, frame)
        self._frames.append(frame)
        if not self._edge_due:
            self._edge_due = True
            self.world.after(TURN, self.hand, self._run_edge)

    def items(self, node: int, number: int, batch: list[tuple[Any, ...]]) -> None:
        """A batch of a node, for the edge."""
        self.edge.now = self.now()
        self.edge.on_items(node, number, batch)
        self.flush_edge()

    def renewed(self, node: int, answer: Renewed) -> None:
        """A node's answer to a renewal."""
        self.edge.now = self.now()
        self.edge.on_renewed(node, answer)
        self.flush_edge()

    def _run_edge(self) -> None:
        self._edge_due = False
        edge = self.edge
        now = edge.now = self.now()
        frames, self._frames = self._frames, []
        edge.run_timeouts(now.mono)
        if frames:
            edge.on_frames(frames)
        self.flush_edge()

    def flush_edge(self) -> None:
        """Carry away what the edge wants said."""
        edge, world = self.edge, self.world
        if edge.mistakes:
            world.mistaken(edge.mistakes)
        if edge.to_engine:
            self._to_engine()
        if edge.to_units:
            servers, links = world.servers, world.links[self.server.number]
            for node, number, batch in edge.take_units():
                links[node].carry(_to_node, servers[node], self.number, number, batch)
        if edge.renewals:
            servers, links = world.servers, world.links[self.server.number]
            renewals, edge.renewals = edge.renewals, []
            for node, number, sent in renewals:
                links[node].carry(_renew, servers[node], self.number, number, sent)
        self._arm(edge.next_timeout())

    def _to_engine(self) -> None:
        frames, self.edge.to_engine = self.edge.to_engine, []
        said, server, conns = self.world.watch.said, self.server, self.conns
        batches: dict[int, list[Frame]] = {}
        for frame in frames:
            number = frame[1]
            conn = conns.get(number)  # type: ignore[call-overload]
            if conn is None:
                said(server, None, frame)
                continue
            if conn.closing:
                continue  # the engine says nothing after a close frame
            said(server, conn.device, frame)
            batch = batches.get(number)  # type: ignore[call-overload]
            if batch is None:
                batches[number] = [frame]  # type: ignore[index]
            elif batch[-1][0] != f.CLOSE:
                batch.append(frame)
        for number, batch in batches.items():
            conns[number].deliver(batch)

    # --- the node ---
    def receive(self, batch: ToUnits) -> None:
        """Commands of other units, the API or the store."""
        self.core.receive(batch)
        self._schedule()

    def receive_from(self, edge: int, number: int, batch: list[tuple[bytes, tuple[Any, ...]]]) -> None:
        """A batch of an edge."""
        self.core.receive_from(edge, number, batch)
        self._schedule()

    def renew(self, edge: int, number: int, sent: int) -> None:
        """An edge renews its lease."""
        self.core.renew(edge, number, sent, self.now())
        self._flush_node()
        self._go_on()

    def _schedule(self) -> None:
        if not self._node_due:
            self._node_due = True
            self.world.after(TURN, self.hand, self._run_node)

    def _run_node(self) -> None:
        self._node_due = False
        self.core.run(self.now())
        self._flush_node()
        self._go_on()
        self.world.watch.turned(self.server)

    def _flush_node(self) -> None:
        core, world, number = self.core, self.world, self.server.number
        out = core.take()
        links = world.links[number]
        for edge, batch_number, batch in out.edges:
            links[edge % world.plan.nodes].carry(_to_edge, world, edge, number, batch_number, batch)
        if out.units:
            for node, units in world.by_owner(out.units):
                links[node].carry(_to_units, world.servers[node], units)
        for edge, answer in out.renewed:
            links[edge % world.plan.nodes].carry(_renewed, world, edge, number, answer)
        for request, result in out.replies:
            world.api.reply(number, request, result)
        for ask in out.asks:
            world.after(self._reading(), self.hand, self._read, ask)
        writes = core.take_commit()
        if writes is not None:
            self._submit(writes)
        self._arm(core.next_timeout())

    # --- the store ---
    def _submit(self, writes: list[Write]) -> None:
        server = self.server
        self.pending = writes
        self.world.watch.submitted(server, writes)
        server.store.submit(writes, self._synced)
        chance = server.chance.random()
        self.world.after(int(server.sync * (0.3 + chance)), self.synced, server.store)

    def synced(self, store: MemoryStore) -> None:
        """The disk has answered."""
        if not self.alive or self.server.store is not store or not store.outstanding:
            return
        if self.server.full:
            self.server.full = False
            store.fail()
            return
        self.world.watch.durable(self.server, self.pending)
        store.sync()

    def _synced(self, error: StoreError | None) -> None:
        if error is not None:  # the process must stop; nothing of the commit may be said
            self.server.crash(torn=True, downtime=self.world.plan.disk + 500_000)
            return
        self.pending = ()
        self.hand(self._durable)

    def _durable(self) -> None:
        self.core.durable(self.now())
        self._flush_node()
        self._go_on()

    def _go_on(self) -> None:
        if self.core.ready:
            self._schedule()

    def _reading(self) -> int:
        return int(self.server.read * (0.2 + 2 * self.server.chance.random()))

    def _read(self, ask: Ask) -> None:
        self.receive([at_once(load(self.server.store, ask))])

    # --- upkeep ---
    def _sweep(self) -> None:
        """A round of src/iris/shard/upkeep.py."""
        users = at_once(self.server.store.users(self._rounds.after, SWEEP_USERS))
        self.receive(self._rounds.wake(users))
        if self._rounds.horizon_due(self.now().mono):
            self.core.turn.write(NodeRow(HORIZON, self.horizon.value))
            self._schedule()
        if "restore_store" in self.world.plan.faults and not self.world.healing:
            self.server.backup(f"at {self.world.now}")
        self.world.after(self.world.plan.sweep, self.hand, self._sweep)

    def _wake(self, users: Sequence[bytes]) -> None:
        if users:
            self.receive([(user_unit(user), Wake(user)) for user in users])

    def wake_all(self) -> None:
        """Every user of the store is looked at."""
        self._wake(at_once(self.server.store.users(b"", 1 << 30)))

    # --- time ---
    def _arm(self, timeout: int | None) -> None:
        if timeout is None:
            return
        when = self.booted + timeout * 1000
        if when < self._armed:
            self._armed = when
            self.world.at(when, self.hand, self._timeout, when)

    def _timeout(self, when: int) -> None:
        if when != self._armed:
            return
        self._armed = 1 << 62
        mono = (self.world.now - self.booted) // 1000
        due = self.edge.next_timeout()
        if due is not None and due <= mono:
            self._run_edge()
        else:
            self._arm(due)
        due = self.core.next_timeout()
        if due is not None and due <= mono:
            self._run_node()
        else:
            self._arm(due)


async def _with_outbox(store: MemoryStore) -> list[bytes]:
    return [user async for user in store.users_with_outbox()]


# --- what a link calls at its end; the receiver is whoever lives there by then ---
def _to_node(server: Server, edge: int, number: int, batch: list[tuple[bytes, tuple[Any, ...]]]) -> None:
    process = server.process
    process.hand(process.receive_from, edge, number, batch)


def _renew(server: Server, edge: int, number: int, sent: int) -> None:
    process = server.process
    process.hand(process.renew, edge, number, sent)


def _to_units(server: Server, batch: list[tuple[bytes, tuple[Any, ...]]]) -> None:
    process = server.process
    process.hand(process.receive, batch)


def _to_edge(world: World, edge: int, node: int, number: int, batch: list[tuple[Any, ...]]) -> None:
    process = world.edges.get(edge)
    if process is not None:
        process.hand(process.items, node, number, batch)


def _renewed(world: World, edge: int, node: int, answer: Renewed) -> None:
    process = world.edges.get(edge)
    if process is not None:
        process.hand(process.renewed, node, answer)
