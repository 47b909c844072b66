"""Sessions resume from any cursor: behind, ahead, of another line, of a server or a client that was set back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iris.core import frames as f
from iris.core.catalogue import CloseCode
from iris.core.commands import AckIn
from iris.core.ids import user_unit
from iris.core.requests import DeleteUser, PutBlock
from iris.core.sessions import FOR_ATTACH
from iris.core.turn import LoadPage
from tests.support.world import World
from tests.support.world_client import Client


def pair(world: World) -> tuple[Client, Client]:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    return ada, bob


def say(world: World, ada: Client, bob: Client, *words: str) -> None:
    for word in words:
        ada.send(bob.user, word)
    world.settle()


def purposes(world: World) -> list[tuple[object, ...]]:
    """Of the pages that are asked for."""
    return [ask.purpose for ask in world.node.asks if isinstance(ask, LoadPage)]


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
    assert world.user(bob.user).linked(bob.device).acked == 3


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
    assert world.user(bob.user).linked(bob.device).acked == 7


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
    assert world.user(bob.user).linked(bob.device).acked == 4, "counted once"
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


def test_a_client_restored_from_before_its_first_message_is_told_too(new_world: Callable[..., World]) -> None:
    """Its cursor is 0, as a new device's, which misses nothing."""
    world = new_world(trim_rows_min=1)
    ada, bob = pair(world)
    backup = bob.saved.copy()
    say(world, ada, bob, "one", "two")
    bob.disconnect()
    world.settle()
    bob.saved = backup
    assert bob.saved.seq == 0
    bob.connect()
    world.settle()
    assert bob.welcome is not None
    assert bob.welcome.oldest == world.user(bob.user).floor + 1
    assert bob.saved.gaps == 1
    say(world, ada, bob, "three")
    assert bob.texts(ada.user) == ["three"]


def test_a_device_that_was_set_back_keeps_no_more_than_any_other_may_lag(new_world: Callable[..., World]) -> None:
    """mailbox_lag_rows_max: else whoever says an old cursor and acks nothing keeps a whole mailbox. Both are told."""
    world = new_world(mailbox_lag_rows_max=3, trim_rows_min=1)
    ada, bob = pair(world)
    late = world.link(bob.user)
    say(world, ada, bob, "1")
    backup = bob.saved.copy()
    say(world, ada, bob, "2", "3")
    bob.disconnect()
    bob.saved, bob.auto = backup, False
    bob.connect()
    user = world.user(bob.user)
    world.settle()
    assert user.floor == 0, "kept for the phone"
    say(world, ada, bob, "4", "5")
    assert (user.linked(late.device).lost, user.floor - backup.seq) == (3, 2), "up to what the phone once had"
    assert bob.closed == CloseCode.HISTORY_GAP
    bob.auto = True
    for client in (late, bob):
        client.connect()
    world.settle()
    assert (late.saved.gaps, bob.saved.gaps) == (1, 1)
    assert late.texts(ada.user) == ["4", "5"]
    assert bob.texts(ada.user) == ["1", "4", "5"]


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


def test_a_cursor_between_the_newest_row_and_a_refused_one_is_reset_too(world: World) -> None:
    """The registers say that the server was restored. The client lowers its seq to the head; so must the server, or it
    sends from a place where the client is not, again and again.
    """
    ada, bob = pair(world)
    (cyn,) = world.join("cyn")
    say(world, ada, bob, "one")
    world.ask(user_unit(bob.user), PutBlock(cyn.user), bob.auth)
    bob.disconnect()
    world.crash()
    cyn.connect()
    cyn.send(bob.user, "no")
    world.settle()
    for profile in (bob.live, bob.saved):
        profile.seq, profile.rev = profile.seq + 5, profile.rev + 5
    assert world.user(bob.user).last_seq < bob.saved.seq < world.user(bob.user).head
    ada.connect()
    bob.connect()
    world.settle()
    say(world, ada, bob, "two")
    assert bob.texts(ada.user) == ["one", "two"]
    assert ada.receipt(bob.user)[0] == bob.saved.seq


def test_a_cursor_of_another_line_skips_nothing(world: World) -> None:
    """A server that was restored twice: in the line that stands now, the device never had what waits below the head."""
    ada, bob = pair(world)
    say(world, ada, bob, "had")
    bob.disconnect()
    say(world, ada, bob, "waits")
    for profile in (bob.live, bob.saved):
        profile.seq, profile.rev = profile.seq + 5_000, profile.rev + 5_000
    bob.connect()
    world.settle()
    assert bob.welcome is not None
    assert bob.welcome.reset
    say(world, ada, bob, "new")
    assert bob.texts(ada.user) == ["had", "waits", "new"]
    assert bob.saved.gaps == 0


def test_a_cursor_that_names_no_row_is_of_another_line(world: World) -> None:
    """A server that was set back and has gone on since: the cursor lies below its newest row and is none of its."""
    ada, bob = pair(world)
    say(world, ada, bob, "had")
    bob.disconnect()
    say(world, ada, bob, "waits")
    world.crash()
    world.settle()
    for profile in (bob.live, bob.saved):
        profile.seq += 500  # given in a life of the server that this store has never seen
    ada.connect()
    say(world, ada, bob, "new")
    bob.connect()
    world.settle()
    assert bob.welcome is not None
    assert (bob.welcome.head, bob.welcome.head_rev, bob.welcome.reset) == (world.user(bob.user).floor, 0, True)
    assert bob.texts(ada.user) == ["had", "waits", "new"]
    assert bob.saved.gaps == 0
    assert not world.user(bob.user).checking


def test_a_reset_tells_no_device_what_was_there_before_it_was_linked(world: World) -> None:
    ada, bob = pair(world)
    bob.auto = False
    say(world, ada, bob, "before")  # kept: the phone has not acked it
    bob.auto = True
    bob.commit()
    world.settle()
    tablet = world.link(bob.user, "tablet")
    tablet.connect()
    say(world, ada, bob, "after")
    tablet.disconnect()
    for profile in (tablet.live, tablet.saved):
        profile.seq, profile.rev = profile.seq + 5_000, profile.rev + 5_000
    tablet.connect()
    world.settle()
    assert tablet.welcome is not None
    assert tablet.welcome.reset
    assert tablet.texts(ada.user) == ["after"]


@pytest.mark.parametrize("how", ["disconnect", "edge gone", "account gone"])
def test_whoever_ends_while_its_cursor_is_looked_for_leaves_nothing(world: World, how: str) -> None:
    ada, bob = pair(world)
    world.fabric.lose(AckIn)
    say(world, ada, bob, "had")
    bob.disconnect()
    world.settle()
    world.fabric.passes = None
    user = world.user(bob.user)
    assert user.linked(bob.device).seq < bob.saved.seq
    world.loads = False
    bob.connect()
    world.settle()
    assert purposes(world) == [(FOR_ATTACH, bob.device)]
    assert user.checking
    if how == "disconnect":
        bob.disconnect()
    elif how == "edge gone":
        bob.closed = 1  # and nobody says so
        world.edges[0].edge.forget(bob.conn or 0)
        world.fabric.renewals = False
        world.wait(4_000)
    else:
        world.ask(user.unit, DeleteUser(), bob.auth)
    world.settle()
    world.loads = True
    world.settle()
    assert not user.checking
    assert not user.sessions


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
