"""The delivery pump: order, prev, windows, catch-up, rewinds, and lost batches that can never be acked over."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from iris.core import frames as f
from iris.core.catalogue import CloseCode
from iris.core.ids import user_unit
from iris.core.requests import DeleteBlock, PutBlock
from tests.support.world import World
from tests.support.world_client import Client


def pair(world: World) -> tuple[Client, Client]:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    return ada, bob


def many(ada: Client, bob: Client, count: int, first: int = 0) -> list[str]:
    """Ada sends so many messages; their texts."""
    words = [f"{number:05d}" for number in range(first, first + count)]
    for word in words:
        ada.send(bob.user, word)
    return words


def chain(client: Client) -> list[tuple[int, int]]:
    """(prev, seq) of every Deliver that came."""
    return [(frame.prev, frame.seq) for frame in client.got(f.Deliver)]


def test_every_deliver_names_the_row_before_it(world: World) -> None:
    ada, bob = pair(world)
    many(ada, bob, 5)
    world.settle()
    assert chain(bob)[0][0] == 0
    assert all(seq == prev for (_, seq), (prev, _) in pairwise(chain(bob)))


def test_live_rows_wait_for_room_in_the_window(new_world: Callable[..., World]) -> None:
    world = new_world(deliver_window=3)
    ada, bob = pair(world)
    bob.auto = False
    words = many(ada, bob, 8)
    world.settle()
    assert len(bob.got(f.Deliver)) == 3
    bob.commit()
    world.settle()
    assert len(bob.got(f.Deliver)) == 6
    bob.auto = True
    bob.commit()
    world.settle()
    assert bob.texts(ada.user) == words
    assert len(chain(bob)) == 8, "each of them once"


def test_a_window_counts_bytes_too(new_world: Callable[..., World]) -> None:
    world = new_world(deliver_window_bytes=20)
    ada, bob = pair(world)
    bob.auto = False
    words = many(ada, bob, 10)
    world.settle()
    assert len(bob.got(f.Deliver)) == 4, "the fourth one fills it"
    bob.auto = True
    bob.commit()
    world.settle()
    assert bob.texts(ada.user) == words, "an Ack gives them back"


def test_rows_in_memory_are_bounded_by_bytes_too(new_world: Callable[..., World]) -> None:
    """With a slow device the newest rows stay in memory: 256 of 64 KiB would be 16 MiB a user."""
    world = new_world(deliver_window_bytes=100)
    (ada,), (bob, slow) = world.join("ada"), world.join("bob", devices=2)
    slow.auto = False
    words = []
    for part in range(10):
        words += many(ada, bob, 10, first=10 * part)
        world.settle()
        assert 0 < sum(len(row.payload) for row in world.user(bob.user).tail) <= 105
    slow.auto = True
    slow.commit()
    world.settle()
    assert bob.texts(ada.user) == slow.texts(ada.user) == words


def test_catch_up_goes_by_pages_while_live_rows_arrive(new_world: Callable[..., World]) -> None:
    world = new_world(deliver_window=4, page_rows_max=3, trim_rows_min=2)
    ada, bob = pair(world)
    bob.disconnect()
    words = many(ada, bob, 20)
    world.settle()
    bob.connect()
    for number in range(20, 40):
        words += many(ada, bob, 1, number)
        for _ in range(3):
            world.step()
    world.settle()
    assert bob.texts(ada.user) == words
    assert len(chain(bob)) == 40, "no row was sent twice"
    assert all(seq == prev for (_, seq), (prev, _) in pairwise(chain(bob)))


def test_refused_rows_in_between_are_skipped(new_world: Callable[..., World]) -> None:
    world = new_world(page_rows_max=2)
    ada, bob = pair(world)
    (cyn,) = world.join("cyn")
    world.ask(user_unit(bob.user), PutBlock(cyn.user), bob.auth)
    bob.disconnect()
    for number in range(9):
        (ada if number % 3 == 0 else cyn).send(bob.user, str(number))
        world.settle()
    bob.connect()
    world.settle()
    assert bob.texts(ada.user) == ["0", "3", "6"]
    assert all(seq == prev for (_, seq), (prev, _) in pairwise(chain(bob)))
    cyn.send(bob.user, "no")
    ada.send(bob.user, "live")
    world.settle()
    assert bob.texts(ada.user)[-1] == "live"
    assert len(bob.got(f.Deliver)) == 4
    assert [row.at > 0 for row in bob.saved.shown] == [True] * 4
    world.ask(user_unit(bob.user), DeleteBlock(cyn.user), bob.auth)


def test_a_lost_batch_is_found_by_the_next_row_and_sent_again(world: World) -> None:
    ada, bob = pair(world)
    many(ada, bob, 1)
    world.settle()
    lost = world.fabric.lose(f.Deliver, most=2)
    words = ["00000", *many(ada, bob, 2, 1)]
    world.settle()
    assert len(lost) == 2
    assert bob.texts(ada.user) == ["00000"]
    words += many(ada, bob, 1, 3)
    world.settle()
    assert bob.texts(ada.user) == words, "its Ack of the old cursor has asked for them"
    assert world.node.turn.counters["iris_rewinds_total"] == 1


def test_a_lost_batch_with_nothing_after_it_comes_when_the_window_stays_unacked(world: World) -> None:
    ada, bob = pair(world)
    world.fabric.lose(f.Deliver, most=1)
    many(ada, bob, 1)
    world.wait(world.limits.deliver_repeat_ms - 100)
    assert bob.texts(ada.user) == []
    world.wait(200)
    assert bob.texts(ada.user) == ["00000"]


def test_a_lost_receipt_is_sent_again_too(world: World) -> None:
    ada, bob = pair(world)
    lost = world.fabric.lose(f.Receipt, most=1)
    many(ada, bob, 1)
    world.wait(world.limits.deliver_repeat_ms + 1_000)
    assert len(lost) == 1
    assert ada.receipt(bob.user)[0] == bob.saved.seq


def test_rewinds_are_asked_for_once_a_second_at_most(world: World) -> None:
    """rewind_interval_ms."""
    ada, bob = pair(world)
    bob.auto = False
    many(ada, bob, 1)
    world.settle()
    for _ in range(10):
        bob.post(f.Ack(f.ACK, 0, 0, 0))
        world.settle()
    assert len(bob.got(f.Deliver)) == 2
    world.wait(world.limits.rewind_interval_ms)
    bob.post(f.Ack(f.ACK, 0, 0, 0))
    world.settle()
    assert len(bob.got(f.Deliver)) == 3


def test_an_older_ack_that_comes_late_says_nothing(world: World) -> None:
    ada, bob = pair(world)
    many(ada, bob, 3)
    world.settle()
    bob.auto = False
    many(ada, bob, 1, 3)
    world.settle()
    before = len(bob.got(f.Deliver))
    bob.post(f.Ack(f.ACK, 0, bob.saved.shown[0].seq, 0))
    world.settle()
    assert len(bob.got(f.Deliver)) == before
    assert world.user(bob.user).linked(bob.device).seq == bob.saved.seq


def test_an_ack_beyond_what_was_sent_ends_the_session(world: World) -> None:
    ada, bob = pair(world)
    many(ada, bob, 1)
    world.settle()
    for seq, rev in ((bob.saved.seq + 1, 0), (bob.saved.seq, 1 << 40)):
        bob.post(f.Ack(f.ACK, 0, seq, rev))
        world.settle()
        assert bob.closed == CloseCode.ACK_BEYOND
        assert world.user(bob.user).linked(bob.device).seq == bob.saved.seq
        bob.connect()
        world.settle()
    many(ada, bob, 1, 1)
    world.settle()
    assert bob.texts(ada.user) == ["00000", "00001"]


def test_registers_wait_for_room_in_their_window(new_world: Callable[..., World]) -> None:
    """register_window."""
    world = new_world(register_window=2)
    (ada,) = world.join("ada")
    people = [world.join(name)[0] for name in ("bob", "cyn", "dan", "eve", "fay")]
    ada.auto = False
    for peer in people:
        ada.say(peer.user, 1, 1)
    assert len(ada.live.receipts) == 2, "two are out and not acked"
    ada.auto = True
    ada.commit()
    world.settle()
    assert [ada.receipt(peer.user)[0] for peer in people] == [peer.saved.seq for peer in people]


def test_a_page_for_an_earlier_connection_is_not_sent_on_the_new_one(new_world: Callable[..., World]) -> None:
    world = new_world(page_rows_max=2, deliver_window=4)
    ada, bob = pair(world)
    bob.disconnect()
    words = many(ada, bob, 6)
    world.settle()
    bob.connect()
    while not world.node.asks:
        world.step()
    bob.connect()
    world.settle()
    assert bob.texts(ada.user) == words
    assert len(chain(bob)) == 6
