"""Iris in virtual time: shards, edges, a store that may crash and clients, with no socket, task or thread.

One World is one server process after the other on one store. Nothing happens by itself: `settle` lets everything that
can happen now happen, `wait` moves the clock from one timeout to the next, `step` does one thing that chance chooses.
Equal seeds give equal runs. `audit` looks at the books of every user; tests of a world call it at their end.

Knobs: `hold` (commits are written but not yet durable), `loads` (whether reads are answered), `crash` (the process
dies; the last commit may be torn between users) and restart with the next epoch, `fabric.faults`, `fabric.passes` and
`fabric.lose`, `shift` (the wall clock alone).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from iris.core import tokens
from iris.core.catalogue import Limits
from iris.core.commands import RequestIn
from iris.core.frames import ACCEPTED, CLOSE, CLOSED, DELIVER, HELLO, RECEIPT
from iris.core.ids import handle_unit, user_unit
from iris.core.mailbox import DAY_MS, imbalance
from iris.core.requests import Auth, CreateUser, Done, LinkDevice, Linked, NameHolders, Operation, Request, Result
from iris.core.requests import LookUpName as LookUp
from iris.core.rows import ROW_REFUSED, MessageRow, Write
from iris.core.turn import Now
from iris.core.user import User
from iris.edge.edge import Edge
from iris.edge.sessions import EdgeSettings
from iris.fabric.port import Renewed
from iris.store.memory import MemoryStore, at_once
from tests.support.world_client import Client, Shown
from tests.support.world_node import Fabric, Node

KID, KEY = "k1", b"k" * 32
WALL = 1_700_000_000_000
LEEWAY_MS = 60_000
ROUNDS_MAX = 20_000  # a world that is not quiet after so many rounds never will be


class EdgeEnd:
    """An edge with its engine: connections of clients, frames in both directions."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.up: deque[tuple[Any, ...]] = deque()
        self.conns: dict[int, Client] = {}
        settings = EdgeSettings(number, bytes(8), LEEWAY_MS)
        self.edge = Edge(settings, world.limits, lambda: {KID: KEY})

    def open(self, client: Client) -> int:
        """A new connection; its id is never used again. No two are opened in one ms: edges order them by time."""
        self.world.time += 1
        self.world.conns_made += 1
        self.conns[self.world.conns_made] = client
        return self.world.conns_made

    def cut(self, conn: int, *, late: bool) -> None:
        """The client's end is gone. late: some of what it sent was on its way, and is read."""
        if self.conns.pop(conn, None) is None:
            return
        greeted = any(frame[0] == HELLO and frame[1] == conn for frame in self.up)
        if late:
            mine = [frame for frame in self.up if frame[1] == conn]
            lost = mine[self.world.chance.randint(1, max(1, len(mine))) :]
            self.up = deque(frame for frame in self.up if frame not in lost)
            self.run()
        elif greeted:  # the edge never hears of it
            self.up = deque(frame for frame in self.up if frame[1] != conn)
            return
        self.up = deque(frame for frame in self.up if frame[1] != conn)
        self.up.append((CLOSED, conn, 1006))

    def receive(self, node: int, number: int, batch: Sequence[tuple[Any, ...]]) -> None:
        self.edge.now = self.world.now()
        self.edge.on_items(node, number, batch)
        self.flush()

    def renewed(self, node: int, answer: Renewed) -> None:
        self.edge.now = self.world.now()
        self.edge.on_renewed(node, answer)
        self.flush()

    @property
    def due(self) -> bool:
        when = self.edge.next_timeout()
        return bool(self.up) or (when is not None and when <= self.world.now().mono)

    def run(self) -> None:
        """Take what clients have sent, and what time has brought."""
        self.edge.now = self.world.now()
        self.edge.run_timeouts(self.edge.now.mono)
        frames, self.up = list(self.up), deque()
        self.edge.on_frames(frames)
        self.flush()

    def flush(self) -> None:
        edge, fabric = self.edge, self.world.fabric
        frames, edge.to_engine = edge.to_engine, []
        renewals, edge.renewals = edge.renewals, []
        for frame in frames:
            self._to_client(frame)
        for node, number, units in edge.take_units():
            fabric.to_node(node, edge.settings.number, number, units)
        for node, number, sent in renewals:
            fabric.renew(node, edge.settings.number, number, sent)

    def _to_client(self, frame: tuple[Any, ...]) -> None:
        conn = frame[1]
        client = self.conns.get(conn)
        if client is None:
            return
        self.world.on_frame(client, frame)
        if frame[0] == CLOSE:
            del self.conns[conn]
            self.up.append((CLOSED, conn, frame[2]))
            client.lost(frame[2])
        else:
            client.inbox.append(frame)


class World:
    """See the module's text."""

    def __init__(self, *, seed: int = 0, edges: int = 1, num_shards: int = 8, **limits: int) -> None:
        self.chance = random.Random(seed)
        self.limits = Limits(**limits)
        self.hold = False
        self.loads = True
        self.time = 0  # ms since the world began
        self.wall_shift = 0
        self.horizon = 0
        self.clients: list[Client] = []
        self.duplicates: list[tuple[Client, Shown]] = []
        self.conns_made = self._ids = self._requests = 0
        self._edges_wanted = edges
        self._stored: dict[tuple[bytes, bytes, bytes], int] = {}  # (user, sender, message_id) -> seq
        self._durable: set[tuple[bytes, int]] = set()  # (user, seq) of every row that was ever durable
        self._submitted: list[MessageRow] = []
        self.fabric = Fabric(lambda: self.time, self.chance)
        self.store = MemoryStore(num_shards, seed, auto=False)
        self._boot()

    # --- time ---
    @property
    def wall(self) -> int:
        return WALL + self.time + self.wall_shift

    def now(self) -> Now:
        """As the server's clock says it: mono counts from the start of the process."""
        return Now(self.time - self._booted_at, self.wall, self.horizon)

    def shift(self, ms: int) -> None:
        """The wall clock jumps; nothing else does."""
        self.wall_shift += ms

    def days(self, days: float) -> None:
        """Days pass at once: no timeout runs in between, and the horizon follows."""
        self.shift(int(days * DAY_MS))
        self.horizon = max(self.horizon, self.wall - self.limits.message_days * DAY_MS)

    # --- the process ---
    def _boot(self) -> None:
        self._booted_at = self.time
        self.fabric.clear()
        self.node = Node(self.store, self.fabric, self.limits, self.now, self._on_commit)
        self.edges = [EdgeEnd(self, number) for number in range(self._edges_wanted)]
        self.fabric.node = self.node
        self.fabric.edges = dict(enumerate(self.edges))
        self.node.wake(at_once(self._with_outbox()))

    async def _with_outbox(self) -> list[bytes]:
        return [user async for user in self.store.users_with_outbox()]

    def crash(self, *, torn: bool = False) -> None:
        """kill -9 and a restart. torn: of the commit that was not durable, some users' rows are there."""
        for client in self.clients:
            client.lost(None)
        self.store = self.store.crash(torn=torn)
        self._after_crash()
        self._boot()

    def sweep(self) -> None:
        """Wake every user, as upkeep does in turn."""
        self.node.wake(at_once(self.store.users(b"", 1 << 30)))
        self.settle()

    def user(self, user: bytes) -> User:
        """A user in memory."""
        return self.node.users[user]

    # --- what happens ---
    def settle(self) -> None:
        """Everything that can happen now happens."""
        for _ in range(ROUNDS_MAX):
            done = [work() for work in self._works()]
            if True not in done:
                return
        raise AssertionError("it goes on for ever")

    def wait(self, ms: int) -> None:
        """Time passes, timeout by timeout."""
        end = self.time + ms
        for _ in range(ROUNDS_MAX):
            self.settle()
            due = [when for when in self._timeouts() if when <= end]
            self.time = max(self.time, min(due)) if due else end
            for client in self.clients:
                client.tick()
            if not due:
                self.settle()
                return
        raise AssertionError("too many timeouts")

    def step(self) -> None:
        """One thing that chance chooses; when nothing can happen, time passes."""
        works = self._works()
        for work in self.chance.sample(works, len(works)):
            if work():
                return
        self.time += self.chance.choice([1, 10, 300, 2_000])
        for client in self.clients:
            client.tick()

    def _works(self) -> list[Callable[[], bool]]:
        return [self.fabric.deliver, *(self._runner(end) for end in self.edges), self._turn, self.sync, self._read,
                *(self._reader(client) for client in self.clients)]  # fmt: skip

    @staticmethod
    def _runner(end: EdgeEnd) -> Callable[[], bool]:
        def work() -> bool:
            due = end.due
            if due:
                end.run()
            return due

        return work

    @staticmethod
    def _reader(client: Client) -> Callable[[], bool]:
        def work() -> bool:
            read = client.step()
            if client.auto and not client.inbox and (read or client.dirty):
                client.commit()
            return read

        return work

    def _turn(self) -> bool:
        due = self.node.due
        if due:
            self.node.run()
        return due

    def sync(self, *, force: bool = False) -> bool:
        """The commit under way becomes durable, unless commits are held."""
        if not self.store.outstanding or (self.hold and not force):
            return False
        self._durable.update((row.user, row.seq) for row in self._submitted)
        self.store.sync()
        return True

    def _read(self) -> bool:
        if not self.node.asks or not self.loads:
            return False
        self.node.read(self.chance.randrange(len(self.node.asks)) if self.fabric.faults.delay else 0)
        return True

    def _timeouts(self) -> list[int]:
        start = self._booted_at
        mono = [self.node.next_timeout(), *(end.edge.next_timeout() for end in self.edges)]
        due = [start + when for when in mono if when is not None]
        due += [when for client in self.clients if (when := client.next_timeout()) is not None]
        parcel = self.fabric.next_timeout()
        return due if parcel is None else [*due, parcel]

    # --- people ---
    def ask(self, unit: bytes, operation: Operation, auth: Auth | None = None) -> Result | None:
        """One request of the API and its answer; None when there is none at this time."""
        number = self.post(unit, operation, auth)
        self.settle()
        return self.node.replies.pop(number, None)

    def post(self, unit: bytes, operation: Operation, auth: Auth | None = None) -> int:
        """Ask and go on; the answer will be in `node.replies`."""
        self._requests += 1
        self.fabric.to_units([(unit, RequestIn(unit, Request(self._requests, unit, auth, operation)))])
        return self._requests

    def register(self, handle: str, *, invite: str = "") -> bytes:
        """A new user, by the real request; the user id."""
        user = self.new_id()
        assert self.ask(user_unit(user), CreateUser(handle, handle.title(), "hash", invite)) == Done()
        return user

    def link(self, user: bytes, name: str = "phone") -> Client:
        """A new device of a user, not yet connected."""
        linked = self.ask(user_unit(user), LinkDevice(name, self.new_id()))
        assert isinstance(linked, Linked), linked
        client = Client(self, user, linked.device, linked.gen)
        self.clients.append(client)
        return client

    def join(self, handle: str, devices: int = 1) -> list[Client]:
        """A new user with connected devices."""
        user = self.register(handle)
        clients = [self.link(user, f"device {number}") for number in range(devices)]
        for client in clients:
            client.connect()
        self.settle()
        return clients

    def holders(self, handle: str) -> tuple[bytes, ...]:
        """Who has a handle, as the name's unit says."""
        found = self.ask(handle_unit(handle), LookUp())
        assert isinstance(found, NameHolders)
        return found.users

    def token(self, client: Client, *, lifetime_ms: int = 3_600_000) -> str:
        """An access token of a device, as the API issues it."""
        return tokens.issue(
            kid=KID, key=KEY, user=client.user, device=client.device, gen=client.gen, jti=client.jti,
            now_ms=self.wall, lifetime_ms=lifetime_ms,
        )[0]  # fmt: skip

    def new_id(self) -> bytes:
        """16 bytes that were never given before."""
        self._ids += 1
        return b"\x00\x01" + self._ids.to_bytes(14, "big")

    # --- watching ---
    def on_duplicate(self, client: Client, row: Shown) -> None:
        """A client was sent a message of somebody else again that it has; after a reset it must expect that."""
        if client.welcome is None or not client.welcome.reset:
            self.duplicates.append((client, row))

    def on_receipt(self, client: Client, frame: Any) -> None:
        """No receipt may claim what no device of the peer has."""
        assert frame[0] == RECEIPT
        peers = [one for one in self.clients if one.user != client.user and one.user in _members(frame.conversation)]
        if peers:
            assert frame.delivered <= max(one.best for one in peers), "delivered, but no device has it"
            said = [
                places.get(frame.conversation, 0) for one in peers for places in (one.saved.wanted, one.saved.reads)
            ]
            assert frame.read <= max(said), "read, but nobody has said so"

    def on_frame(self, client: Client, frame: tuple[Any, ...]) -> None:
        """Nothing is said of a row that is not durable."""
        if frame[0] == DELIVER:
            assert (client.user, frame[2]) in self._durable, "Deliver before its commit"
        elif frame[0] == ACCEPTED:
            peer = next(member for member in _members(frame[2]) if member != client.user)
            assert (peer, frame[6]) in self._durable, "Accepted before its commit"

    def honest(self, user: bytes) -> bool:
        """Whether a user gives each message an id of its own."""
        return True

    def _on_commit(self, writes: Sequence[Write]) -> None:
        self._submitted = [row for row in writes if isinstance(row, MessageRow)]
        for row in self._submitted:
            if row.kind != ROW_REFUSED and self.honest(row.sender):
                known = self._stored.setdefault((row.user, row.sender, row.message_id), row.seq)
                assert known == row.seq, f"stored twice: {row}"

    def _after_crash(self) -> None:
        """What was not durable may be there, or gone."""
        for row in self._submitted:
            if row in at_once(self.store.page_mailbox(row.user, row.seq - 1, row.seq, 1, 1)):
                self._durable.add((row.user, row.seq))
            elif (row.user, row.seq) not in self._durable:
                self._stored.pop((row.user, row.sender, row.message_id), None)
        self._submitted = []

    def audit(self) -> None:
        """The books of every user: to the last (row, device) pair, in memory and in the store alike."""
        if self.store.outstanding:
            self.sync(force=True)
        assert self.duplicates == []
        for user in self.node.users.values():
            assert imbalance(user) == 0, f"books of {user.id.hex()} are off by {imbalance(user)}"
        for name in at_once(self.store.users(b"", 1 << 30)):
            rows = at_once(self.store.load_user(name))
            user = User(name, rows)
            assert imbalance(user) == 0, f"stored books of {name.hex()} are off by {imbalance(user)}"
            kept = at_once(self.store.page_mailbox(name, 0, 1 << 63, 1 << 30, 1 << 60))
            for device in user.devices:
                lacks = sum(row.seq > device.seq and row.kind != ROW_REFUSED for row in kept)
                assert lacks == user.pos - device.pos, f"device {device.number} lacks {lacks} rows"


def _members(conversation: bytes) -> tuple[bytes, bytes]:
    return conversation[:16], conversation[16:]
