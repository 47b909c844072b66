"""Sessions: the newest connection wins, late and repeated Attach and Detach, what edges know of a sender."""

from __future__ import annotations

from collections.abc import Callable

from iris.core import frames as f
from iris.core.catalogue import CloseCode
from iris.core.commands import AckIn, Attach, Attached, AttachRefused, CloseSession, Detach, EdgeGone, WatchIn
from iris.core.ids import user_unit
from iris.core.requests import LogoutDevice
from iris.core.sessions import FOR_RESUME
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
    session = world.user(bob.user).sessions[0]
    for late in (first, second):
        world.node.receive([(user_unit(bob.user), late)])
        world.settle()
        assert world.user(bob.user).sessions[0] is session
    say(world, ada, bob, "one")
    assert bob.texts(ada.user) == ["one"]
    assert bob.connected()


def test_an_older_connection_at_another_edge_does_not_win_by_attaching_anew(new_world: Callable[..., World]) -> None:
    """Nobody has noticed yet that the older one is dead; its edge's lease lapses and is renewed."""
    world = new_world(edges=2)
    _ada, bob = pair(world)
    twin = Client(world, bob.user, bob.device, bob.gen)
    world.clients.append(twin)
    lost = world.fabric.lose(CloseSession)
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
    device = world.user(bob.user).linked(bob.device)
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
    sessions = [world.edges[0].edge.sessions[bob.conn or 0] for bob in bobs]
    assert [session.sends_per_second for session in sessions] == [10, 10, 10]
    bobs[2].disconnect()
    world.settle()
    assert [session.sends_per_second for session in sessions[:2]] == [15, 15]
    bobs[1].disconnect()
    world.settle()
    assert sessions[0].sends_per_second == 20


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
