"""Fixed work for the Python core: a real Edge and a real NodeCore talk, with clients and a store that do not vary.

No socket, task, clock or chance: the same calls with the same arguments each time. Clients are as the load generator's:
they ack what they have taken once in a round. Rows are encoded as for RocksDB. Each part yields its work and the number
of units in it (messages or log-ins), so that a count can be told for one unit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from iris.core import tokens
from iris.core.catalogue import Limits
from iris.core.commands import RequestIn
from iris.core.frames import ACCEPTED, ACK, CLOSED, DELIVER, HELLO, RECEIPT, SEND, WELCOME, Ack, Closed, Hello, Send
from iris.core.ids import direct_conversation, user_text, user_unit
from iris.core.requests import CreateUser, LinkDevice, Linked, Operation, Request, Result
from iris.core.rows import UserRows
from iris.core.turn import Now
from iris.edge.edge import Edge
from iris.edge.sessions import EdgeSettings
from iris.shard.core import NodeCore
from iris.shard.loads import load
from iris.shard.trace import Trace
from iris.store.codec import ENCODERS, decode, encode
from iris.store.memory import MemoryStore, at_once

KEYS = {"k1": b"k" * 32}
WALL = 1_764_000_000_000
PAIRS, WINDOW, ROUNDS, LATE = 4, 4, 6, 24
PAYLOAD = b"p" * 128
STEP_MS = 500  # a lease is renewed more rarely
HASH = "h" * 97  # a password's, as long as argon2id's


class Outside:
    """While it is entered, what runs stands for something that is not counted: the store's own work, and clients."""

    on = False
    spent = 0  # ns of CPU, for who counts time

    def __enter__(self) -> None:
        Outside.on = True
        self._entered = time.thread_time_ns()

    def __exit__(self, *failure: object) -> None:
        Outside.spent += time.thread_time_ns() - self._entered
        Outside.on = False


def parts() -> Iterator[tuple[str, Callable[[], None], int]]:
    """(name, work, units of it), to be done in this order."""
    server = Server()
    people = [Person(server, server.register(f"user{number}")) for number in range(2 * PAIRS)]
    pairs = [(people[n], people[n + 1]) for n in range(0, 2 * PAIRS, 2)]
    yield "login", lambda: log_in(server, people), len(people)
    yield "pairs", lambda: exchange(server, pairs, ROUNDS), PAIRS * WINDOW * ROUNDS
    sender, receiver = pairs[0]
    yield "offline", lambda: write_to_absent(server, sender, receiver), LATE
    yield "catch_up", lambda: log_in(server, [receiver]), LATE
    # What was promised came about: else a count would praise work that was left out.
    assert all(person.welcomed for person in people)
    assert [person.accepted for person, _ in pairs] == [WINDOW * ROUNDS + LATE] + [WINDOW * ROUNDS] * (PAIRS - 1)
    assert [person.delivered for _, person in pairs] == [WINDOW * ROUNDS + LATE] + [WINDOW * ROUNDS] * (PAIRS - 1)
    assert all(person.receipts for person, _ in pairs)


def log_in(server: Server, people: list[Person]) -> None:
    """Everybody connects at once, and takes what waits."""
    server.hear([person.hello() for person in people])
    while frames := [frame for person in people for frame in person.acks()]:
        server.hear(frames)


def exchange(server: Server, pairs: list[tuple[Person, Person]], rounds: int) -> None:
    """In each round every sender sends a window; what came is acked with it."""
    for _ in range(rounds):
        frames = [frame for pair in pairs for person in pair for frame in person.acks()]
        for sender, receiver in pairs:
            frames += sender.sends(receiver, WINDOW)
        server.hear(frames)
    while frames := [frame for pair in pairs for person in pair for frame in person.acks()]:
        server.hear(frames)


def write_to_absent(server: Server, sender: Person, receiver: Person) -> None:
    """The receiver leaves; the sender goes on."""
    server.hear([Closed(CLOSED, receiver.conn, 1006)])
    for _ in range(LATE // WINDOW):
        server.hear([*sender.acks(), *sender.sends(receiver, WINDOW)])


class Person:
    """A client: what it has sent and taken, no more than it needs to go on."""

    def __init__(self, server: Server, who: tuple[bytes, Linked]) -> None:
        self.user, linked = who
        self.conn = self.seq = self.rev = self.sent = self.accepted = self.delivered = self.receipts = 0
        self.welcomed = self.dirty = False
        self._server = server
        self._token = tokens.issue(
            kid="k1", key=KEYS["k1"], user=self.user, device=linked.device, gen=linked.gen,
            jti=user_text(self.user)[:16], now_ms=WALL, lifetime_ms=3_600_000,
        )[0]  # fmt: skip

    def hello(self) -> tuple[Any, ...]:
        self.conn = self._server.connect(self)
        return Hello(HELLO, self.conn, self._token, self.seq, self.rev, (), "guard", "")

    def sends(self, peer: Person, count: int) -> list[tuple[Any, ...]]:
        where = direct_conversation(self.user, peer.user)
        frames: list[tuple[Any, ...]] = []
        for _ in range(count):
            self.sent += 1
            name = self.user[-1:] + self.sent.to_bytes(15, "big")
            frames.append(Send(SEND, self.conn, where, 1, self.sent, self.accepted, name, 0, PAYLOAD, 1, 0))
        return frames

    def acks(self) -> list[tuple[Any, ...]]:
        if not self.dirty:
            return []
        self.dirty = False
        return [Ack(ACK, self.conn, self.seq, self.rev)]

    def take(self, frame: Any) -> None:
        kind = frame[0]
        if kind == DELIVER:
            assert frame.prev <= self.seq < frame.seq
            self.seq, self.dirty = frame.seq, True
            self.delivered += 1
        elif kind == RECEIPT:
            self.rev, self.dirty = frame.rev, True
            self.receipts += 1
        elif kind == ACCEPTED:
            self.accepted = frame.client_seq
        else:
            assert kind == WELCOME, frame
            self.welcomed = True


class Store(MemoryStore):
    """Whose users come as from a disk: new objects each time."""

    async def load_user(self, user: bytes) -> UserRows:
        return UserRows._make(_anew(found, user) for found in await super().load_user(user))


def _anew(found: Any, user: bytes) -> Any:
    """A row, a list of rows or None."""
    if isinstance(found, list):
        return [_anew(row, user) for row in found]
    return None if found is None else decode(*encode(found), user)


class Server:
    """The cores of an edge and a node, joined by hand as the shells and the fabric of one process join them."""

    def __init__(self, store: type[Store] = Store) -> None:
        self._time = 0
        self._ids = 0
        self._store = store(num_shards=8, auto=False)
        self.restart()

    def restart(self) -> None:
        """Nothing is left but the store."""
        limits = Limits()
        self._node = NodeCore(0, limits, self._store.epoch, self._store.num_shards, Trace().note)
        self._edge = Edge(EdgeSettings(0, bytes(8), 60_000), limits, lambda: KEYS)
        self._people: dict[int, Person] = {}
        self._replies: dict[int, Result] = {}
        self._tell_edge(lambda: self._edge.run_timeouts(self._time))  # the lease

    def connect(self, person: Person) -> int:
        """The number of a new connection."""
        self._ids += 1
        self._people[self._ids] = person
        return self._ids

    def register(self, handle: str) -> tuple[bytes, Linked]:
        """A new user with a device."""
        user = b"\x00\x01" + handle.encode().ljust(14, b"\x00")
        self._ask(user, CreateUser(handle, handle, HASH, ""))
        linked = self._ask(user, LinkDevice("phone", user * 2))
        assert isinstance(linked, Linked), linked
        return user, linked

    def hear(self, frames: list[tuple[Any, ...]], ms: int = 20) -> None:
        """What clients say, with all that follows from it, `ms` after the last time."""
        self._time += ms
        with Outside():
            plain = [tuple(frame) for frame in frames]  # as the engine hands them over
        self._tell_edge(lambda: self._edge.on_frames(plain))
        self._settle()

    def wait(self, ms: int) -> None:
        """Nobody says anything for so long."""
        for _ in range(0, ms, STEP_MS):
            self._time += STEP_MS
            self._tell_edge(lambda: self._edge.run_timeouts(self._time))
            self._node.run(self._now())
            self._flush()
            self._settle()

    def _now(self) -> Now:
        return Now(self._time, WALL + self._time, 0)

    def _ask(self, user: bytes, operation: Operation) -> Result:
        self._ids += 1
        unit = user_unit(user)
        self._node.receive([(unit, RequestIn(unit, Request(self._ids, unit, None, operation)))])
        self._settle()
        return self._replies.pop(self._ids)

    def _settle(self) -> None:
        """Turns and commits until nothing is left to do."""
        while self._node.waiting or self._store.outstanding:
            if self._node.waiting:
                self._node.run(self._now())
                self._flush()
            if self._store.outstanding:
                with Outside():
                    self._store.sync()
                self._node.durable(self._now())
                self._flush()

    def _flush(self) -> None:
        node = self._node
        out = node.take()
        for _, number, items in out.edges:
            self._tell_edge(lambda number=number, items=items: self._edge.on_items(0, number, items))  # type: ignore[misc]
        if out.units:
            node.receive(out.units)
        for _, answer in out.renewed:
            self._tell_edge(lambda answer=answer: self._edge.on_renewed(0, answer))  # type: ignore[misc]
        self._replies.update(out.replies)
        if out.asks:
            with Outside():
                answers = [at_once(load(self._store, ask)) for ask in out.asks]
            node.receive(answers)
        writes = node.take_commit()
        if writes is not None:
            for write in writes:
                encoder = ENCODERS.get(type(write))
                if encoder is not None:
                    encoder(write)
            with Outside():
                self._store.submit(writes, never_fails)

    def _tell_edge(self, what: Callable[[], None]) -> None:
        edge = self._edge
        edge.now = self._now()
        what()
        frames, edge.to_engine = edge.to_engine, []
        renewals, edge.renewals = edge.renewals, []
        assert not edge.mistakes, edge.mistakes
        with Outside():
            for frame in frames:
                self._people[frame[1]].take(frame)  # type: ignore[index]
        for _, number, units in edge.take_units():
            self._node.receive_from(0, number, units)
        for _, number, sent in renewals:
            self._node.renew(0, number, sent, self._now())
            self._flush()


def never_fails(error: Exception | None) -> None:
    """What a commit's end is told to."""
    assert error is None
