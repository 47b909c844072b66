"""Edge and shard under arbitrary events: two honest people, a stranger who may say anything, and a fabric that repeats
whatever it has ever carried.

No rule raises (a mistake in a frame's action counts, although it costs only its connection), nothing grows beyond its
limit, the books of every user are right, and in the end the honest ones have what they wrote to each other, once and in
order.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from iris.core import frames as f
from iris.core import requests as r
from iris.core.commands import (
    ATTACH_AGAIN,
    ATTACH_REFUSED,
    ATTACHED,
    CLOSE_SESSION,
    DETACHED,
    REAUTHED,
    SESSION_UPDATE,
    Attach,
    AttachAgain,
    Attached,
    AttachRefused,
    CloseSession,
    Detached,
    ItemsDone,
    Reauthed,
    RequestIn,
    SessionUpdate,
)
from iris.core.ids import handle_unit, user_unit
from iris.core.requests import Auth, LinkDevice, Linked
from tests.fuzz.hostile import U64, client_frames, conversations, enums, numbers, texts, users
from tests.support.world import EdgeEnd, World
from tests.support.world_client import Client
from tests.support.world_node import Faults

LIMITS = {
    "users_in_memory_max": 3, "parked_commands_max": 8, "names_in_memory_max": 3, "watchers_max": 4, "watches_max": 6,
    "contacts_max": 3, "blocks_max": 3, "blocked_by_max": 4, "marks_in_memory_max": 4, "conversations_max": 5,
    "inbox_marks_max": 6, "revoked_tokens_max": 3, "outbox_rows_max": 12, "mailbox_rows_max": 60,
    "mailbox_lag_rows_max": 30, "devices_max": 2, "signals_per_second_max": 5, "sends_per_second_max": 40,
}  # fmt: skip
KNOWN = [b"\x00\x01" + number.to_bytes(14, "big") for number in (1, 4, 6, 9)]  # what World.new_id gives ada, bob, mal
CARRIED_MAX = 400
RECORDS = 12  # messages each honest one may send


class Stranger:
    """The client's end of a connection that may say anything; what it is told does not matter."""

    def __init__(self, user: bytes) -> None:
        self.user = user
        self.inbox: deque[tuple[Any, ...]] = deque()

    def lost(self, code: int | None) -> None:
        """Its connection is gone."""
        self.inbox.clear()


class HostileWorld(World):
    """A world whose strangers may number their messages as they like."""

    strangers: frozenset[bytes] = frozenset()

    def on_frame(self, client: Client, frame: tuple[Any, ...]) -> None:
        """Only honest clients are judged."""
        if self.honest(client.user):
            super().on_frame(client, frame)

    def honest(self, user: bytes) -> bool:
        """A message id is unique only by its sender's word."""
        return user not in self.strangers


class ServerMachine(RuleBasedStateMachine):
    """One example is one server's life."""

    @initialize(seed=st.integers(0, 1 << 16))
    def begin(self, seed: int) -> None:
        """Two people with their devices, and the stranger with one device."""
        self.world = HostileWorld(seed=seed, edges=2, num_shards=3, **LIMITS)
        self.ada = self.world.join("ada", 2)
        self.bob = self.world.join("bob", 1)
        self.mal = self.world.register("mal")
        linked = self.world.ask(user_unit(self.mal), LinkDevice("phone", bytes(16)))
        assert isinstance(linked, Linked)
        self.auth = Auth(self.mal, linked.device, linked.gen, "mal", self.world.wall + 3_600_000)
        assert [self.ada[0].user, self.bob[0].user, self.mal] == KNOWN[:3]
        self.shadow = Client(self.world, self.mal, linked.device, linked.gen)  # only for its tokens
        self.world.strangers = frozenset({self.mal})
        self.wrote: dict[bytes, list[str]] = {self.ada[0].user: [], self.bob[0].user: []}
        self.conns: list[tuple[EdgeEnd, int]] = []
        self.carried: list[tuple[bytes, tuple[Any, ...]]] = []  # commands
        self.listen()

    def teardown(self) -> None:
        """The stranger goes, the faults end: everything honest arrives, and the books are right."""
        if not hasattr(self, "carried"):
            return
        world = self.world
        world.fabric.faults = Faults()
        world.hold, world.loads, world.fabric.renewals = False, True, True
        for end, conn in self.conns:
            if end in world.edges:
                end.cut(conn, late=False)
        world.wait(5_000)
        for client in (*self.ada, *self.bob):
            if not client.connected():
                client.connect()
        world.wait(120_000)
        self.bounds()
        world.audit()
        for client, peer in ((self.ada[0], self.bob[0]), (self.ada[1], self.bob[0]), (self.bob[0], self.ada[0])):
            texts_seen = client.texts(peer.user)
            for writer in (client, peer):
                mine = [text for text in texts_seen if text in self.wrote[writer.user]]
                who = f"device {client.device} of {client.user.hex()[-2:]}"
                assert mine == self.wrote[writer.user], f"{who} shows {texts_seen}"

    def listen(self) -> None:
        """Remember every command that goes by."""

        def passes(item: tuple[Any, ...]) -> bool:
            if isinstance(item, tuple) and isinstance(item[0], bytes) and not isinstance(item, RequestIn):
                unit = item[0] if item[0][:1] in b"u@!" and len(item[0]) != 16 else user_unit(item[0])
                self.carried.append((unit, item))
                del self.carried[:-CARRIED_MAX]
            return True

        self.world.fabric.passes = passes

    # --- the honest ones ---
    @rule(who=st.integers(0, 2), count=st.integers(1, 3))
    def write(self, who: int, count: int) -> None:
        """Messages between the honest two."""
        client = (*self.ada, *self.bob)[who]
        if who == 1:
            return  # both of ada's devices would write in an order that nobody knows
        peer = self.bob[0] if who == 0 else self.ada[0]
        for _ in range(count):
            mine = self.wrote[client.user]
            if len(mine) < RECORDS:
                mine.append(f"{client.user[-1]}-{len(mine)}")
                client.send(peer.user, mine[-1])

    @rule(who=st.integers(0, 2), late=st.booleans())
    def reconnect(self, who: int, late: bool) -> None:
        """An honest client comes back."""
        client = (*self.ada, *self.bob)[who]
        client.disconnect(late=late)
        client.connect(who % 2)

    # --- the stranger ---
    @rule(edge=st.integers(0, 1), seq=numbers, rev=numbers, said=st.one_of(st.none(), texts))
    def hello(self, edge: int, seq: int, rev: int, said: str | None) -> None:
        """A new connection; with a good token, or with anything."""
        end = self.world.edges[edge]
        conn = end.open(Stranger(self.mal))  # type: ignore[arg-type]
        token = self.world.token(self.shadow) if said is None else said
        end.up.append(f.Hello(f.HELLO, conn, token, seq, rev, ("x",), said or "", "192.0.2.1"))
        self.conns.append((end, conn))

    @rule(place=st.integers(0, 99), frames=st.lists(client_frames(KNOWN, texts), min_size=1, max_size=6))
    def say(self, place: int, frames: list[tuple[Any, ...]]) -> None:
        """Any frames, on a connection that may be gone."""
        if self.conns:
            end, conn = self.conns[place % len(self.conns)]
            end.up.extend((frame[0], conn, *frame[2:]) for frame in frames)

    @rule(place=st.integers(0, 99), number=numbers, many=st.integers(1, 30), to=users(KNOWN[:3]), stream=numbers)
    def flood(self, place: int, number: int, many: int, to: bytes, stream: int) -> None:
        """Many well-formed Sends."""
        if self.conns and to != self.mal:
            end, conn = self.conns[place % len(self.conns)]
            conversation = min(self.mal, to) + max(self.mal, to)
            for at in range(number, number + many):
                message_id = (at & ((1 << 128) - 1)).to_bytes(16, "big")
                end.up.append((f.SEND, conn, conversation, stream, min(at, U64), 0, message_id, 0, b"!", 1, 0))

    @rule(place=st.integers(0, 99), late=st.booleans())
    def cut(self, place: int, late: bool) -> None:
        """A connection of the stranger ends."""
        if self.conns:
            end, conn = self.conns.pop(place % len(self.conns))
            if end in self.world.edges:
                end.cut(conn, late=late)

    @rule(operation=st.data(), forged=st.booleans(), gen=enums, device=enums)
    def ask(self, operation: st.DataObject, forged: bool, gen: int, device: int) -> None:
        """Any request of the stranger's to the API."""
        auth = self.auth._replace(gen=gen, device=device) if forged else self.auth
        asked = operation.draw(OPERATIONS)
        unit = handle_unit("mal") if isinstance(asked, r.LookUpName) else user_unit(self.mal)
        self.world.post(unit, asked, None if isinstance(asked, UNASKED) else auth)

    # --- the fabric ---
    @rule(place=st.integers(0, CARRIED_MAX), times=st.integers(1, 3))
    def repeat(self, place: int, times: int) -> None:
        """A command comes once more, however late."""
        if self.carried:
            self.world.node.receive([self.carried[place % len(self.carried)]] * times)

    @rule(user=st.sampled_from(KNOWN), edge=enums, conn=enums, number=numbers, attempt=enums, seq=numbers)
    def late_attach(self, user: bytes, edge: int, conn: int, number: int, attempt: int, seq: int) -> None:
        """An Attach of an edge that is long gone, for the stranger's device or for one that is nobody's."""
        auth = self.auth._replace(user=user, device=self.auth.device if user == self.mal else 77)
        attach = Attach(user, 90 + edge % 5, conn, number, attempt, auth, seq, seq)
        self.world.node.receive([(user_unit(user), attach)])

    @rule(user=st.sampled_from(KNOWN), other=users(KNOWN), number=numbers)
    def late_done(self, user: bytes, other: bytes, number: int) -> None:
        """An outbox hears that somebody it knows or does not know has taken everything up to a number."""
        if number == 0 or other not in KNOWN[:3]:  # of a real target this would be a lie, which no unit tells
            self.world.node.receive([(user_unit(user), ItemsDone(user_unit(user), user_unit(other), number))])

    @rule(edge=st.integers(0, 1), data=st.data(), number=numbers)
    def late_records(self, edge: int, data: st.DataObject, number: int) -> None:
        """Records and frames for the stranger's connections and for ones that never were, in a batch of any number."""
        conns = [conn for end, conn in self.conns if end is self.world.edges[edge]] + [0, 1 << 40]
        items = data.draw(st.lists(records(conns), max_size=4))
        self.world.edges[edge].receive(0, number % 1_000, items)

    @rule(lose=st.booleans(), repeat=st.booleans(), delay=st.booleans())
    def weather(self, lose: bool, repeat: bool, delay: bool) -> None:
        """The fabric gets better or worse."""
        self.world.fabric.faults = Faults(0.1 * lose, 0.2 * repeat, 0.3 * delay)

    # --- time ---
    @rule(count=st.integers(1, 60))
    def steps(self, count: int) -> None:
        """Single things happen, as chance has it."""
        for _ in range(count):
            self.world.step()

    @rule(ms=st.sampled_from([1, 300, 3_000, 20_000]))
    def time(self, ms: int) -> None:
        """Time passes."""
        self.world.wait(ms)

    @rule(torn=st.booleans())
    def crash(self, torn: bool) -> None:
        """kill -9; edges of the new life are others, so nothing of theirs comes late."""
        self.world.crash(torn=torn)
        self.carried = [(unit, item) for unit, item in self.carried if type(item).__name__ in UNIT_COMMANDS]
        self.conns.clear()
        self.listen()
        for client in (*self.ada, *self.bob):
            client.connect()

    # --- what must always hold ---
    @invariant()
    def bounds(self) -> None:
        """Nothing is mistaken, nothing has grown."""
        if not hasattr(self, "carried"):
            return
        limits = self.world.limits
        for end in self.world.edges:
            assert end.edge.mistakes == [], end.edge.mistakes[0]
            assert all(len(session.watches) <= limits.watches_max for session in end.edge.sessions.values())
        for shard in self.world.node.shards.values():
            for parked in (*shard._parked.values(), *shard._parked_names.values()):
                assert len(parked) <= limits.parked_commands_max
            for watches in shard._parked_watches.values():
                assert len(watches) <= limits.watchers_max
            assert len(shard._names) <= limits.names_in_memory_max + 1
        for user in self.world.node.users.values():
            assert len(user.contacts) <= limits.contacts_max
            assert len(user.devices) <= limits.devices_max
            assert len(user.marks) <= limits.marks_in_memory_max + 1


UNIT_COMMANDS = {"ItemIn", "ItemsDone", "ItemRefused", "RegisterIn", "RegisterDone"}
UNASKED = (
    r.CreateUser,
    r.GetCredentials,
    r.LinkDevice,
    r.RedeemLinkCode,
    r.UpgradePassword,
    r.RotateRefresh,
    r.LookUpName,
    r.CreateInvite,
)
passwords = st.sampled_from(["hash", "another"])  # hashed by the API: always ASCII
hashes = st.sampled_from([bytes(16), bytes(32), b"h" * 32])
OPERATIONS = st.one_of(
    st.builds(r.CreateUser, st.sampled_from(["mal", "ada", "eve"]), texts, st.just("hash"), st.just("")),
    st.builds(r.GetCredentials),
    st.builds(r.LinkDevice, texts, hashes),
    st.builds(r.MakeLinkCode, hashes),
    st.builds(r.RedeemLinkCode, hashes, texts, hashes),
    st.builds(r.UpgradePassword, passwords, passwords),
    st.builds(r.RotateRefresh, enums, hashes, hashes),
    st.builds(r.LookUpName),
    st.builds(r.CheckToken),
    st.builds(r.LogoutDevice, enums),
    st.builds(r.LogoutAll, st.booleans()),
    st.builds(r.RevokeToken),
    st.builds(r.GetAccount),
    st.builds(
        r.UpdateAccount, st.sampled_from([None, "mal", "ada", "mallory"]), st.none() | texts,
        st.sampled_from([None, 1, 2, 3]), st.sampled_from([None, 1, 2]), st.none() | st.booleans(),
    ),
    st.builds(r.SetPassword, passwords),
    st.builds(r.ListDevices),
    st.builds(r.PutContact, users(KNOWN), texts),
    st.builds(r.DeleteContact, users(KNOWN)),
    st.builds(r.ListContacts),
    st.builds(r.PutBlock, users(KNOWN)),
    st.builds(r.DeleteBlock, users(KNOWN)),
    st.builds(r.ListBlocks),
    st.builds(r.GetProfile),
    st.builds(r.DeleteUser),
)  # fmt: skip


def records(conns: list[int]) -> st.SearchStrategy[tuple[Any, ...]]:
    """What shards may say to an edge, late or for nobody."""
    conn = st.sampled_from(conns)
    kind = st.just
    user = users(KNOWN)
    return st.one_of(
        st.builds(
            Attached, kind(ATTACHED), conn, enums, numbers, user, enums, numbers, numbers, numbers, st.booleans(),
            st.booleans(), enums,
        ),
        st.builds(AttachRefused, kind(ATTACH_REFUSED), conn, enums, st.sampled_from([4001, 4100, 1001])),
        st.builds(AttachAgain, kind(ATTACH_AGAIN), conn, enums),
        st.builds(SessionUpdate, kind(SESSION_UPDATE), conn, st.booleans(), enums),
        st.builds(Detached, kind(DETACHED), conn),
        st.builds(Reauthed, kind(REAUTHED), conn, numbers),
        st.builds(
            CloseSession, kind(CLOSE_SESSION), conn, st.sampled_from([4001, 1001]), numbers, user, enums
        ),
        st.builds(f.Presence, kind(f.PRESENCE), conn, user, enums, numbers),
        st.builds(f.Receipt, kind(f.RECEIPT), conn, numbers, numbers, conversations(KNOWN), numbers, numbers),
    )  # fmt: skip
