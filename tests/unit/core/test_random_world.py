"""Nothing accepted is lost, nothing is stored or shown twice, order is kept, everybody ends equal: by seeds.

Goal: the promises as stated, for the shards, the edge and a client that keeps the protocol. Method: a world with small
windows, several users and devices lives through faults that chance chooses (lost, repeated and delayed batches, commits
cut between users by a crash, clients killed and cut off, users put out of memory); then the faults stop, everything
must come to rest, and the checks read only the clients' profiles, the answers they were given, and the store. While it
runs the world itself checks each frame (World.on_frame, on_receipt, on_duplicate) and each commit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import ClassVar

import pytest

from iris.core.catalogue import CloseCode, ErrorCode
from iris.core.ids import direct_conversation, user_unit
from iris.core.requests import PutBlock
from tests.support.world import World
from tests.support.world_client import Client
from tests.support.world_node import Faults

SMALL = {
    "send_window": 4, "deliver_window": 5, "register_window": 3, "page_rows_max": 3, "trim_rows_min": 3,
    "users_in_memory_max": 1, "marks_in_memory_max": 1, "outbox_window": 2, "outbox_repeat_ms": 500,
    "deliver_repeat_ms": 4_000, "send_repeat_ms": 3_000, "names_in_memory_max": 1,
}  # fmt: skip


class Life:
    """One world and what chance does to it."""

    EXPECTED_ENDS: ClassVar = {None, CloseCode.SHARD_MOVED, CloseCode.SERVER_BUSY}

    def __init__(self, seed: int) -> None:
        self.world = world = World(seed=seed, edges=2, num_shards=4, **SMALL)
        self.chance = chance = world.chance
        self.people: list[list[Client]] = [
            world.join(name, chance.randint(1, 3)) for name in ("ada", "bob", "cyn", "dan")
        ]
        self.clients = world.clients
        self.counts: dict[Client, int] = defaultdict(int)
        self.blocked = chance.random() < 0.3
        if self.blocked:
            ada, cyn = self.people[0][0], self.people[2][0]
            world.ask(user_unit(cyn.user), PutBlock(ada.user), cyn.auth)
            world.wait(1_000)
        self.lossy = chance.random() < 0.5
        if self.lossy:
            world.fabric.faults = Faults(
                chance.choice([0.01, 0.1]), chance.choice([0.01, 0.1]), chance.choice([0.02, 0.2])
            )
        self.pace = chance.choice([0.05, 0.15, 0.4])
        self.back = chance.choice([0.3, 0.7, 1.0])  # how likely a client that was cut off comes back at once
        doings = [self.say, self.read, self.cut, self.kill, self.restart, self.sweep, self.stumble, self.nap,
                  self.come]  # fmt: skip
        weights = [6, *(chance.choice([0, 1, 4]) for _ in doings[1:-1]), 3]
        self.doings = [doing for doing, weight in zip(doings, weights, strict=True) for _ in range(weight)]

    def run(self, steps: int) -> None:
        for _ in range(steps):
            if self.chance.random() < self.pace:
                self.chance.choice(self.doings)()
            self.world.step()

    def come(self) -> None:
        client = self.chance.choice(self.clients)
        if client.conn is None:
            client.connect(self.chance.randrange(2))

    def say(self) -> None:
        client = self.chance.choice(self.clients)
        peer = self.chance.choice([one for one in self.clients if one.user != client.user])
        self.talk(client, peer, self.chance.choice([1, 1, 2, 7]))

    def talk(self, client: Client, peer: Client, count: int) -> None:
        for _ in range(count):
            self.counts[client] += 1
            client.send(peer.user, f"{client.device}:{self.counts[client]:04d}")

    def read(self) -> None:
        client = self.chance.choice(self.clients)
        theirs = [row for row in client.saved.shown if row.sender != client.user]
        if theirs:
            row = self.chance.choice(theirs)
            client.read(row.sender, row.seq)

    def cut(self) -> None:
        client = self.chance.choice(self.clients)
        client.disconnect(late=self.chance.random() < 0.5)
        if self.chance.random() < self.back:
            client.connect(self.chance.randrange(2))

    def kill(self) -> None:
        client = self.chance.choice(self.clients)
        client.kill()
        client.auto = self.chance.random() < 0.8
        if self.chance.random() < self.back:
            client.connect(self.chance.randrange(2))

    def sweep(self) -> None:
        self.world.node.wake([people[0].user for people in self.people])

    def stumble(self) -> None:
        """A client that is killed again and again while it sends its window anew."""
        client = self.chance.choice(self.clients)
        peer = self.chance.choice([one for one in self.clients if one.user != client.user])
        self.talk(client, peer, 6)
        for _ in range(4):
            client.connect()
            for _ in range(self.chance.randint(1, 25)):
                self.world.step()
            client.disconnect(late=True)
            client.kill()

    def nap(self) -> None:
        """Leases lapse, and are renewed."""
        self.world.fabric.renewals = not self.world.fabric.renewals

    def restart(self) -> None:
        if self.chance.random() < 0.3:
            self.world.crash(torn=self.chance.random() < 0.7)
        elif self.chance.random() < 0.5:
            self.world.hold = not self.world.hold

    def heal(self) -> None:
        world = self.world
        world.fabric.faults, world.fabric.renewals, world.hold = Faults(), True, False
        for _ in range(8):
            for client in self.clients:
                client.auto = True
                if client.welcome is None:
                    client.connect()
            world.wait(15_000)

    def check(self) -> None:
        for client in self.clients:
            assert client.saved.waiting == [], "an answer is missing"
            assert client.saved.wanted == {}, "a read position is not shown"
            assert client.saved.gaps == 0, "told of a gap, but nothing was cut"
            assert client.ends <= self.EXPECTED_ENDS, f"closed with {client.ends}"
        for people in self.people:
            self.check_user(people)
        for sender in self.clients:
            for people in self.people:
                if people[0].user != sender.user:
                    self.check_pair(sender, people)
        self.check_rest()

    def check_rest(self) -> None:
        """When everybody has left, nothing is left: no session, no connection, no row on its way."""
        world = self.world
        for client in self.clients:
            client.disconnect()
        world.wait(5_000)
        world.node.wake([people[0].user for people in self.people])
        world.settle()
        for user in world.node.users.values():
            assert user.idle, "a ghost"
        for end in world.edges:
            assert end.edge.sessions == {}
            assert end.edge.detaching == {}
        world.audit()

    def check_user(self, people: list[Client]) -> None:
        """All devices have the same history, sorted alike."""
        first, *others = (sorted(one.saved.shown) for one in people)
        for other in others:
            assert first == other, "devices differ"
        conversations: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
        for row in first:
            if row.sender != people[0].user:
                conversations[row.conversation].append((row.seq, row.at))
        for rows in conversations.values():
            order = [at for _, at in sorted(rows)]
            assert order == sorted(set(order)), "times do not rise with seq"

    def check_pair(self, sender: Client, people: list[Client]) -> None:
        """What one device sent to one user: all of what was accepted, nothing else, once, in order."""
        conversation = direct_conversation(sender.user, people[0].user)
        sent = sender.saved.answers
        for client in people:
            rows = [r for r in client.saved.shown if r.sender == sender.user and r.device == sender.device]
            rows = [r for r in rows if r.conversation == conversation]
            words = [r.payload for r in rows]
            assert words == sorted(words), "shown out of order"
            assert [r.seq for r in rows] == sorted(r.seq for r in rows)
            for row in rows:
                answer = sent[row.message_id]
                assert (answer.code, answer.seq, answer.at) == (0, row.seq, row.at), "shown, but not as accepted"
            shown = {r.message_id for r in rows}
            mine = [r for r in sender.saved.shown if r.sender == sender.user and r.device == sender.device]
            accepted = {r.message_id for r in mine if r.conversation == conversation}
            assert shown == accepted, "accepted, but not shown"
            if accepted:
                last = max(r.seq for r in rows)
                assert sender.receipt(client.user)[0] >= last, "delivered, but the sender was not told"
        if self.blocked and sender.user == self.people[0][0].user and people is self.people[2]:
            assert {a.code for a in sent.values()} <= {0, int(ErrorCode.NOT_ALLOWED)}


def live(seed: int, steps: int) -> Life:
    """A whole life of a world; a failure names its seed."""
    try:
        life = Life(seed)
        life.run(steps)
        life.heal()
        life.check()
    except Exception as error:
        raise AssertionError(f"seed {seed}, steps {steps}: {error!r}") from error
    return life


SEEDS = 300
PARTS = 10


@pytest.mark.parametrize("part", range(PARTS))
def test_random_worlds_keep_the_promises(part: int) -> None:
    for seed in range(part, SEEDS, PARTS):
        live(seed, 150 + seed % 7 * 60)


def test_worlds_are_not_idle() -> None:
    """The runs do what they are for: messages are accepted, refused, repeated, rewound, loaded again after a crash."""
    counted: Callable[[Life, str], int] = lambda life, name: life.world.node.turn.counters[name]  # noqa: E731
    lives = [live(seed, 400) for seed in (1, 5, 8, 13)]
    assert sum(len(client.saved.shown) for life in lives for client in life.clients) > 300
    assert sum(life.world.store.epoch for life in lives) > 8
    assert sum(counted(life, "iris_rewinds_total") for life in lives) > 0
    assert sum(counted(life, "iris_repeats_total") for life in lives) > 0
