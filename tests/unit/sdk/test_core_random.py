"""Nothing lost, nothing twice, order kept: ClientCore and the profile against everything that can go wrong, by seeds.

Goal: P2 to P4 on the client's side. Method: worlds of tests/support/sdk_world.py run with faults, then heal; the checks
read only profiles and the server's mailboxes. The mutants are known bugs, each of which some seed must catch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from iris_sdk.core import client as core_client
from iris_sdk.core import outbox, receiving, sending
from iris_sdk.store import Reader, Writer
from tests.support.sdk_world import Device, World, texts

ALICE, BOB = b"A" * 16, b"B" * 16
SEEDS = 10


def run(seed: int, *, restores: bool = False) -> World:
    """A talk of Alice (two devices) and Bob (one) with faults; healed at the end."""
    world = World(seed)
    a1, a2, b1 = world.add(ALICE, 1), world.add(ALICE, 2), world.add(BOB, 1)
    world.server.strict = not restores
    world.refuse_some(world.chance.choice([0.0, 0.1]))
    world.paused = world.chance.choice([0.0, 0.1])
    counts = {id(device): 0 for device in world.devices}
    backups: dict[int, bytes] = {}
    server_backup: Any = None
    for _ in range(world.chance.randint(300, 1500)):
        if world.chance.random() < 0.10:
            device = world.chance.choice([a1, a2, b1])
            for _ in range(world.chance.choice([1, 1, 1, 1, 1, 45])):  # at times more than a window
                counts[id(device)] += 1
                device.send(BOB if device.user == ALICE else ALICE, f"{counts[id(device)]:05d}")
        if restores and world.chance.random() < 0.004:
            device = world.chance.choice([a1, a2, b1])
            if id(device) in backups and world.chance.random() < 0.5:
                restore_profile(device, backups.pop(id(device)))
            else:
                backups[id(device)] = device.db.serialize()
        if restores and world.chance.random() < 0.002:
            if server_backup is not None:
                world.server.restore(server_backup)
                server_backup = None
            else:
                server_backup = world.server.snapshot()
        if world.chance.random() < 0.01:
            world.forget_idle_marks()
        world.step()
    world.heal()
    return world


def restore_profile(device: Device, backup: bytes) -> None:
    device.disconnect()
    device.db.close()
    device.db = sqlite3.connect(":memory:", isolation_level=None)
    device.db.deserialize(backup)
    device.restored = True
    device.boot()


def check(world: World) -> int:
    """Every promise of the client's side. Returns how many messages were stored."""
    stored = 0
    for device in world.devices:
        sent = device.rows("sent")
        assert all(row.state in ("accepted", "delivered", "read", "refused") for row in sent), "left over"
        accepted = [row.message_id for row in sent if row.state != "refused"]
        peer = BOB if device.user == ALICE else ALICE
        mailbox = [row for row in world.server.stored(peer) if row.device == device.number]
        assert [row.message_id for row in mailbox] == accepted, (
            "stored is not what was sent: lost, twice or out of order"
        )
        stored += len(mailbox)
    by_user: dict[bytes, list[Any]] = {}
    for device in world.devices:
        from_others = device.rows("message")
        mailbox = world.server.stored(device.user)
        assert [row.message_id for row in from_others] == [row.message_id for row in mailbox], "shown is not stored"
        for other in world.devices:
            if other.user != device.user:
                mine = [row for row in from_others if row.device == other.number]
                assert texts(mine) == sorted(texts(mine)), "shown out of order"
        screen = sorted((row.at, row.sender, row.message_id, row.state) for row in all_rows(device))
        by_user.setdefault(device.user, []).append(screen)
    for screens in by_user.values():
        assert all(screen == screens[0] for screen in screens), "devices of one user differ"
    ends = [[item[:3] for item in screens[0]] for screens in by_user.values()]
    assert ends[0] == ends[1], "both ends differ"
    return stored


def all_rows(device: Device) -> Iterator[Any]:
    return (row for row in Reader(device.db).history(None, 0, 1_000_000) if row.state != "refused")


@pytest.mark.parametrize("part", range(4))
def test_nothing_is_lost_doubled_or_reordered(part: int) -> None:
    assert sum(check(run(seed)) for seed in range(part * SEEDS, (part + 1) * SEEDS)) > SEEDS * 50


@pytest.mark.parametrize("part", range(2))
def test_after_restores_every_new_message_arrives_and_is_shown_once(part: int) -> None:
    """A restore may make a message be stored twice; it is still shown once, and nothing in an outbox is lost."""
    for seed in range(part * SEEDS, (part + 1) * SEEDS):
        world = run(10_000 + seed, restores=True)
        for device in world.devices:
            peer = BOB if device.user == ALICE else ALICE
            if world.server.epoch == 1:  # the server was not restored: what is accepted is there
                there = {row.message_id for row in world.server.stored(peer)}
                assert {row.message_id for row in device.rows("sent") if row.state != "refused"} <= there
            assert all(row.state != "queued" for row in device.rows("sent"))
            shown = [(row.sender, row.message_id) for row in device.rows("message")]
            assert len(shown) == len(set(shown))


Patch = Callable[[pytest.MonkeyPatch], None]


def _window_moves_on_answer(patch: pytest.MonkeyPatch) -> None:
    original = outbox.Outbox._answered

    def answered(self: Any, outbound: Any, entry: Any, seq: int, at: int, code: int) -> None:
        original(self, outbound, entry, seq, at, code)
        entry.answer = sending.Answer.DURABLE
        outbound.durable()

    patch.setattr(outbox.Outbox, "_answered", answered)


def _new_stream_at_every_start(patch: pytest.MonkeyPatch) -> None:
    original = sending.Outbound.add

    def add(self: Any, message_id: bytes, answered: bool = False) -> None:
        if self.idle and self._open:
            self._new_stream(self.stream)
        if not answered:
            original(self, message_id)

    patch.setattr(sending.Outbound, "add", add)


def _answered_rows_leave_at_once(patch: pytest.MonkeyPatch) -> None:
    """The places of those behind them move, so a restart gives their numbers to others."""

    def trim(self: Any, conversation: bytes) -> None:
        gone = self._db.execute("DELETE FROM outbox WHERE conversation = ? AND answered = 1", (conversation,))
        self._db.execute(
            "UPDATE conversations SET base = base + ? WHERE conversation = ?", (gone.rowcount, conversation)
        )

    patch.setattr(Writer, "_trim", trim)


def _prev_ignored(patch: pytest.MonkeyPatch) -> None:
    def take(self: Any, prev: int, position: int) -> bool:
        if self.taken < position:
            self.taken = position
            return True
        return False

    patch.setattr(receiving.Cursor, "take", take)


def _hello_with_what_is_not_committed(patch: pytest.MonkeyPatch) -> None:
    def hello(self: Any) -> tuple[int, int]:
        self._acked = (self.seq.taken, self.rev.taken)
        return (self.seq.taken, self.rev.taken)

    patch.setattr(receiving.Inbox, "hello", hello)
    patch.setattr(receiving.Inbox, "settled", property(lambda self: True))
    original = core_client.ClientCore._maybe_hello

    def maybe(self: Any) -> None:
        flight, self._ledger._in_flight = self._ledger._in_flight, None
        original(self)
        self._ledger._in_flight = flight

    patch.setattr(core_client.ClientCore, "_maybe_hello", maybe)


def _no_rewind(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(receiving.Inbox, "dropped", lambda self: setattr(self, "taken_anyway", True))
    _prev_ignored(patch)


def _ack_before_commit(patch: pytest.MonkeyPatch) -> None:
    original = receiving.Cursor.take

    def take(self: Any, prev: int, position: int) -> bool:
        taken = original(self, prev, position)
        self.durable = self.taken
        return taken

    patch.setattr(receiving.Cursor, "take", take)


def _reconnect_does_not_resend(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sending.Outbound, "reconnected", lambda self, window: None)
    patch.setattr(outbox, "SCAN_MS", 1 << 40)


def _new_stream_turns_the_order(patch: pytest.MonkeyPatch) -> None:
    original = sending.Outbound._new_stream

    def new_stream(self: Any, floor: int) -> None:
        unanswered = [e for e in self._entries if e.answer is sending.Answer.NONE]
        original(self, floor)
        if len(unanswered) > 1:  # forgets to keep the order
            self._queue.rotate(1)

    patch.setattr(sending.Outbound, "_new_stream", new_stream)


def find_a_violation() -> None:
    for seed in range(8 * SEEDS):
        check(run(seed))


MUTANTS: list[Patch] = [
    _window_moves_on_answer,
    _new_stream_at_every_start,
    _answered_rows_leave_at_once,
    _prev_ignored,
    _hello_with_what_is_not_committed,
    _no_rewind,
    _ack_before_commit,
    _reconnect_does_not_resend,
    _new_stream_turns_the_order,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__.strip("_"))
def test_a_known_bug_is_caught(mutant: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    with pytest.raises((AssertionError, KeyError, IndexError)):
        find_a_violation()
