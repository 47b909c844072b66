"""Acks that follow each other closely are one: how many a shard hears, and that none is lost with its connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from iris.core import frames as f
from iris.core.catalogue import LIMITS
from iris.core.commands import AckIn
from iris.edge.session import State
from tests.support.world import World
from tests.support.world_client import Client

LINGER_MS = LIMITS["ack_linger_ms"].default


@pytest.fixture
def new_world() -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(**limits: int) -> World:
        made.append(World(**{"ack_linger_ms": LINGER_MS, **limits}))
        return made[-1]

    yield make
    for world in made:
        world.wait(1_000)
        world.audit()


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    return new_world()


def pair(world: World) -> tuple[Client, Client, list[AckIn]]:
    """ada, bob, and what bob's shard is told by AckIn from now on; neither has said anything for long."""
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    world.wait(10_000)
    heard = world.fabric.see(AckIn)
    return ada, bob, heard


def of(heard: list[AckIn], client: Client) -> list[int]:
    return [ack.seq for ack in heard if ack.user == client.user]


def cursor(world: World, client: Client) -> int:
    """What the shard has heard of the device."""
    return world.user(client.user).linked(client.device).seq


def say(world: World, ada: Client, bob: Client, count: int) -> None:
    """So many messages, each acked before the next one is sent."""
    for number in range(count):
        ada.send(bob.user, f"{number:05d}")
        world.settle()


def test_an_ack_after_a_silence_waits_for_nothing(world: World) -> None:
    ada, bob, heard = pair(world)
    say(world, ada, bob, 1)
    assert of(heard, bob) == [bob.saved.seq]
    assert ada.receipt(bob.user) == (bob.saved.seq, 0)


def test_those_that_follow_are_one_and_the_newest(world: World) -> None:
    ada, bob, heard = pair(world)
    say(world, ada, bob, 5)
    assert len(of(heard, bob)) == 1
    world.wait(LINGER_MS)
    assert of(heard, bob)[1:] == [bob.saved.seq]
    assert cursor(world, bob) == bob.saved.seq
    assert world.edges[0].edge.counters["iris_acks_lingered_total"]
    assert not world.edges[0].edge.lingering


def test_all_that_linger_go_in_one_batch(world: World) -> None:
    people = [pair_ for name in ("bob", "cyn", "dan") for pair_ in world.join(name)]
    (ada,) = world.join("ada")
    world.wait(10_000)
    for _ in range(2):
        for peer in people:
            ada.send(peer.user, "x")
        world.settle()
    lingering = {session.user for session in world.edges[0].edge.lingering}
    assert lingering >= {peer.user for peer in people}
    world.wait(LINGER_MS)
    for peer in people:
        assert cursor(world, peer) == peer.saved.seq


def test_a_large_step_waits_for_nothing(new_world: Callable[..., World]) -> None:
    """deliver_window: a device that takes much gets more at once."""
    world = new_world(deliver_window=8)
    ada, bob, heard = pair(world)
    say(world, ada, bob, 5)
    first = bob.saved.seq - 4
    assert of(heard, bob) == [first, first + 2, first + 4], "two are a fourth of the window"


def test_a_repeated_ack_waits_for_nothing_and_is_heard_as_repeated(world: World) -> None:
    ada, bob, heard = pair(world)
    say(world, ada, bob, 2)
    assert len(of(heard, bob)) == 1
    bob.post(f.Ack(f.ACK, 0, bob.saved.seq, bob.saved.rev))
    world.settle()
    assert of(heard, bob)[1:] == [bob.saved.seq, bob.saved.seq]


def test_the_end_of_a_connection_loses_no_ack(world: World) -> None:
    ada, bob, heard = pair(world)
    say(world, ada, bob, 2)
    assert cursor(world, bob) == bob.saved.seq - 1
    bob.disconnect()
    world.settle()
    assert of(heard, bob)[1:] == [bob.saved.seq]
    assert cursor(world, bob) == bob.saved.seq
    assert ada.receipt(bob.user) == (bob.saved.seq, 0)


def test_a_session_that_attaches_anew_says_it_with_that(world: World) -> None:
    ada, bob, heard = pair(world)
    say(world, ada, bob, 2)
    edge = world.edges[0].edge
    session = next(one for one in edge.sessions.values() if one.user == bob.user)
    edge._attach_anew(session)
    ada.post(f.Watch(f.WATCH, 0, ()))  # the edge's next batch
    world.settle()
    assert session.state is State.READY
    world.wait(2 * LINGER_MS)
    assert len(of(heard, bob)) == 1, "the shard would take it for a repeated one"
    assert cursor(world, bob) == bob.saved.seq
