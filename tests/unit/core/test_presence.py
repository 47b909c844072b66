"""Presence, last seen and typing: who may see what, and when."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iris.core import frames as f
from iris.core.catalogue import CloseCode
from iris.core.commands import WatchIn
from iris.core.ids import direct_conversation, user_unit
from iris.core.requests import DeleteBlock, DeleteContact, LogoutDevice, PutBlock, PutContact, UpdateAccount
from iris.core.rows import CONTACTS, EVERYONE, NOBODY
from tests.support.world import World
from tests.support.world_client import Client

ONLINE, OFFLINE, HIDDEN = f.STATUS_ONLINE, f.STATUS_OFFLINE, f.STATUS_HIDDEN


def pair(world: World) -> tuple[Client, Client]:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    return ada, bob


def status(client: Client, other: Client) -> int | None:
    seen = client.presence.get(other.user)
    return seen[0] if seen else None


def privacy(world: World, client: Client, presence: int | None = None, messages: int | None = None) -> None:
    world.ask(user_unit(client.user), UpdateAccount(None, None, presence, messages, None), client.auth)


def test_online_is_told_at_once_and_offline_after_the_grace(world: World) -> None:
    ada, bob = pair(world)
    ada.watch(bob.user)
    world.settle()
    assert status(ada, bob) == ONLINE
    bob.disconnect()
    world.wait(world.limits.offline_grace_ms - 100)
    left = world.wall
    assert status(ada, bob) == ONLINE
    world.wait(200)
    assert status(ada, bob) == OFFLINE
    assert ada.presence[bob.user][1] == left - world.limits.offline_grace_ms + 100, "last seen: when it left"
    bob.connect()
    world.settle()
    assert status(ada, bob) == ONLINE


def test_a_short_break_is_not_told(world: World) -> None:
    ada, bob = pair(world)
    ada.watch(bob.user)
    world.settle()
    bob.disconnect()
    world.wait(5_000)
    bob.connect()
    world.wait(30_000)
    assert [frame.status for frame in ada.got(f.Presence)] == [ONLINE]


def test_a_user_is_offline_when_the_last_device_is(world: World) -> None:
    (ada,), (phone, tablet) = world.join("ada"), world.join("bob", 2)
    ada.watch(phone.user)
    world.settle()
    phone.disconnect()
    world.wait(20_000)
    assert status(ada, phone) == ONLINE
    tablet.disconnect()
    world.wait(20_000)
    assert status(ada, phone) == OFFLINE


def test_an_offline_user_is_shown_offline_with_last_seen(world: World) -> None:
    ada, bob = pair(world)
    bob.disconnect()
    world.settle()
    left = world.wall
    world.wait(60_000)
    ada.watch(bob.user)
    world.settle()
    assert ada.presence[bob.user] == (OFFLINE, left)


def test_after_a_restart_nobody_is_called_offline_before_lease_and_grace(world: World) -> None:
    ada, bob = pair(world)
    (cyn,) = world.join("cyn")
    world.wait(60_000)
    world.crash()
    ada.watch(bob.user, cyn.user)
    ada.connect()
    world.wait(world.limits.lease_ms + world.limits.offline_grace_ms - 1_000)
    assert ada.presence == {}
    cyn.connect()
    world.settle()
    assert status(ada, cyn) == ONLINE
    world.wait(2_000)
    assert status(ada, bob) == OFFLINE
    assert status(ada, cyn) == ONLINE


def test_somebody_who_may_not_see_does_not_end_the_grace_of_a_restart(world: World) -> None:
    ada, bob = pair(world)
    (cyn,) = world.join("cyn")
    privacy(world, bob, presence=CONTACTS)
    world.ask(user_unit(bob.user), PutContact(ada.user, "Ada"), bob.auth)
    world.crash()
    cyn.watch(bob.user)
    cyn.connect()
    world.wait(500)
    ada.watch(bob.user)
    ada.connect()
    world.wait(500)
    assert status(cyn, bob) == HIDDEN
    assert ada.presence == {}
    world.wait(20_000)
    assert status(ada, bob) == OFFLINE


@pytest.mark.parametrize(("setting", "contact", "seen"), [
    (EVERYONE, False, True), (CONTACTS, False, False), (CONTACTS, True, True), (NOBODY, True, False),
])  # fmt: skip
def test_who_may_see(world: World, setting: int, contact: bool, seen: bool) -> None:
    ada, bob = pair(world)
    privacy(world, bob, presence=setting)
    if contact:
        world.ask(user_unit(bob.user), PutContact(ada.user, "Ada"), bob.auth)
    ada.watch(bob.user)
    world.settle()
    assert status(ada, bob) == (ONLINE if seen else HIDDEN)
    if not seen:
        assert ada.presence[bob.user][1] == 0, "last seen is hidden with it"


def test_watchers_are_looked_at_again_when_privacy_contacts_or_blocks_change(world: World) -> None:
    ada, bob = pair(world)
    ada.watch(bob.user)
    world.settle()
    unit = user_unit(bob.user)
    told = []
    for change in (
        UpdateAccount(None, None, CONTACTS, None, None), PutContact(ada.user, ""), DeleteContact(ada.user),
        UpdateAccount(None, None, EVERYONE, None, None), PutBlock(ada.user), DeleteBlock(ada.user),
    ):  # fmt: skip
        world.ask(unit, change, bob.auth)
        told.append(status(ada, bob))
    assert told == [HIDDEN, ONLINE, HIDDEN, ONLINE, HIDDEN, ONLINE]


def test_who_blocks_sees_nothing_either(world: World) -> None:
    ada, bob = pair(world)
    ada.watch(bob.user)
    world.settle()
    world.ask(user_unit(ada.user), PutBlock(bob.user), ada.auth)
    world.settle()
    assert status(ada, bob) == HIDDEN


@pytest.mark.parametrize("why", ["ack", "logout"])
def test_a_session_that_the_server_ends_is_offline_too(world: World, why: str) -> None:
    ada, bob = pair(world)
    ada.watch(bob.user)
    world.settle()
    if why == "ack":
        bob.post(f.Ack(f.ACK, 0, 1 << 50, 0))
        world.settle()
        assert bob.closed == CloseCode.ACK_BEYOND
    else:
        world.ask(user_unit(bob.user), LogoutDevice(0), bob.auth)
    left = world.wall
    world.wait(world.limits.offline_grace_ms + 100)
    assert ada.presence[bob.user] == (OFFLINE, left)


def test_a_connection_that_is_gone_watches_no_longer(world: World) -> None:
    ada, bob = pair(world)
    ada.watch(bob.user)
    world.settle()
    assert len(world.user(bob.user).watchers) == 1
    ada.watch()
    world.settle()
    assert not world.user(bob.user).watchers
    ada.watch(bob.user)
    world.settle()
    ada.disconnect()
    world.settle()
    assert not world.user(bob.user).watchers


def test_a_watcher_that_could_not_say_goodbye_is_found_by_the_next_change(world: World) -> None:
    ada, bob = pair(world)
    ada.watch(bob.user)
    world.settle()
    world.fabric.lose(WatchIn)
    ada.disconnect()
    world.settle()
    world.fabric.passes = None
    assert len(world.user(bob.user).watchers) == 1
    bob.disconnect()
    world.wait(20_000)
    assert not world.user(bob.user).watchers


def test_the_number_of_watchers_is_bounded(new_world: Callable[..., World]) -> None:
    """watchers_max: above it presence is not shown."""
    world = new_world(watchers_max=1)
    ada, bob = pair(world)
    (cyn,) = world.join("cyn")
    ada.watch(bob.user)
    world.settle()
    cyn.watch(bob.user)
    world.settle()
    assert (status(ada, bob), status(cyn, bob)) == (ONLINE, HIDDEN)
    ada.watch(bob.user)
    world.settle()
    assert len(world.user(bob.user).watchers) == 1, "the same watch again is no more"


def test_an_unknown_user_is_hidden(world: World) -> None:
    ada, _bob = pair(world)
    ghost = b"\x00\x01" + b"?" * 14
    ada.watch(ghost)
    world.settle()
    assert ada.presence[ghost] == (HIDDEN, 0)


# --- typing ---
def test_typing_is_shown_to_every_device_of_the_peer(world: World) -> None:
    (ada,), bobs = world.join("ada"), world.join("bob", 2)
    conversation = direct_conversation(ada.user, bobs[0].user)
    for active in (True, False):
        ada.post(f.SetTyping(f.SET_TYPING, 0, conversation, active))
        world.settle()
    for bob in bobs:
        assert [(frame.sender, frame.active) for frame in bob.got(f.Typing)] == [(ada.user, True), (ada.user, False)]
    assert not ada.got(f.Typing)


@pytest.mark.parametrize("why", ["block", "contacts only"])
def test_typing_of_somebody_who_may_not_write_is_not_shown(world: World, why: str) -> None:
    ada, bob = pair(world)
    if why == "block":
        world.ask(user_unit(bob.user), PutBlock(ada.user), bob.auth)
    else:
        privacy(world, bob, messages=CONTACTS)
    ada.post(f.SetTyping(f.SET_TYPING, 0, direct_conversation(ada.user, bob.user), True))
    world.settle()
    assert not bob.got(f.Typing)
    assert not ada.got(f.Problem), "and nobody is told"


def test_typing_for_somebody_who_is_away_loads_nobody(world: World) -> None:
    ada, bob = pair(world)
    bob.disconnect()
    world.settle()
    world.crash()
    ada.connect()
    world.settle()
    ada.post(f.SetTyping(f.SET_TYPING, 0, direct_conversation(ada.user, bob.user), True))
    world.settle()
    assert bob.user not in world.node.users
