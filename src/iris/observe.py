"""What a node tells its metrics: counters of shards, edges and engines, put under the names that /metrics shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from iris.core.frames import ACK, DELIVER, SEND
from iris.edge.edge import Edge
from iris.metrics import NodeStats
from iris.shard.node import ShardNode
from iris.shard.upkeep import Audit
from iris.wire.engine import EnginePort

# What frames are counted as messages at which stage: (direction, kind) -> label of iris_messages_total
STAGES = {("frames_in", SEND): "received", ("frames_out", DELIVER): "delivered", ("frames_in", ACK): "acked"}


def engine_totals(engines: Sequence[EnginePort]) -> Mapping[str, float]:
    """The plain numbers of all engines, added up."""
    total: dict[str, float] = {}
    for engine in engines:
        for name, value in engine.stats().items():
            if isinstance(value, int | float):
                total[name] = total.get(name, 0) + value
    return total


def node_stats(
    node: ShardNode, edges: Sequence[Edge], engines: Sequence[EnginePort], audit: Audit, extra: Mapping[str, float]
) -> NodeStats:
    """Everything that shards, edges and API have counted."""
    counters: dict[str, float] = dict(extra)
    labelled: dict[Any, float] = {}
    for source in (node.turn.counters, *(edge.counters for edge in edges)):
        for name, value in source.items():
            table: dict[Any, float] = counters if isinstance(name, str) else labelled
            table[name] = table.get(name, 0) + value
    for engine in engines:
        stats = engine.stats()
        for code, value in stats["closed"].items():
            labelled["iris_closed_total", code] = labelled.get(("iris_closed_total", code), 0) + value
        for (direction, kind), stage in STAGES.items():
            count = stats[direction].get(kind, 0)
            labelled["iris_messages_total", stage] = labelled.get(("iris_messages_total", stage), 0) + count
    labelled["iris_messages_total", "accepted"] = counters.pop("iris_messages_accepted_total", 0)
    labelled["iris_queue_items", "commit_rows"] = len(node.turn.writes)
    labelled["iris_queue_items", "detaching"] = sum(len(edge.detaching) for edge in edges)
    counters["iris_sessions"] = sum(len(edge.sessions) for edge in edges)
    counters["iris_users_loaded"] = len(node.residents)
    counters["iris_loads_waiting"] = node.loads_waiting
    counters["iris_commands_waiting"] = node.core.inbox.commands
    counters["iris_conservation_difference"] = audit.difference
    for state, value in audit.rows.items():
        labelled["iris_conservation_rows", state] = value
    return NodeStats(counters, labelled)
