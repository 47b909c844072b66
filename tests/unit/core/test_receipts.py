"""Delivered and read: what senders are told, what one's own devices are told, and what nobody is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iris.core import frames as f
from iris.core.catalogue import ErrorCode
from iris.core.commands import ReadIn, RegisterIn
from iris.core.ids import direct_conversation, user_unit
from iris.core.requests import PutBlock, UpdateAccount
from tests.support.world import World
from tests.support.world_client import Client


def pair(world: World, devices: int = 1) -> tuple[Client, list[Client]]:
    (ada,) = world.join("ada")
    return ada, world.join("bob", devices)


def switch(world: World, client: Client, on: bool) -> None:
    world.ask(user_unit(client.user), UpdateAccount(None, None, None, None, on), client.auth)


# --- delivered ---
def test_delivered_is_told_when_one_device_has_it_and_once(world: World) -> None:
    ada, (phone, tablet) = pair(world, 2)
    tablet.auto = False
    ada.send(phone.user, "one")
    world.settle()
    assert ada.receipt(phone.user) == (phone.saved.seq, 0)
    tablet.auto = True
    tablet.commit()
    world.settle()
    assert len(ada.got(f.Receipt)) == 1


def test_delivered_waits_for_the_device_not_for_the_frame(world: World) -> None:
    ada, (bob,) = pair(world)
    bob.auto = False
    ada.send(bob.user, "one")
    world.settle()
    assert bob.got(f.Deliver)
    assert ada.receipt(bob.user) == (0, 0)
    bob.kill()
    bob.auto = True
    bob.connect()
    world.settle()
    assert ada.receipt(bob.user) == (bob.saved.seq, 0)


def test_delivered_is_told_also_when_a_device_was_linked_while_the_message_waited(world: World) -> None:
    """The new device starts where others have got to: its first Ack proves nothing of what it has not got."""
    ada, (phone,) = pair(world)
    phone.disconnect()
    world.settle()
    message = ada.send(phone.user, "one")
    world.settle()
    tablet = world.link(phone.user, "tablet")
    (cyn,) = world.join("cyn")
    cyn.send(phone.user, "for both")
    world.settle()
    assert ada.receipt(phone.user) == (0, 0)
    tablet.connect()
    world.settle()
    assert tablet.texts(ada.user) == ["one"]
    assert ada.receipt(phone.user) == (ada.saved.answers[message].seq, 0)


@pytest.mark.parametrize("crash", [False, True])
def test_a_receipt_under_way_survives(world: World, crash: bool) -> None:
    ada, (bob,) = pair(world)
    world.fabric.lose(RegisterIn)
    ada.send(bob.user, "one")
    world.settle()
    assert ada.receipt(bob.user) == (0, 0)
    world.fabric.passes = None
    if crash:
        world.crash()
        ada.connect()
    world.wait(3_000)
    assert ada.receipt(bob.user) == (bob.saved.seq or ada.got(f.Accepted)[0].seq, 0)
    assert not world.user(bob.user).outbox.lanes


def test_own_copies_and_refused_messages_make_no_receipts(world: World) -> None:
    (ada, other), (bob,) = world.join("ada", 2), world.join("bob")
    ada.send(bob.user, "one")
    world.settle()
    assert other.texts(bob.user) == ["one"]
    assert not bob.got(f.Receipt), "ada's copies are delivered to ada"
    world.ask(user_unit(bob.user), PutBlock(ada.user), bob.auth)
    before = len(ada.got(f.Receipt))
    ada.send(bob.user, "two")
    world.settle()
    assert len(ada.got(f.Receipt)) == before


# --- read ---
def test_read_reaches_the_peer_and_ones_own_devices(world: World) -> None:
    ada, (phone, tablet) = pair(world, 2)
    ada.send(phone.user, "one")
    world.settle()
    phone.read(ada.user, phone.saved.seq)
    world.settle()
    conversation = direct_conversation(ada.user, phone.user)
    assert ada.receipt(phone.user) == (phone.saved.seq, phone.saved.seq)
    assert phone.saved.reads == tablet.saved.reads == {conversation: phone.saved.seq}
    assert phone.saved.wanted == {}, "seen, so it is not repeated"


@pytest.mark.parametrize("who", ["reader", "writer"])
def test_either_switch_keeps_read_from_the_peer_never_from_own_devices(world: World, who: str) -> None:
    ada, (phone, tablet) = pair(world, 2)
    switch(world, phone if who == "reader" else ada, on=False)
    ada.send(phone.user, "one")
    world.settle()
    phone.read(ada.user, phone.saved.seq)
    world.settle()
    assert ada.receipt(phone.user) == (phone.saved.seq, 0)
    assert list(tablet.saved.reads.values()) == [phone.saved.seq]
    switch(world, phone if who == "reader" else ada, on=True)
    ada.send(phone.user, "two")
    world.settle()
    phone.read(ada.user, phone.saved.seq)
    world.settle()
    assert ada.receipt(phone.user) == (phone.saved.seq, phone.saved.seq)


def test_a_read_position_never_goes_back(world: World) -> None:
    ada, (bob,) = pair(world)
    for word in ("one", "two"):
        ada.send(bob.user, word)
        world.settle()
    first, second = (row.seq for row in bob.saved.shown)
    conversation = direct_conversation(ada.user, bob.user)
    for seq in (second, first):
        bob.post(f.Read(f.READ, 0, conversation, seq))
        world.settle()
    assert [frame.seq for frame in bob.got(f.ReadSync)] == [second]
    assert ada.receipt(bob.user)[1] == second


def test_a_read_that_is_lost_is_asked_for_again(world: World) -> None:
    ada, (bob,) = pair(world)
    ada.send(bob.user, "one")
    world.settle()
    world.fabric.lose(ReadIn)
    bob.read(ada.user, bob.saved.seq)
    world.settle()
    world.fabric.passes = None
    world.wait(world.limits.send_repeat_ms + 100)
    assert ada.receipt(bob.user)[1] == bob.saved.seq


def test_a_read_from_the_future_or_of_a_strange_conversation_stores_nothing(world: World) -> None:
    ada, (bob,) = pair(world)
    conversation = direct_conversation(ada.user, bob.user)
    cases = [
        (conversation, 1 << 40, ErrorCode.POSITION_UNKNOWN),
        (b"x" * 32, 0, ErrorCode.BAD_CONVERSATION),
        (bob.user + bob.user, 0, ErrorCode.BAD_CONVERSATION),
        (b"", 0, ErrorCode.BAD_CONVERSATION),
    ]
    for name, seq, code in cases:
        bob.frames.clear()
        bob.post(f.Read(f.READ, 0, name, seq))
        world.settle()
        (problem,) = bob.got(f.Problem)
        assert (problem.code, problem.frame, problem.retry) == (code, f.READ, f.RETRY_NEVER)
    assert len(world.user(bob.user).registers) == 0


def test_a_blocked_peer_is_not_told_of_reading(world: World) -> None:
    ada, (bob,) = pair(world)
    ada.send(bob.user, "one")
    world.settle()
    world.ask(user_unit(bob.user), PutBlock(ada.user), bob.auth)
    bob.read(ada.user, bob.saved.seq)
    world.settle()
    assert ada.receipt(bob.user)[1] == 0


def test_a_read_position_that_was_under_way_at_the_block_is_not_shown(world: World) -> None:
    ada, (bob,) = pair(world)
    ada.send(bob.user, "one")
    world.settle()
    world.fabric.lose(RegisterIn)
    bob.read(ada.user, bob.saved.seq)
    world.settle()
    world.ask(user_unit(ada.user), PutBlock(bob.user), ada.auth)
    world.fabric.passes = None
    world.wait(3_000)
    assert ada.receipt(bob.user)[1] == 0
    assert not world.user(bob.user).outbox.lanes


# --- registers at the device ---
def test_registers_are_resumed_at_the_rev_of_the_client(world: World) -> None:
    ada, (bob,) = pair(world)
    ada.send(bob.user, "one")
    world.settle()
    ada.disconnect()
    bob.read(ada.user, bob.saved.seq)
    world.settle()
    ada.frames.clear()
    ada.connect()
    world.settle()
    (receipt,) = ada.got(f.Receipt)
    assert receipt.prev_rev < receipt.rev == ada.saved.rev
    assert (receipt.delivered, receipt.read) == (bob.saved.seq, bob.saved.seq)
    ada.frames.clear()
    ada.connect()
    world.settle()
    assert not ada.got(f.Receipt)


def test_registers_survive_restart_and_their_revs_go_on(world: World) -> None:
    ada, (bob,) = pair(world)
    ada.send(bob.user, "one")
    world.settle()
    rev = ada.saved.rev
    world.crash()
    ada.connect(cursor=(ada.saved.seq, 0))
    bob.connect()
    world.settle()
    assert ada.got(f.Receipt)[-1].rev == rev
    ada.send(bob.user, "two")
    world.settle()
    assert ada.saved.rev > rev
    assert ada.saved.rev >> 32 == 2


def test_the_number_of_registers_is_bounded(new_world: Callable[..., World]) -> None:
    """conversations_max: the one changed longest ago is forgotten, in the store too."""
    world = new_world(conversations_max=1)
    (ada,) = world.join("ada")
    people = [world.join(name)[0] for name in ("bob", "cyn", "dan", "eve")]
    for peer in people:
        ada.send(peer.user, "hello")
        world.settle()
    assert len(world.user(ada.user).registers) == 2
    assert world.node.turn.counters["iris_registers_dropped_total"] == 2
    world.crash()
    ada.connect()
    world.settle()
    assert len(world.user(ada.user).registers) == 2
