"""The edges of a node: numbers of batches rise over lapses and restarts, so that a very late batch is known as such."""

from __future__ import annotations

from iris.core.catalogue import Limits
from iris.core.commands import Loaded, WatchIn
from iris.core.ids import seq_of, user_unit
from iris.core.rows import UserRows
from iris.core.turn import Now
from iris.shard.core import NodeCore
from iris.shard.edges import EdgeLinks

LEASE = 3_000


def test_numbers_of_a_new_link_are_above_all_earlier_ones() -> None:
    links = EdgeLinks(LEASE, epoch=4)
    links.renew(1, 0, 0)
    links.renew(2, 0, 0)
    assert [links.next_number(1), links.next_number(1), links.next_number(2)] == [
        seq_of(4, 1), seq_of(4, 2), seq_of(4, 3)
    ]  # fmt: skip
    assert sorted(links.lapsed(LEASE)) == [1, 2]
    links.renew(2, 0, LEASE)
    assert links.sent(2) == seq_of(4, 3), "what the edge is told before the first batch"
    assert links.next_number(2) == seq_of(4, 4)
    assert EdgeLinks(LEASE, epoch=5).next_number(2) > seq_of(4, 4)


def test_what_a_dead_edge_had_under_way_has_an_end() -> None:
    """Its batch comes after its lease has lapsed: what it brings about would never be removed."""
    ada, bob = bytes(15) + b"a", bytes(15) + b"b"
    node = NodeCore(0, Limits(lease_ms=LEASE), epoch=1, num_shards=4)
    rows = UserRows(None, [], [], [], [], [], [], [], [], [], [], None, None, None, None)
    node.receive([(user_unit(bob), Loaded(bob, rows))])
    node.renew(7, 1, 0, Now(0, 0, 0))
    node.run(Now(LEASE, 0, 0))
    watch = WatchIn(bob, 7, 1, ada, True)
    node.receive_from(7, 1, [(user_unit(bob), watch)])
    node.run(Now(LEASE + 1, 0, 0))
    user = node.shard(user_unit(bob)).users[bob]
    assert user.watchers == {(7, 1): ada}
    assert node.next_timeout() == 2 * LEASE + 1
    node.run(Now(2 * LEASE + 1, 0, 0))
    assert user.watchers == {}


def test_losses_are_counted_for_each_edge() -> None:
    links = EdgeLinks(LEASE, epoch=1)
    for number in (7, 8, 10):
        links.got(1, number)
    links.got(2, 1)
    assert (links.losses(1), links.losses(2)) == (1, 0)
    links.renew(2, 3, 0)
    assert links.losses(2) == 1
