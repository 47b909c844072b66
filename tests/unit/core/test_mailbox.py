"""The mailbox: seqs, quotas, trimming, laggards, and books that always balance."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iris.core import frames as f
from iris.core.catalogue import CloseCode, ErrorCode
from iris.core.ids import seq_of, user_unit
from iris.core.mailbox import imbalance, pending
from iris.core.requests import LogoutDevice, PutBlock
from iris.store.memory import at_once
from tests.support.world import World
from tests.support.world_client import Client


def pair(world: World, devices: int = 1) -> tuple[Client, list[Client]]:
    (ada,) = world.join("ada")
    return ada, world.join("bob", devices)


def say(world: World, ada: Client, bob: Client, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        ada.send(bob.user, f"{number:04d}")
    world.wait(100)


def rows(world: World, client: Client) -> int:
    return len(at_once(world.store.page_mailbox(client.user, 0, 1 << 63, 1 << 30, 1 << 60)))


def test_seqs_rise_without_gaps_and_begin_above_in_the_next_epoch(world: World) -> None:
    ada, (bob,) = pair(world)
    say(world, ada, bob, 3)
    assert [row.seq for row in bob.saved.shown] == [seq_of(1, 1), seq_of(1, 2), seq_of(1, 3)]
    world.crash()
    ada.connect()
    bob.connect()
    say(world, ada, bob, 1, 3)
    assert bob.saved.shown[-1].seq == seq_of(2, 1)


def test_a_number_is_not_used_again_when_its_row_is_trimmed_and_its_user_out_of_memory(
    new_world: Callable[..., World],
) -> None:
    world = new_world(trim_rows_min=1, users_in_memory_max=1)
    ada, (bob,) = pair(world)
    say(world, ada, bob, 2)
    bob.disconnect()
    world.settle()
    assert rows(world, bob) == 0
    for name in ("cyn", "dan", "eve", "fay"):
        world.register(name)
    assert bob.user not in world.node.users
    say(world, ada, bob, 1, 2)
    bob.connect()
    world.settle()
    assert [row.seq for row in bob.saved.shown] == [seq_of(1, 1), seq_of(1, 2), seq_of(1, 3)]


def test_rows_that_every_device_has_are_deleted_in_ranges_or_when_idle(new_world: Callable[..., World]) -> None:
    """trim_rows_min."""
    world = new_world(trim_rows_min=5)
    ada, (phone, tablet) = pair(world, 2)
    say(world, ada, phone, 4)
    assert rows(world, phone) == 4
    say(world, ada, phone, 1, 4)
    assert rows(world, phone) == 0
    say(world, ada, phone, 2, 5)
    tablet.disconnect()
    say(world, ada, phone, 7, 7)
    assert rows(world, phone) == 9
    phone.disconnect()
    tablet.connect()
    world.settle()
    tablet.disconnect()
    world.settle()
    assert rows(world, phone) == 0, "nobody is there: all of it"


# --- quotas ---
def test_a_full_mailbox_refuses_and_takes_again_when_a_device_has_acked(new_world: Callable[..., World]) -> None:
    """mailbox_rows_max: what the most advanced device lacks."""
    world = new_world(mailbox_rows_max=3)
    ada, (phone, tablet) = pair(world, 2)
    phone.disconnect()
    tablet.disconnect()
    for number in range(1, 4):
        assert isinstance(ada.say(phone.user, 1, number), f.Accepted)
    for _ in range(2):
        refused = ada.say(phone.user, 1, 4)
        assert isinstance(refused, f.Rejected)
        assert (refused.code, refused.retry) == (ErrorCode.MAILBOX_FULL, f.RETRY_AFTER)
    tablet.connect()
    world.settle()
    assert isinstance(ada.say(phone.user, 1, 4), f.Accepted), "the number was not spent"
    assert rows(world, phone) == 4, "the other device still lacks them"


def test_bytes_are_counted_too_and_refused_rows_are_not(new_world: Callable[..., World]) -> None:
    """mailbox_bytes_max."""
    world = new_world(mailbox_bytes_max=100, mailbox_rows_max=5)
    ada, (bob,) = pair(world)
    (cyn,) = world.join("cyn")
    world.ask(user_unit(bob.user), PutBlock(cyn.user), bob.auth)
    bob.disconnect()
    for number in range(1, 8):
        cyn.say(bob.user, 1, number, payload=b"y" * 60)
    assert isinstance(ada.say(bob.user, 1, 1, payload=b"x" * 60), f.Accepted)
    refused = ada.say(bob.user, 1, 2, payload=b"x" * 60)
    assert refused[6] == ErrorCode.MAILBOX_FULL
    assert isinstance(ada.say(bob.user, 1, 2, payload=b"x" * 40), f.Accepted)


def test_own_copies_wait_for_a_full_mailbox(new_world: Callable[..., World]) -> None:
    world = new_world(mailbox_rows_max=3, outbox_repeat_ms=500)
    (ada, other), (bob,) = world.join("ada", 2), world.join("bob")
    other.disconnect()
    ada.disconnect()
    for number in range(1, 4):
        bob.say(ada.user, 1, number)
    ada.auto = False
    ada.connect()
    world.settle()
    ada.say(bob.user, 1, 1, payload=b"mine")
    assert world.node.turn.counters["iris_items_deferred_total"] >= 1
    ada.auto = True
    ada.commit()
    world.wait(5_000)
    other.connect()
    world.settle()
    assert sorted(other.texts(bob.user)) == ["mine", "x", "x", "x"]


# --- laggards ---
def test_a_laggard_is_cut_closed_and_told(new_world: Callable[..., World]) -> None:
    """mailbox_lag_rows_max."""
    world = new_world(mailbox_lag_rows_max=10, trim_rows_min=2, deliver_window=4)
    ada, (phone, tablet) = pair(world, 2)
    say(world, ada, phone, 3)
    tablet.auto = False
    for number in range(3, 20):
        say(world, ada, phone, 1, number)
    assert tablet.closed == CloseCode.HISTORY_GAP
    assert world.node.turn.counters["iris_cut_total"] > 0
    tablet.kill()
    tablet.auto = True
    tablet.connect()
    world.settle()
    assert tablet.saved.gaps == 1
    assert tablet.welcome is not None
    assert tablet.welcome.oldest > 0
    say(world, ada, phone, 2, 20)
    assert tablet.texts(ada.user)[-2:] == ["0020", "0021"]
    assert phone.texts(ada.user) == [f"{number:04d}" for number in range(22)]
    assert world.user(phone.user).counters.cut > 0


def test_a_laggard_that_is_away_is_told_when_it_comes(new_world: Callable[..., World]) -> None:
    world = new_world(mailbox_lag_rows_max=5, trim_rows_min=2)
    ada, (phone, tablet) = pair(world, 2)
    say(world, ada, phone, 1)
    tablet.disconnect()
    for number in range(1, 12):
        say(world, ada, phone, 1, number)
    world.crash()
    for client in (ada, phone, tablet):
        client.connect()
    world.settle()
    assert tablet.saved.gaps == 1
    say(world, ada, phone, 1, 12)
    assert tablet.texts(ada.user)[-1] == phone.texts(ada.user)[-1] == "0012"


# --- the books ---
@pytest.mark.parametrize("crash", [False, True])
def test_the_books_balance_through_linking_and_unlinking(world: World, crash: bool) -> None:
    ada, (phone, tablet) = pair(world, 2)
    tablet.disconnect()
    say(world, ada, phone, 5)
    watch = world.link(phone.user, "watch")
    watch.connect()
    say(world, ada, phone, 2, 5)
    world.ask(user_unit(phone.user), LogoutDevice(tablet.device), phone.auth)
    world.ask(user_unit(phone.user), LogoutDevice(0), watch.auth)
    if crash:
        world.crash()
        for client in (ada, phone):
            client.connect()
    say(world, ada, phone, 3, 7)
    user = world.user(phone.user)
    assert (user.due, pending(user), imbalance(user)) == (5 * 2 + 2 * 3 + 3, 0, 0)
    assert user.counters.unlinked == 7


def test_rows_without_a_device_are_counted_once(world: World) -> None:
    (ada,) = world.join("ada")
    bob = world.register("bob")
    for number in range(1, 4):
        ada.say(bob, 1, number)
    user = world.user(bob)
    assert (user.due, pending(user), imbalance(user)) == (3, 3, 0)
    phone = world.link(bob)
    assert (user.due, pending(user), imbalance(user)) == (3, 3, 0)
    phone.connect()
    world.settle()
    assert (user.due, pending(user), imbalance(user)) == (3, 0, 0)
