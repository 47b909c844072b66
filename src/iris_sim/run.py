"""Runs one plan."""

from __future__ import annotations

from iris_sim.observer import Observer
from iris_sim.plan import Plan
from iris_sim.world import World


def run_plan(plan: Plan, observer: Observer | None = None, *, full_trace: bool = False) -> World:
    """The world at the end of the run. Raises Violation: what the observer or the world itself found broken."""
    world = World(plan, observer or Observer(), full_trace=full_trace)
    world.run()
    return world
