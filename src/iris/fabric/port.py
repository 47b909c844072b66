"""The fabric carries batches between edges and shard nodes. It may lose, repeat and delay them; nobody trusts it.

Whoever needs an answer asks again: clients repeat Sends and Acks, edges repeat Attach and Detach, outboxes repeat rows,
the pump rewinds. A batch is kept in order. Batches between an edge and a node are numbered, each way, so that both
notice what got lost (docs/adr/0011-lost-batch.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

Item = tuple[object, ...]
ToUnits = Sequence[tuple[bytes, Item]]  # (unit, command)


class Renewed(NamedTuple):
    """A shard node's answer to a renewal."""

    epoch: int  # of the node: another one means that it has started anew and knows no session
    number: int  # of the renewal
    sent: int  # the number of the newest batch that the node has sent to this edge
    losses: int  # how often a batch of this edge was missing there


class Fabric(Protocol):
    """How one node reaches the others (and itself)."""

    def to_units(self, batch: ToUnits) -> None:
        """Commands of shards, each to the node that owns the unit's shard."""

    def to_node(self, node: int, edge: int, number: int, batch: ToUnits) -> None:
        """Commands of an edge, to a shard node."""

    def to_edge(self, edge: int, node: int, number: int, batch: Sequence[Item]) -> None:
        """Frames and session records of a shard node, to an edge."""

    def renew(self, node: int, edge: int, number: int, sent: int) -> None:
        """An edge renews its lease with a shard node. sent: the number of its newest batch to it."""

    def renewed(self, edge: int, node: int, answer: Renewed) -> None:
        """A shard node has renewed the lease."""


class ShardEnd(Protocol):
    """What a shard node gives to the fabric."""

    def receive(self, batch: ToUnits) -> None: ...
    def receive_from(self, edge: int, number: int, batch: ToUnits) -> None: ...
    def renew(self, edge: int, number: int, sent: int) -> None: ...


class EdgeEnd(Protocol):
    """What an edge gives to the fabric."""

    def receive(self, node: int, number: int, batch: Sequence[Item]) -> None: ...
    def renewed(self, node: int, answer: Renewed) -> None: ...
