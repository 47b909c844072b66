"""Own copies and other items on the receiving side: lost, repeated and reordered on the way, taken once, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from iris.core import frames as f
from iris.core import outbox
from iris.core.commands import ItemIn, RegisterDone, RegisterIn
from iris.core.ids import direct_conversation, user_unit
from iris.core.requests import DeleteUser
from iris.store.memory import at_once
from tests.support.world import World
from tests.support.world_client import Client
from tests.support.world_node import Faults


def trio(world: World) -> tuple[Client, Client, Client]:
    """Two devices of Ada, one of Bob."""
    (ada, other), (bob,) = world.join("ada", 2), world.join("bob")
    return ada, other, bob


def give(world: World, item: Any) -> None:
    world.node.receive([(item[0], item)])
    world.settle()


def test_every_device_has_a_copy_with_the_peers_seq(world: World) -> None:
    ada, other, bob = trio(world)
    message = ada.send(bob.user, "one")
    world.settle()
    for client in (ada, other):
        (copy,) = [frame for frame in client.got(f.Deliver) if frame.row_kind == f.KIND_OWN_COPY]
        assert (copy.sender, copy.device, copy.message_id) == (ada.user, ada.device, message)
        assert (copy.peer_seq, copy.at) == (bob.saved.seq, ada.saved.answers[message].at)
    assert other.texts(bob.user) == ada.texts(bob.user) == bob.texts(ada.user) == ["one"]


def test_a_single_device_needs_no_copies(world: World) -> None:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    ada.send(bob.user, "one")
    world.settle()
    assert not ada.got(f.Deliver)
    assert not world.user(bob.user).outbox.lanes


def test_copies_that_were_lost_come_in_order_by_repetition(world: World) -> None:
    ada, other, bob = trio(world)
    world.fabric.lose(ItemIn)
    for number in range(5):
        ada.send(bob.user, str(number))
    world.settle()
    assert not other.saved.shown
    world.fabric.passes = None
    world.wait(3_000)
    assert other.texts(bob.user) == ["0", "1", "2", "3", "4"]
    assert not world.user(bob.user).outbox.lanes, "all confirmed"
    assert at_once(world.store.load_user(bob.user)).outbox_items == []


@pytest.mark.parametrize("order", [[2, 1, 0], [0, 2, 1], [0, 0, 1, 1, 0, 2], [1, 2, 0, 1, 2]])
def test_copies_out_of_order_are_not_taken_before_those_ahead_of_them(world: World, order: list[int]) -> None:
    ada, other, bob = trio(world)
    items = world.fabric.lose(ItemIn)
    for number in range(3):
        ada.send(bob.user, str(number))
    world.settle()
    items = items[:3]
    for position in order:
        give(world, items[position])
        assert [row.payload.decode() for row in other.saved.shown] == ["0", "1", "2"][: len(other.saved.shown)]
    world.fabric.passes = None
    world.wait(3_000)
    assert other.texts(bob.user) == ["0", "1", "2"]


def test_a_copy_that_comes_again_after_its_confirmation_is_known(world: World) -> None:
    ada, other, bob = trio(world)
    items = world.fabric.see(ItemIn)
    ada.send(bob.user, "one")
    world.settle()
    for _ in range(2):
        give(world, items[0])
        world.crash()
        for client in world.clients:
            client.connect()
        world.settle()
    assert len(other.saved.shown) == 1
    assert len(at_once(world.store.page_mailbox(ada.user, 0, 1 << 63, 99, 1 << 30))) == 1


def test_copies_survive_a_crash_before_they_were_sent(world: World) -> None:
    ada, other, bob = trio(world)
    world.fabric.lose(ItemIn)
    ada.send(bob.user, "one")
    world.settle()
    world.crash()
    world.fabric.passes = None
    for client in world.clients:
        client.connect()
    world.wait(3_000)
    assert other.texts(bob.user) == ["one"]


def test_copies_go_on_after_the_peer_was_out_of_memory(new_world: Callable[..., World]) -> None:
    """The numbers of an outbox must not begin anew with every load."""
    world = new_world(users_in_memory_max=1)
    ada, other, bob = trio(world)
    bob.disconnect()
    world.settle()
    for number in range(4):
        ada.send(bob.user, str(number))
        world.settle()
        for name in ("cyn", "dan", "eve", "fay"):
            world.register(f"{name}{number}")
        assert bob.user not in world.node.users
    assert other.texts(bob.user) == ["0", "1", "2", "3"]


def test_a_full_outbox_refuses_before_it_accepts(new_world: Callable[..., World]) -> None:
    """outbox_rows_max."""
    world = new_world(outbox_rows_max=2)
    ada, other, bob = trio(world)
    world.fabric.lose(ItemIn)
    for number in (1, 2):
        assert isinstance(ada.say(bob.user, 1, number), f.Accepted)
    refused = ada.say(bob.user, 1, 3)
    assert isinstance(refused, f.Rejected)
    assert refused.retry == f.RETRY_AFTER
    world.fabric.passes = None
    world.wait(3_000)
    assert isinstance(ada.say(bob.user, 1, 3), f.Accepted)
    assert len(other.saved.shown) == 3


def test_a_sender_whose_copies_wait_holds_up_no_other_sender(new_world: Callable[..., World]) -> None:
    """outbox_rows_max is counted for each target."""
    world = new_world(outbox_rows_max=2)
    ada, _other, bob = trio(world)
    cyn, cyns_other = world.join("cyn", devices=2)
    world.settle()
    world.fabric.lose(ItemIn)
    for number in (1, 2):
        assert isinstance(ada.say(bob.user, 1, number), f.Accepted)
    assert isinstance(ada.say(bob.user, 1, 3), f.Rejected)
    assert isinstance(cyn.say(bob.user, 1, 1), f.Accepted)
    world.fabric.passes = None
    world.wait(3_000)
    assert len(cyns_other.saved.shown) == 1


def test_a_target_that_is_gone_is_done(world: World) -> None:
    ada, _other, bob = trio(world)
    world.fabric.lose(ItemIn)
    ada.send(bob.user, "one")
    world.settle()
    world.ask(user_unit(ada.user), DeleteUser(), ada.auth)
    world.fabric.passes = None
    world.wait(5_000)
    assert not world.user(bob.user).outbox.lanes
    assert at_once(world.store.page_mailbox(ada.user, 0, 1 << 63, 99, 1 << 30)) == []


# --- refusals between units ---
def test_a_refused_item_becomes_a_dead_letter_and_the_next_ones_go_on(new_world: Callable[..., World]) -> None:
    """outbox_refusals_max."""
    world = new_world(outbox_refusals_max=3, outbox_repeat_ms=100)
    ada, other, bob = trio(world)
    user = world.user(bob.user)
    world.node.turn.now = world.now()
    user.outbox.add(world.node.turn, user_unit(ada.user), (99, "of a later version"))
    ada.send(bob.user, "one")
    world.wait(5_000)
    assert other.texts(bob.user) == ["one"]
    assert world.node.turn.counters["iris_dead_letters_total"] == 1
    assert not user.outbox.lanes


def test_a_copy_of_a_strange_conversation_is_refused(world: World) -> None:
    ada, other, bob = trio(world)
    (cyn,) = world.join("cyn")
    body = (outbox.COPY, direct_conversation(ada.user, cyn.user), b"m" * 16, 1, 1, 1, b"forged", 1, 0)
    give(world, ItemIn(user_unit(ada.user), user_unit(bob.user), 1 << 40, 0, body))
    assert not ada.got(f.Deliver)
    assert not other.got(f.Deliver)


def test_a_position_from_a_stranger_is_confirmed_and_changes_nothing(world: World) -> None:
    ada, _other, bob = trio(world)
    (cyn,) = world.join("cyn")
    conversation = direct_conversation(ada.user, bob.user)
    answers = world.fabric.lose(RegisterDone)
    for kind in (outbox.DELIVERED, outbox.READ):
        give(world, RegisterIn(user_unit(ada.user), user_unit(cyn.user), kind, conversation, 1 << 40))
    assert len(answers) == 2
    assert not ada.got(f.Receipt)


def test_copies_arrive_under_any_losses(world: World) -> None:
    ada, other, bob = trio(world)
    world.fabric.faults = Faults(lose=0.2, repeat=0.2, delay=0.4)
    for number in range(30):
        ada.send(bob.user, f"{number:02d}")
        world.wait(200)
    world.fabric.faults = Faults()
    world.wait(70_000)
    for client in (ada, other, bob):
        client.connect()
    world.wait(20_000)
    words = [f"{number:02d}" for number in range(30)]
    assert other.texts(bob.user) == ada.texts(bob.user) == bob.texts(ada.user) == words


def test_marks_of_other_units_are_kept_bounded(new_world: Callable[..., World]) -> None:
    """inbox_marks_max: the one not moved for longest goes, never the number of one's own outbox."""
    world = new_world(inbox_marks_max=2)
    ada, *_ = world.join("ada", 2)
    peers = [world.join(name)[0] for name in ("bob", "cyn", "dan")]
    for peer in [*peers, peers[1]]:
        ada.send(peer.user, "hi")
        world.settle()
    marks = world.user(ada.user).inbox_marks
    kept = [source for source in marks if source != user_unit(ada.user)]
    assert kept == [user_unit(peer.user) for peer in (peers[2], peers[1])]
    assert world.node.turn.counters["iris_inbox_marks_dropped_total"] == 1
    for client in world.clients[:2]:
        assert [client.texts(peer.user) for peer in peers] == [["hi"], ["hi", "hi"], ["hi"]]
