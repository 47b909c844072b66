"""The edges of a node: numbers of batches rise over lapses and restarts, so that a very late batch is known as such."""

from __future__ import annotations

from iris.core.ids import seq_of
from iris.shard.edges import EdgeLinks

LEASE = 3_000


def test_numbers_of_a_new_link_are_above_all_earlier_ones() -> None:
    links = EdgeLinks(LEASE, epoch=4)
    links.renew(1, 0, 0)
    links.renew(2, 0, 0)
    assert [links.next_number(1), links.next_number(1), links.next_number(2)] == [
        seq_of(4, 1), seq_of(4, 2), seq_of(4, 1)
    ]  # fmt: skip
    assert sorted(links.lapsed(LEASE)) == [1, 2]
    links.renew(2, 0, LEASE)
    assert links.sent(2) == seq_of(4, 2), "what the edge is told before the first batch"
    assert links.next_number(2) == seq_of(4, 3)
    assert EdgeLinks(LEASE, epoch=5).next_number(2) > seq_of(4, 3)


def test_losses_are_counted_for_each_edge() -> None:
    links = EdgeLinks(LEASE, epoch=1)
    for number in (7, 8, 10):
        links.got(1, number)
    links.got(2, 1)
    assert (links.losses(1), links.losses(2)) == (1, 0)
    links.renew(2, 3, 0)
    assert links.losses(2) == 1
