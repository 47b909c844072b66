"""A simulated server does what the shells of a real one do, in their order."""

from __future__ import annotations

from collections.abc import Sequence

from iris.core.rows import NodeRow, Write
from iris.shard.upkeep import HORIZON
from iris_sim.observer import Observer, ServerView
from iris_sim.plan import Plan
from iris_sim.world import World


class _Commits(Observer):
    def __init__(self) -> None:
        self.first: dict[int, list[Write]] = {}

    def submitted(self, server: ServerView, writes: Sequence[Write]) -> None:
        self.first.setdefault(server.number, list(writes))


def test_the_horizon_is_stored_before_any_other_row() -> None:
    """Else a store that is set back to its first minute would believe the clock of its next start, right or wrong."""
    commits = _Commits()
    plan = Plan.make(5)
    World(plan.only(lambda step: False), commits).run()
    assert len(commits.first) == plan.nodes
    for (row,) in commits.first.values():
        assert isinstance(row, NodeRow)
        assert row.key == HORIZON
