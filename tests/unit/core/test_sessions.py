"""Sessions: resume from any cursor, the newest connection wins, revocation, late and repeated Attach and Detach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from iris.core import frames as f
from iris.core.catalogue import CloseCode, ErrorCode
from iris.core.commands import AckIn, Attach, Attached, AttachRefused, Detach, EdgeGone, WatchIn
from iris.core.ids import user_unit
from iris.core.requests import (
    DeleteUser,
    LogoutAll,
    LogoutDevice,
    PutBlock,
    RevokeToken,
    SetPassword,
)
from iris.core.turn import LoadUser
from tests.support.world import World
from tests.support.world_client import Client
from tests.support.world_node import Faults


def pair(world: World) -> tuple[Client, Client]:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    return ada, bob


def say(world: World, ada: Client, bob: Client, *words: str) -> None:
    for word in words:
        ada.send(bob.user, word)
    world.settle()


# --- resume ---
def test_a_client_at_the_stored_cursor_gets_what_came_meanwhile(world: World) -> None:
    ada, bob = pair(world)
    say(world, ada, bob, "one")
    bob.disconnect()
    say(world, ada, bob, "two", "three")
    bob.connect()
    world.settle()
    assert [frame.payload for frame in bob.got(f.Deliver)] == [b"one", b"two", b"three"]
    assert bob.welcome is not None
    assert (bob.welcome.head, bob.welcome.oldest, bob.welcome.reset) == (bob.saved.seq, 0, False)


def test_a_lost_ack_is_made_up_for_at_the_next_connection(world: World) -> None:
    """Ahead of the stored cursor: what the device has is counted, and its senders are told."""
    ada, bob = pair(world)
    world.fabric.lose(AckIn)
    say(world, ada, bob, "one", "two", "three")
    assert ada.receipt(bob.user) == (0, 0)
    world.fabric.passes = None
    bob.connect()
    world.settle()
    assert ada.receipt(bob.user)[0] == bob.saved.seq
    assert len(bob.got(f.Deliver)) == 3, "none was sent again"
    assert world.user(bob.user).devices[bob.device].acked == 3


def test_a_cursor_far_ahead_is_read_by_pages(new_world: Callable[..., World]) -> None:
    world = new_world(page_rows_max=2)
    ada, bob = pair(world)
    (cyn,) = world.join("cyn")
    world.ask(user_unit(bob.user), PutBlock(cyn.user), bob.auth)
    world.fabric.lose(AckIn)
    for number in range(9):
        say(world, cyn if number % 3 == 2 else ada, bob, str(number))
    world.fabric.passes = None
    bob.disconnect()
    say(world, ada, bob, "later")
    bob.connect()
    world.settle()
    assert bob.texts(ada.user)[-1] == "later"
    assert ada.receipt(bob.user)[0] == bob.saved.seq
    assert world.user(bob.user).devices[bob.device].acked == 7


def test_a_restored_client_is_sent_again_what_is_kept(world: World) -> None:
    ada, (bob, _) = world.join("ada")[0], world.join("bob", 2)
    other = world.clients[-1]
    other.disconnect()  # the second device holds the rows
    say(world, ada, bob, "one", "two")
    backup = bob.saved.copy()
    say(world, ada, bob, "three", "four")
    bob.disconnect()
    bob.saved = backup
    bob.connect()
    world.settle()
    assert bob.texts(ada.user) == ["one", "two", "three", "four"]
    assert world.user(bob.user).devices[bob.device].acked == 4, "counted once"
    other.connect()
    world.settle()
    assert other.texts(ada.user) == bob.texts(ada.user)


def test_a_restored_client_is_told_of_rows_that_are_gone(new_world: Callable[..., World]) -> None:
    world = new_world(trim_rows_min=1)
    ada, bob = pair(world)
    say(world, ada, bob, "one")
    backup = bob.saved.copy()
    say(world, ada, bob, "two", "three")
    bob.disconnect()
    world.settle()
    bob.saved = backup
    bob.connect()
    world.settle()
    assert bob.welcome is not None
    floor = world.user(bob.user).floor
    assert bob.welcome.oldest == floor + 1
    assert (bob.saved.seq, bob.saved.gaps) == (floor, 1)
    say(world, ada, bob, "four")
    assert bob.texts(ada.user) == ["one", "four"]


@pytest.mark.parametrize("last_refused", [False, True])
@pytest.mark.parametrize("kept", [True, False])
def test_a_cursor_from_the_future_is_reset_and_new_rows_arrive(
    new_world: Callable[..., World], kept: bool, last_refused: bool
) -> None:
    """The server was restored from a backup: the client keeps its history and goes back to the head."""
    world = new_world(trim_rows_min=1)
    ada, bob = pair(world)
    (cyn,) = world.join("cyn")
    if kept:
        world.link(bob.user, "holds the rows")
    say(world, ada, bob, "one")
    if last_refused:
        world.ask(user_unit(bob.user), PutBlock(cyn.user), bob.auth)
        say(world, cyn, bob, "no")
    bob.disconnect()
    world.settle()
    world.crash()
    world.settle()
    for profile in (bob.live, bob.saved):
        profile.seq, profile.rev = profile.seq + 5_000, profile.rev + 5_000
    ada.connect()
    bob.connect()
    world.settle()
    assert bob.welcome is not None
    assert bob.welcome.reset
    say(world, ada, bob, "two")
    assert bob.texts(ada.user) == ["one", "two"]
    assert ada.receipt(bob.user)[0] == bob.saved.seq
    assert bob.closed is None


def test_a_new_device_starts_empty(world: World) -> None:
    ada, bob = pair(world)
    say(world, ada, bob, "one")
    tablet = world.link(bob.user, "tablet")
    tablet.connect()
    say(world, ada, bob, "two")
    assert tablet.texts(ada.user) == ["two"]
    assert tablet.saved.receipts == bob.saved.receipts, "registers are for all devices"


def test_what_the_first_device_ever_missed_is_for_it(world: World) -> None:
    (ada,) = world.join("ada")
    bob = world.register("bob")
    ada.send(bob, "early")
    world.settle()
    phone = world.link(bob)
    phone.connect()
    world.settle()
    assert phone.texts(ada.user) == ["early"]


# --- one connection a device ---
def test_the_newest_connection_of_a_device_wins(world: World) -> None:
    ada, bob = pair(world)
    twin = Client(world, bob.user, bob.device, bob.gen)
    world.clients.append(twin)
    twin.connect()
    world.settle()
    assert bob.closed == CloseCode.REPLACED
    say(world, ada, bob, "one")
    assert twin.texts(ada.user) == ["one"]
    world.clients.remove(twin)
    bob.connect()
    world.settle()
    assert twin.closed == CloseCode.REPLACED


def test_a_repeated_attach_of_the_older_connection_does_not_win(world: World) -> None:
    """While the user is being loaded both connections repeat their Attach: the newer one stays."""
    _ada, bob = pair(world)
    bob.disconnect()
    world.settle()
    world.crash()
    twin = Client(world, bob.user, bob.device, bob.gen)
    world.clients.append(twin)
    world.loads = False
    bob.connect()
    world.wait(100)
    twin.connect()
    world.wait(2_500)
    world.loads = True
    world.wait(5_000)
    assert bob.closed == CloseCode.REPLACED
    assert twin.welcome is not None
    assert twin.closed is None
    world.clients.remove(twin)


def test_a_lost_answer_to_attach_is_given_again_and_nothing_is_missed(world: World) -> None:
    ada, bob = pair(world)
    bob.disconnect()
    say(world, ada, bob, "one", "two")
    lost = world.fabric.lose(Attached, most=1)
    bob.connect()
    world.wait(3_000)
    assert lost
    assert bob.texts(ada.user) == ["one", "two"]
    assert bob.closed is None


def test_an_attach_that_comes_after_the_detach_leaves_no_ghost(world: World) -> None:
    _ada, bob = pair(world)
    bob.disconnect()
    world.settle()
    attaches = world.fabric.lose(Attach)
    bob.connect()
    world.settle()
    bob.disconnect()
    world.settle()
    world.fabric.passes = None
    assert isinstance(attaches[0], Attach)
    world.node.receive([(user_unit(bob.user), attaches[0])])
    world.settle()
    assert not world.user(bob.user).sessions


def test_an_attach_to_an_unloaded_user_after_the_detach_leaves_no_ghost(world: World) -> None:
    """The shard does not know of the Detach any more: the edge says it again."""
    _ada, bob = pair(world)
    attaches = world.fabric.lose(Attach)
    bob.connect()
    world.settle()
    bob.disconnect()
    world.settle()
    world.fabric.passes = None
    user = world.user(bob.user)
    user.attached.clear()  # as after a while out of memory
    world.node.receive([(user_unit(bob.user), attaches[-1])])
    world.settle()
    assert not user.sessions


def test_a_detach_waits_behind_the_attach_while_the_user_is_loaded(world: World) -> None:
    ada, bob = pair(world)
    bob.disconnect()
    world.settle()
    world.crash()
    ada.connect()
    world.settle()
    world.loads = False
    bob.connect()
    ada.watch(bob.user)
    world.settle()
    bob.disconnect()
    ada.watch()
    world.settle()
    world.loads = True
    world.wait(2_000)
    user = world.user(bob.user)
    assert not user.sessions
    assert not user.watchers


def test_a_repeat_of_an_old_attach_is_refused_without_harm(world: World) -> None:
    ada, bob = pair(world)
    user = world.user(bob.user)
    session = user.sessions[bob.device]
    late = Attach(bob.user, 0, session.conn, session.number - 1, bob.auth, 0, 0)
    world.node.receive([(user_unit(bob.user), late)])
    world.settle()
    assert user.sessions[bob.device] is session
    assert bob.closed is None, "the refusal names an attempt that does not count"
    say(world, ada, bob, "one")
    assert bob.texts(ada.user) == ["one"]


def test_an_edge_that_began_anew_is_not_refused(world: World) -> None:
    """EdgeGone forgets its numbers, and its attaches and watches that wait for a load."""
    _ada, bob = pair(world)
    ghost = b"\x00\x01" + b"z" * 14
    shard = world.node.shard(user_unit(ghost))
    world.node.turn.now = world.now()
    shard.handle(Attach(ghost, 7, 1, 99, bob.auth._replace(user=ghost), 0, 0))
    shard.handle(WatchIn(ghost, 7, 1, bob.user, True))
    shard.handle(Detach(ghost, 6, 2, 1, 1))
    shard.edge_gone(EdgeGone(7))
    assert [type(command) for command in shard._parked[ghost]] == [Detach]
    user = world.user(bob.user)
    number = user.sessions[bob.device].number
    for owner in world.node.shards.values():
        owner.edge_gone(EdgeGone(0))
    assert not user.sessions
    assert not user.attached
    world.node.receive([(user_unit(bob.user), Attach(bob.user, 0, bob.conn or 0, number - 5, bob.auth, 0, 0))])
    world.settle()
    assert user.sessions[bob.device].number == number - 5
    user.sessions[bob.device].number = number  # for the world's end


# --- revocation ---
def test_revocation_closes_the_session_before_it_is_answered(world: World) -> None:
    _ada, bob = pair(world)
    tablet = world.link(bob.user, "tablet")
    tablet.connect()
    world.settle()
    unit = user_unit(bob.user)
    asked = world.post(unit, LogoutDevice(tablet.device), bob.auth)
    while asked not in world.node.replies:
        assert world.node.replies == {}
        world.step()
    world.fabric.deliver()  # what was released with the answer: edges first
    assert tablet.closed == CloseCode.TOKEN_REVOKED
    assert bob.closed is None
    tablet.connect()
    world.settle()
    assert tablet.closed == CloseCode.TOKEN_REVOKED
    assert world.ask(unit, LogoutDevice(9), bob.auth).code == ErrorCode.UNKNOWN_DEVICE  # type: ignore[union-attr]


@pytest.mark.parametrize("operation", [LogoutAll(False), DeleteUser(), RevokeToken(), LogoutDevice(0)])
def test_a_revoked_token_opens_nothing_also_after_a_restart(world: World, operation: Any) -> None:
    _ada, bob = pair(world)
    token = world.token(bob)
    world.ask(user_unit(bob.user), operation, bob.auth)
    assert bob.closed == CloseCode.TOKEN_REVOKED
    for restart in (False, True):
        if restart:
            world.crash()
        bob.connect(token=token)
        world.settle()
        assert bob.closed == CloseCode.TOKEN_REVOKED
        assert world.ask(user_unit(bob.user), LogoutAll(False), bob.auth).code == ErrorCode.TOKEN_REVOKED  # type: ignore


def test_one_token_is_revoked_and_another_of_the_device_goes_on(world: World) -> None:
    _ada, bob = pair(world)
    first = bob.auth
    bob.jti = "second"
    bob.post(f.Refresh(f.REFRESH, 0, world.token(bob)))
    world.settle()
    assert bob.got(f.Refreshed)
    world.ask(user_unit(bob.user), RevokeToken(), first)
    assert bob.connected(), "the session shows the newer one by now"
    world.ask(user_unit(bob.user), RevokeToken(), bob.auth)
    assert bob.closed == CloseCode.TOKEN_REVOKED


def test_too_many_revoked_tokens_log_everybody_out(new_world: Callable[..., World]) -> None:
    """revoked_tokens_max; expired entries make room."""
    world = new_world(revoked_tokens_max=2)
    _ada, bob = pair(world)
    unit = user_unit(bob.user)
    for number in range(2):
        world.ask(unit, RevokeToken(), bob.auth._replace(jti=f"old{number}"))
    world.shift(4_000_000)
    for number in range(2):
        world.ask(unit, RevokeToken(), bob.auth._replace(jti=f"new{number}"))
    assert bob.connected()
    world.ask(unit, RevokeToken(), bob.auth._replace(jti="one too many"))
    assert bob.closed == CloseCode.TOKEN_REVOKED
    assert not world.user(bob.user).devices


def test_a_new_password_logs_out_the_others(world: World) -> None:
    _ada, bob = pair(world)
    tablet = world.link(bob.user, "tablet")
    tablet.connect()
    world.settle()
    world.ask(user_unit(bob.user), SetPassword("hash 2"), bob.auth)
    assert tablet.closed == CloseCode.TOKEN_REVOKED
    assert bob.closed is None
    assert list(world.user(bob.user).devices) == [bob.device]


def test_a_lost_close_is_said_again_until_the_edge_has_confirmed_it(world: World) -> None:
    _ada, bob = pair(world)
    world.fabric.lose(f.Close, most=2)
    world.ask(user_unit(bob.user), LogoutAll(False), bob.auth)
    assert bob.connected()
    world.wait(2_500)
    assert bob.closed == CloseCode.TOKEN_REVOKED
    assert world.edges[0].edge.counters["iris_sessions_closed_total", CloseCode.TOKEN_REVOKED] == 1
    world.wait(3_000)
    assert not world.user(bob.user).closing, "confirmed by its Detach"
    assert not world.edges[0].edge.detaching


def test_a_refresh_with_a_revoked_token_is_a_problem_and_the_session_goes_on(world: World) -> None:
    _ada, bob = pair(world)
    bob.jti = "second"
    world.ask(user_unit(bob.user), RevokeToken(), bob.auth)
    bob.post(f.Refresh(f.REFRESH, 0, world.token(bob)))
    world.settle()
    (problem,) = bob.got(f.Problem)
    assert (problem.code, problem.frame) == (ErrorCode.TOKEN_REVOKED, f.REFRESH)
    assert bob.closed is None


# --- what edges know of a sender ---
def test_edges_learn_that_there_is_another_device(world: World) -> None:
    _ada, bob = pair(world)
    session = world.edges[0].edge.sessions[bob.conn or 0]
    told = [session.copies]
    tablet = world.link(bob.user, "tablet")
    world.settle()
    told.append(session.copies)
    world.ask(user_unit(bob.user), LogoutDevice(tablet.device), bob.auth)
    told.append(session.copies)
    assert told == [False, True, False]


def test_the_allowance_of_a_user_is_shared_by_the_sessions(new_world: Callable[..., World]) -> None:
    """user_sends_per_second_max and sends_per_second_max."""
    world = new_world(user_sends_per_second_max=30, sends_per_second_max=20)
    bobs = world.join("bob", 3)
    rates = [world.edges[0].edge.sessions[bob.conn or 0].sends for bob in bobs]
    assert [rate.rate for rate in rates if rate] == [10, 10, 10]
    bobs[2].disconnect()
    world.settle()
    assert [rate.rate for rate in rates[:2] if rate] == [15, 15]
    bobs[1].disconnect()
    world.settle()
    assert rates[0] is not None
    assert rates[0].rate == 20


def test_sessions_find_each_other_again_after_any_losses(world: World) -> None:
    ada, bob = pair(world)
    world.fabric.faults = Faults(lose=0.3, repeat=0.2, delay=0.3)
    for number in range(10):
        ada.send(bob.user, str(number))
        bob.connect()
        world.wait(1_500)
    world.fabric.faults = Faults()
    world.wait(5_000)
    bob.connect()
    world.wait(15_000)
    assert bob.texts(ada.user) == [str(number) for number in range(10)]
    assert len(world.user(bob.user).sessions) == 1
    assert not world.edges[0].edge.detaching


def test_a_load_is_asked_for_once(world: World) -> None:
    ada, bob = pair(world)
    bob.disconnect()
    world.settle()
    world.crash()
    world.settle()
    bob.connect()
    ada.connect()
    while not world.node.asks:
        world.step()
    world.node.receive([(user_unit(bob.user), Detach(bob.user, 0, 999, 1, 1))])
    for _ in range(3):
        world.node.run()
    assert world.node.asks.count(LoadUser(bob.user)) <= 1
    assert not any(isinstance(item, AttachRefused) for item in bob.frames)
