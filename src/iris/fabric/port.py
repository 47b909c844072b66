"""The fabric carries batches between edges and shard nodes. It may lose, repeat and delay them; nobody trusts it.

Whoever needs an answer asks again: clients repeat Sends and Acks, edges repeat Attach and Detach, outboxes repeat rows,
the pump rewinds. A batch is kept in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

Item = tuple[object, ...]
ToUnits = Sequence[tuple[bytes, Item]]  # (unit, command)


class Fabric(Protocol):
    """How one node reaches the others (and itself)."""

    def to_units(self, batch: ToUnits) -> None:
        """Commands, each to the node that owns the unit's shard."""

    def to_edge(self, edge: int, batch: Sequence[Item]) -> None:
        """Frames and session records, to an edge."""

    def renew(self, edge: int, number: int) -> None:
        """An edge renews its lease with the shard nodes."""

    def renewed(self, edge: int, number: int) -> None:
        """A shard node has renewed the lease."""


class ShardEnd(Protocol):
    """What a shard node gives to the fabric."""

    def receive(self, batch: ToUnits) -> None: ...
    def renew(self, edge: int, number: int) -> None: ...


class EdgeEnd(Protocol):
    """What an edge gives to the fabric."""

    def receive(self, batch: Sequence[Item]) -> None: ...
    def renewed(self, number: int) -> None: ...
