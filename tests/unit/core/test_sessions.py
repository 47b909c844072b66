"""Sessions: resume from any cursor, the newest connection wins, revocation, late and repeated Attach and Detach."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iris.core import frames as f
from iris.core.catalogue import CloseCode
from iris.core.commands import AckIn, Attach, Attached, AttachRefused, Detach, EdgeGone, WatchIn
from iris.core.ids import user_unit
from iris.core.requests import DeleteUser, LogoutDevice, PutBlock
from iris.core.sessions import FOR_ATTACH, FOR_RESUME
from iris.core.turn import LoadPage, LoadUser
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


def purposes(world: World) -> list[tuple[object, ...]]:
    """Of the pages that are asked for."""
    return [ask.purpose for ask in world.node.asks if isinstance(ask, LoadPage)]


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
    assert (user.devices[late.device].lost, user.floor - backup.seq) == (3, 2), "up to what the phone once had"
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
    assert user.devices[bob.device].seq < bob.saved.seq
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


def test_a_repeat_of_an_old_attempt_does_no_harm(world: World) -> None:
    """As after a lapse of the lease: it neither sets the session back nor ends it."""
    ada, bob = pair(world)
    attaches = world.fabric.see(Attach)
    bob.connect()
    world.settle()
    world.fabric.renewals = False
    world.wait(4_000)
    world.fabric.renewals = True
    world.wait(2_000)
    first, second = attaches[0], attaches[-1]
    assert (first.number, first.attempt, second.attempt) == (second.number, 1, 2)
    session = world.user(bob.user).sessions[bob.device]
    for late in (first, second):
        world.node.receive([(user_unit(bob.user), late)])
        world.settle()
        assert world.user(bob.user).sessions[bob.device] is session
    say(world, ada, bob, "one")
    assert bob.texts(ada.user) == ["one"]
    assert bob.connected()


def test_an_older_connection_at_another_edge_does_not_win_by_attaching_anew(new_world: Callable[..., World]) -> None:
    """Nobody has noticed yet that the older one is dead; its edge's lease lapses and is renewed."""
    world = new_world(edges=2)
    _ada, bob = pair(world)
    twin = Client(world, bob.user, bob.device, bob.gen)
    world.clients.append(twin)
    lost = world.fabric.lose(f.Close)
    twin.connect(1)
    world.settle()
    assert lost, "the edge does not know that it was replaced"
    world.fabric.renewals = False
    world.wait(4_000)
    world.fabric.renewals = True
    world.fabric.passes = None
    world.wait(3_000)
    assert bob.closed in (CloseCode.SHARD_MOVED, CloseCode.REPLACED)
    assert twin.connected()
    world.clients.remove(twin)


def test_a_client_that_is_further_than_its_new_session_is_attached_where_it_is(new_world: Callable[..., World]) -> None:
    """It acks what the session before the lapse was sent, which the new one does not know: that is no Ack beyond."""
    world = new_world(deliver_window=2, page_rows_max=1)
    ada, bob = pair(world)
    bob.auto = False
    say(world, ada, bob, "1", "2", "3")
    assert [row.payload for row in bob.live.shown] == [b"1", b"2"]
    world.fabric.renewals = False
    world.wait(4_000)
    world.fabric.renewals = True
    while not world.node.asks:
        world.step()
    world.loads = False  # attached anew at 0, and no page has come
    world.wait(500)
    attaches = world.fabric.see(Attach)
    bob.auto = True
    bob.commit()
    world.settle()
    assert bob.connected()
    assert [(attach.attempt, attach.seq) for attach in attaches] == [(3, bob.saved.seq)]
    world.loads = True
    world.settle()
    assert bob.texts(ada.user) == ["1", "2", "3"]
    assert ada.receipt(bob.user)[0] == bob.saved.seq


def test_a_page_that_an_earlier_attempt_asked_for_is_not_taken(new_world: Callable[..., World]) -> None:
    """The new one resumes first: rows sent before that would be acked over those whose Ack was lost."""
    world = new_world(deliver_window=2, page_rows_max=1)
    ada, bob = pair(world)
    bob.auto = False
    say(world, ada, bob, "1", "2", "3", "4", "5")
    device = world.user(bob.user).devices[bob.device]
    world.loads = False
    lost = world.fabric.lose(AckIn)
    bob.auto = True
    bob.commit()
    world.settle()
    (ack,) = lost
    world.node.receive([(user_unit(bob.user), ack._replace(seq=bob.got(f.Deliver)[0].seq))])  # an earlier one comes
    while not world.node.asks:
        world.step()
    world.fabric.passes = None
    world.fabric.renewals = False
    world.wait(4_000)
    world.fabric.renewals = True
    world.wait(2_000)
    asked = world.node.asks[0]
    assert purposes(world)[0][-1] == 1
    world.node.asks.remove(asked)
    world.loads = True
    while FOR_RESUME not in [purpose[0] for purpose in purposes(world)]:
        world.step()
    resume = world.node.asks.pop()  # it takes longer
    world.node.asks.append(asked)
    world.settle()
    world.node.asks.append(resume)
    world.settle()
    assert bob.texts(ada.user) == ["1", "2", "3", "4", "5"]
    assert device.acked == 5


def test_a_gone_edge_leaves_nothing_that_waits_for_a_load(world: World) -> None:
    _ada, bob = pair(world)
    ghost = b"\x00\x01" + b"z" * 14
    shard = world.node.shard(user_unit(ghost))
    world.node.turn.now = world.now()
    shard.handle(Attach(ghost, 7, 1, 99, 1, bob.auth._replace(user=ghost), 0, 0))
    shard.handle(WatchIn(ghost, 7, 1, bob.user, True))
    shard.handle(Detach(ghost, 6, 2, 1, 1))
    shard.edge_gone(EdgeGone(7))
    assert [type(command) for command in shard._parked[ghost]] == [Detach]
    assert not shard._parked_watches[ghost]


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
