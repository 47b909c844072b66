"""A turn gathers writes and effects and hands them over as one commit."""

from __future__ import annotations

from collections.abc import Callable

from iris.core.catalogue import ErrorCode, Limits
from iris.core.frames import Accepted, Rejected
from iris.core.requests import Done
from iris.core.rows import NodeRow
from iris.core.turn import LoadUser, Turn
from tests.support.world import World
from tests.support.world_client import Client


def test_a_commit_is_taken_whole_and_the_next_one_begins_empty() -> None:
    turn = Turn(Limits(), 1, 8)
    turn.write(NodeRow("a", 1))
    turn.to_edge(3, (1, 2))
    turn.to_unit(b"@ada", (4,))
    turn.ask(LoadUser(b"u"))
    turn.reply(9, Done())
    writes, effects = turn.take()
    assert writes == [NodeRow("a", 1)]
    assert (effects.edge, effects.units) == ({3: [(1, 2)]}, [(b"@ada", (4,))])
    assert (effects.asks, effects.replies) == ([LoadUser(b"u")], [(9, Done())])
    assert effects
    writes, effects = turn.take()
    assert not writes
    assert not effects


def test_what_comes_while_half_a_commit_waits_is_queued_and_no_commit_is_long(new_world: Callable[..., World]) -> None:
    world = new_world(commit_rows_max=20)
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    store, lengths = world.node.store, list[int]()
    submit = store.submit
    store.submit = lambda writes, done: lengths.append(len(writes)) or submit(writes, done)  # type: ignore[method-assign,func-returns-value]
    send_40_while_the_disk_holds(world, ada, bob)
    assert not ada.got(Rejected)
    assert bob.texts(ada.user) == [str(number) for number in range(40)]
    assert max(lengths) <= 20
    assert world.node.core.inbox.commands == 0


def test_a_full_commit_refuses_sends_and_nothing_is_stored(new_world: Callable[..., World]) -> None:
    """commit_rows_max and waiting_commands_max: what waits for the disk is bounded."""
    world = new_world(commit_rows_max=20, waiting_commands_max=4)
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    send_40_while_the_disk_holds(world, ada, bob)
    codes = [frame.code for frame in ada.got(Rejected)]
    assert codes.count(ErrorCode.OVERLOADED) >= 1
    assert set(codes) <= {ErrorCode.OVERLOADED, ErrorCode.SEQUENCE_GAP}
    world.wait(5_000)
    assert bob.texts(ada.user) == [str(number) for number in range(40)]


def send_40_while_the_disk_holds(world: World, sender: Client, receiver: Client) -> None:
    """Then let it go on."""
    world.hold = True
    for number in range(40):
        sender.send(receiver.user, str(number))
        world.settle()
    assert not sender.got(Accepted), "nothing is said while the disk holds"
    assert not sender.got(Rejected)
    world.hold = False
    world.settle()


def test_payload_bytes_fill_a_commit_too() -> None:
    turn = Turn(Limits(commit_bytes_max=100), 1, 8)
    full = []
    for turn.bytes in (99, 100):
        full.append(turn.full)
    turn.take()
    assert [*full, turn.full] == [False, True, False]
