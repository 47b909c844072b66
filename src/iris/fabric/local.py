"""The fabric of a node that has every role: batches are handed over by a call. It carries what the port promises,
no more.
"""

from __future__ import annotations

from collections.abc import Sequence

from iris.fabric.port import EdgeEnd, Item, Renewed, ShardEnd, ToUnits


class LocalFabric:
    """One shard node and its edges, in one process."""

    def __init__(self) -> None:
        self._node: ShardEnd | None = None
        self._edges: dict[int, EdgeEnd] = {}

    def bind_node(self, node: ShardEnd) -> None:
        self._node = node

    def bind_edge(self, number: int, edge: EdgeEnd) -> None:
        self._edges[number] = edge

    def to_units(self, batch: ToUnits) -> None:
        if self._node is not None:
            self._node.receive(batch)

    def to_node(self, node: int, edge: int, number: int, batch: ToUnits) -> None:
        if self._node is not None:
            self._node.receive_from(edge, number, batch)

    def to_edge(self, edge: int, node: int, number: int, batch: Sequence[Item]) -> None:
        end = self._edges.get(edge)
        if end is not None:
            end.receive(node, number, batch)

    def renew(self, node: int, edge: int, number: int, sent: int) -> None:
        if self._node is not None:
            self._node.renew(edge, number, sent)

    def renewed(self, edge: int, node: int, answer: Renewed) -> None:
        end = self._edges.get(edge)
        if end is not None:
            end.renewed(node, answer)
