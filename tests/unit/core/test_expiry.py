"""Expiry: after message_days, never by a wrong clock; devices that were not seen for device_days."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iris.core.catalogue import CloseCode
from iris.core.expiry import expired, next_horizon
from iris.core.ids import user_unit
from iris.core.mailbox import DAY_MS
from iris.core.requests import DeleteUser, PutBlock
from iris.core.turn import Now
from iris.store.memory import at_once
from tests.support.world import World
from tests.support.world_client import Client


def pair(world: World, devices: int = 1) -> tuple[Client, list[Client]]:
    (ada,) = world.join("ada")
    return ada, world.join("bob", devices)


def kept(world: World, user: bytes) -> list[str]:
    return [row.payload.decode() for row in at_once(world.store.page_mailbox(user, 0, 1 << 63, 1 << 30, 1 << 60))]


# --- the horizon ---
def test_the_horizon_moves_at_most_twice_as_fast_as_the_process_runs() -> None:
    wall = 100 * DAY_MS
    assert next_horizon(0, 1_000, wall, 30, 2) == 2_000
    assert next_horizon(70 * DAY_MS - 500, 1_000, wall, 30, 2) == 70 * DAY_MS, "and never above wall - message_days"
    assert next_horizon(90 * DAY_MS, 1_000, wall, 30, 2) == 90 * DAY_MS, "and never back"


def test_a_message_expires_by_both_clock_and_horizon() -> None:
    at = 1_000 * DAY_MS
    late = at + 30 * DAY_MS + 1
    assert expired(at, Now(0, late, at + 1), 30)
    assert not expired(at, Now(0, late, at), 30)
    assert not expired(at, Now(0, late - 1, at + 1), 30)


def test_a_clock_that_is_a_year_ahead_deletes_nothing(world: World) -> None:
    ada, (bob,) = pair(world)
    bob.disconnect()
    ada.send(bob.user, "one")
    world.settle()
    world.shift(365 * DAY_MS)
    world.sweep()
    assert kept(world, bob.user) == ["one"]
    assert [device.number for device in world.user(bob.user).devices] == [bob.device], "nor unlinks it a device"


# --- messages ---
def test_what_nobody_fetched_expires_and_the_device_is_told(new_world: Callable[..., World]) -> None:
    world = new_world(page_rows_max=2)
    ada, (bob,) = pair(world)
    ada.send(bob.user, "zero")
    world.settle()
    bob.disconnect()
    for number in range(5):
        ada.send(bob.user, f"old {number}")
    world.settle()
    world.days(20)
    ada.send(bob.user, "new")
    world.settle()
    world.days(11)
    world.sweep()
    assert kept(world, bob.user) == ["new"]
    bob.connect()
    world.settle()
    assert bob.saved.gaps == 1
    assert bob.texts(ada.user) == ["zero", "new"]
    assert world.user(bob.user).counters.expired == 5
    assert ada.receipt(bob.user)[0] == bob.saved.seq


def test_rows_that_were_acked_expire_silently(world: World) -> None:
    ada, (bob,) = pair(world)
    ada.send(bob.user, "one")
    world.settle()
    assert kept(world, bob.user) == ["one"], "too few to be trimmed yet"
    world.days(31)
    world.sweep()
    assert kept(world, bob.user) == []
    assert bob.closed is None
    assert world.user(bob.user).counters.expired == 0


def test_a_live_device_whose_rows_expire_is_closed_and_told(world: World) -> None:
    ada, (bob,) = pair(world)
    bob.auto = False
    ada.send(bob.user, "one")
    world.settle()
    world.days(31)
    world.sweep()
    assert bob.closed == CloseCode.HISTORY_GAP
    bob.kill()
    bob.auto = True
    bob.connect()
    world.settle()
    assert (bob.saved.gaps, bob.texts(ada.user)) == (1, [])


def test_a_user_without_a_device_loses_the_old_rows_only(world: World) -> None:
    (ada,) = world.join("ada")
    bob = world.register("bob")
    ada.send(bob, "old")
    world.settle()
    world.days(20)
    ada.send(bob, "new")
    world.settle()
    world.days(11)
    world.sweep()
    phone = world.link(bob)
    phone.connect()
    world.settle()
    assert phone.texts(ada.user) == ["new"]


def test_refused_rows_expire_too(world: World) -> None:
    ada, (bob,) = pair(world)
    world.ask(user_unit(bob.user), PutBlock(ada.user), bob.auth)
    ada.send(bob.user, "no")
    world.settle()
    world.days(31)
    world.sweep()
    assert kept(world, bob.user) == []
    assert bob.closed is None


@pytest.mark.parametrize("meanwhile", ["trimmed", "deleted"])
def test_a_page_that_comes_late_undoes_nothing(new_world: Callable[..., World], meanwhile: str) -> None:
    world = new_world(trim_rows_min=1)
    ada, (bob,) = pair(world)
    bob.auto = False
    for number in range(3):
        ada.send(bob.user, str(number))
    world.settle()
    world.days(31)
    world.node.wake([bob.user])
    while not world.node.asks:
        world.step()
    world.loads = False
    if meanwhile == "trimmed":
        bob.auto = True
        bob.commit()
    else:
        world.ask(user_unit(bob.user), DeleteUser(), bob.auth)
    world.settle()
    floor = world.user(bob.user).floor
    world.loads = True
    world.settle()
    assert world.user(bob.user).floor == floor
    assert world.user(bob.user).counters.expired == 0
    assert world.user(bob.user).base is None


# --- devices ---
def test_a_device_that_was_not_seen_for_long_is_unlinked(world: World) -> None:
    """device_days."""
    _ada, (phone, tablet) = pair(world, 2)
    tablet.disconnect()
    world.settle()
    for _ in range(59):
        world.days(1)
        world.sweep()
    assert len(world.user(phone.user).devices) == 2
    world.days(2)
    world.sweep()
    assert [device.number for device in world.user(phone.user).devices] == [phone.device], (
        "the one that is connected stays"
    )
    tablet.connect()
    world.settle()
    assert tablet.closed == CloseCode.TOKEN_REVOKED


@pytest.mark.parametrize("swept", [True, False])
def test_a_device_in_use_outlives_a_restart_after_many_days(world: World, swept: bool) -> None:
    """Connected for a year, or coming every month: the start of the server does not take it for unseen."""
    _ada, (bob,) = pair(world)
    for _ in range(6):
        world.days(20)
        if swept:
            world.sweep()
        else:
            bob.connect()
            world.settle()
    world.crash()
    world.sweep()
    bob.connect()
    world.settle()
    assert bob.closed is None
    assert bob.welcome is not None


def test_a_server_that_was_off_for_long_unlinks_nobody_at_once(world: World) -> None:
    _ada, (bob,) = pair(world)
    bob.disconnect()
    world.settle()
    world.crash()
    horizon = world.horizon
    world.shift(90 * DAY_MS)
    assert world.horizon == horizon, "it was not running"
    world.sweep()
    bob.connect()
    world.settle()
    assert bob.closed is None


def test_the_next_device_starts_where_the_last_one_had_got_to(world: World) -> None:
    ada, (bob,) = pair(world)
    ada.send(bob.user, "had")
    world.settle()
    bob.disconnect()
    world.settle()
    world.days(50)
    ada.send(bob.user, "missed")
    world.settle()
    world.days(11)
    world.sweep()
    assert not world.user(bob.user).devices
    phone = world.link(bob.user)
    phone.connect()
    world.settle()
    assert phone.texts(ada.user) == ["missed"]
