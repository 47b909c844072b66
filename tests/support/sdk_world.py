"""Clients, their profiles, the network and a server in virtual time, driven by chance from one seed.

The clients are real ClientCores on real profiles (SQLite in memory); the server is FakeIris. What can go wrong: frames
are lost in mid session in either direction, connections break with what is under way (Sends of a dead connection may
still arrive later), processes are killed with their commits not done, profiles and server are restored from backups.
"""

from __future__ import annotations

import random
import sqlite3
from collections import deque
from dataclasses import dataclass, field

from iris_sdk import schema
from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.content import decode_text, encode_text
from iris_sdk.core import ClientCore
from iris_sdk.core import effects as fx
from iris_sdk.core.lifecycle import State
from iris_sdk.ids import direct_conversation
from iris_sdk.rows import HistoryRow
from iris_sdk.store import Reader, Writer
from tests.support.fake_iris import FakeIris, Session, token_of

START_MS = 1_000_000


def new_profile(user: bytes, device: int) -> sqlite3.Connection:
    """An empty profile in memory."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    schema.create_tables(db)
    Writer(db).transact([lambda w: w.set_meta(user=user, device=device)])
    return db


@dataclass
class Wire:
    """A connection with what is under way on it."""

    session: Session
    up: deque[pb.ClientFrame] = field(default_factory=deque)
    down: deque[pb.ServerFrame] = field(default_factory=deque)


class Device:
    """One device: profile, core, connection."""

    def __init__(self, world: World, user: bytes, number: int) -> None:
        self.world, self.user, self.number = world, user, number
        self.db = new_profile(user, number)
        self.wire: Wire | None = None
        self.commit: fx.Commit | None = None
        self.acked = (0, 0)
        self.restored = False
        self.boot()

    def boot(self) -> None:
        """A new process on the profile."""
        reader = Reader(self.db)
        self.core = ClientCore(reader.load())
        self.outbox_seen = 0
        self.commit = None
        self.sync()
        self.core.start()
        self.drain()

    def kill(self) -> None:
        """The process dies: what was not committed is gone."""
        self.disconnect()
        self.commit = None
        self.boot()

    def sync(self) -> None:
        rows = Reader(self.db).outbox_after(self.outbox_seen)
        if rows:
            self.outbox_seen = rows[-1][0]
            self.core.queued([row[1:] for row in rows], self.world.now)

    def send(self, peer: bytes, text: str) -> None:
        conversation = direct_conversation(self.user, peer)
        payloads: list[tuple[bytes, str | None]] = [(encode_text(text), text)]
        (made,) = Writer(self.db, self.world.new_id).transact(
            [lambda w: w.enqueue(conversation, payloads, self.world.now, 10_000)]
        )
        assert isinstance(made, list), made
        self.sync()
        self.drain()

    def finish_commit(self) -> None:
        commit, self.commit = self.commit, None
        if commit is not None:
            (result,) = Writer(self.db).transact([lambda w: w.apply(commit.writes)])
            if isinstance(result, Exception):
                raise result
            self.core.committed(commit.number, self.world.now)
            self.drain()

    def disconnect(self, code: int | None = None) -> None:
        wire, self.wire = self.wire, None
        if wire is not None:
            self.world.ghosts.append(wire)
            if wire.session.closed is None and code is None and self.world.chance.random() < 0.7:
                wire.session.close(1006)  # else the server has not noticed yet
            self.core.lost(
                code if code is not None else wire.session.closed, self.world.now, self.world.chance.random()
            )
            self.drain()

    def drain(self) -> None:
        while (effect := self.core.poll()) is not None:
            match effect:
                case fx.Commit():
                    assert self.commit is None, "two commits in flight"
                    self.commit = effect
                case fx.NeedToken():
                    self.core.token(token_of(self.user, self.number))
                case fx.Connect():
                    self.wire = Wire(Session(self.world.server))
                    greeted = effect.hello is not None and self.world.chance.random() < 0.5
                    if effect.hello is not None and greeted:
                        self.upload(effect.hello)
                    self.core.opened(greeted)
                case fx.SendFrame():
                    self.upload(effect.frame)
                case fx.SendMessage():
                    self.upload(self.encode(effect))
                case fx.CloseConnection():
                    self.wire = None
                case _:
                    pass

    def upload(self, frame: pb.ClientFrame) -> None:
        if frame.HasField("ack"):
            saved = Reader(self.db)
            position = (saved.meta("seq", 0), saved.meta("rev", 0))
            assert (frame.ack.seq, frame.ack.rev) <= position, "acked before the commit"
        if self.wire is not None:
            self.wire.up.append(frame)

    def encode(self, effect: fx.SendMessage) -> pb.ClientFrame:
        found = Reader(self.db).payload(self.user, effect.message_id)
        assert found is not None, "sent what is not durable"
        send = pb.Send(
            conversation=effect.conversation, stream=effect.stream, client_seq=effect.client_seq,
            answered=effect.answered, message_id=effect.message_id, after=effect.after, payload=found[0],
            content_type=pb.CONTENT_TYPE_IRIS,
        )  # fmt: skip
        return pb.ClientFrame(send=send)

    def rows(self, kind: str) -> list[HistoryRow]:
        return [row for row in Reader(self.db).history(None, 0, 1_000_000) if row.kind == kind]


class World:
    """All of it. `step` does one thing by chance; `heal` lets everything run to its end without faults."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = START_MS
        self.server = FakeIris()
        self.ghosts: list[Wire] = []
        self.devices: list[Device] = []
        self.paused = 0.0  # how likely a Send gets a passing refusal
        self.server.refuse = self._refuse
        self.server.pause = lambda _: 1004 if self.chance.random() < self.paused else 0

    def new_id(self) -> bytes:
        return self.chance.randbytes(16)

    def add(self, user: bytes, number: int) -> Device:
        self.server.add_device(user, number)
        device = Device(self, user, number)
        self.devices.append(device)
        return device

    def refuse_some(self, share: float) -> None:
        self._share = share

    _share = 0.0

    def _refuse(self, message_id: bytes) -> int:
        return 1003 if message_id[0] < 256 * self._share else 0

    # --- one thing at a time ---

    def move_up(self, device: Device, *, lossy: bool) -> None:
        wire = device.wire
        if wire is not None and wire.up:
            frame = wire.up.popleft()
            if not (lossy and not frame.HasField("hello") and self.chance.random() < 0.04):
                wire.session.receive(frame, self.now)
                if lossy and frame.HasField("send") and self.chance.random() < 0.05:
                    wire.session.receive(frame, self.now)
        self.collect()

    def move_down(self, device: Device, *, lossy: bool) -> None:
        wire = device.wire
        if wire is None:
            return
        if wire.down:
            frame = wire.down.popleft()
            if not (lossy and not frame.HasField("welcome") and self.chance.random() < 0.04):
                device.core.receive(frame, self.now)
                if lossy and self.chance.random() < 0.05:
                    device.core.receive(frame, self.now)
                device.drain()
        elif wire.session.closed is not None:
            device.disconnect(wire.session.closed)

    def collect(self) -> None:
        """What the sessions want to say is on its way."""
        for device in self.devices:
            if device.wire is not None:
                device.wire.down.extend(device.wire.session.out)
                device.wire.session.out.clear()

    def haunt(self) -> None:
        """A Send of a dead connection arrives after all."""
        wire = self.chance.choice(self.ghosts)
        while wire.up:
            frame = wire.up.popleft()
            if frame.HasField("send") and wire.session.user:
                self.server.send(wire.session.user, wire.session.device, frame.send, self.now)
                break
        if not wire.up:
            self.ghosts.remove(wire)
        self.collect()

    def forget_idle_marks(self) -> None:
        """The server forgets the marks of devices that have had every answer for long."""
        for device in self.devices:
            if device.core.unanswered == 0 and not any(wire.up for wire in self.ghosts):
                self.server.forget_marks(device.user, device.number)

    def pass_time(self, most_ms: int) -> None:
        self.now += self.chance.randint(1, most_ms)
        self.server.tick(self.now)
        self.collect()
        for device in self.devices:
            due = device.core.next_timeout()
            if due is not None and due <= self.now:
                device.core.tick(self.now, self.chance.random())
                device.drain()

    def step(self) -> None:
        x = self.chance.random()
        device = self.chance.choice(self.devices)
        if x < 0.40:
            self.move_up(device, lossy=True)
        elif x < 0.80:
            self.move_down(device, lossy=True)
        elif x < 0.90:
            device.finish_commit()
        elif x < 0.95:
            self.pass_time(400)
        elif x < 0.97:
            if self.ghosts:
                self.haunt()
        elif x < 0.985:
            device.disconnect()
        elif x < 0.993:
            device.kill()
        else:
            self.pass_time(15_000)

    def heal(self, rounds: int = 6000) -> None:
        """No more faults. Raises AssertionError when it does not come to rest."""
        self.paused = 0.0
        while self.ghosts:
            self.haunt()
        for _ in range(rounds):
            for device in self.devices:
                while device.wire is not None and (device.wire.up or device.wire.down or device.wire.session.closed):
                    self.move_up(device, lossy=False)
                    self.move_down(device, lossy=False)
                device.finish_commit()
            if self.at_rest():
                return
            self.pass_time(2_000)
        raise AssertionError(f"not at rest: {[(d.core.state, d.core.unanswered) for d in self.devices]}")

    def at_rest(self) -> bool:
        return all(
            device.core.state is State.LIVE
            and device.core.unanswered == 0
            and device.commit is None
            and device.wire is not None
            and not device.wire.up
            and not device.wire.down
            and (Reader(device.db).meta("seq", 0), Reader(device.db).meta("rev", 0)) == self._newest(device)
            for device in self.devices
        )

    def _newest(self, device: Device) -> tuple[int, int]:
        mailbox = self.server.mailboxes[device.user]
        return mailbox.head, mailbox.rev


def texts(rows: list[HistoryRow]) -> list[str]:
    return [decode_text(row.payload, row.content_type, 0) or "" for row in rows]
