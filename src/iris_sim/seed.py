"""One seed: its plan, its world, the judge; what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from iris_sim.coverage import watching
from iris_sim.directed import plan_of
from iris_sim.judge import Judge
from iris_sim.names import FAULTS, OPERATIONS
from iris_sim.observer import Violation
from iris_sim.plan import Plan
from iris_sim.world import World

LAST_EVENTS: Final = 60


class Failure(NamedTuple):
    """A broken promise. No dataclass: a frozen one that mypyc has compiled cannot come back from another process."""

    invariant: str  # its name, as in docs/simulator.md
    message: str
    at: int  # µs
    events: tuple[str, ...] = ()  # the last ones of the users concerned


@dataclass(slots=True)
class Outcome:
    """What came of one run."""

    seed: int
    steps: int
    failure: Failure | None = None
    digest: str = ""  # equal for equal runs
    counts: Counter[str] = field(default_factory=Counter)  # operations and faults done; accepted, …
    met: Counter[str] = field(default_factory=Counter)  # rows of tables
    excused: Counter[str] = field(default_factory=Counter)  # exemptions that were needed
    trace: tuple[str, ...] = ()  # everything, when that was asked for


def run_seed(seed: int, faults: frozenset[str] | None = None, *, full_trace: bool = False) -> Outcome:
    """Run one seed with all kinds of faults, or only with these."""
    return run_plan(plan_of(seed, faults), full_trace=full_trace)


def run_plan(plan: Plan, *, full_trace: bool = False, cover: bool = True) -> Outcome:
    """Run a plan. What the product breaks is in the outcome; a mistake of the simulator itself is raised."""
    judge = Judge()
    outcome = Outcome(plan.seed, len(plan.steps))
    world = World(plan, judge, full_trace=full_trace)
    try:
        if cover:
            with watching(outcome.met):
                world.run()
        else:
            world.run()
    except Violation as broken:
        who = judge.truth.who
        events = world.trace.tail(broken.users, LAST_EVENTS, who)
        outcome.failure = Failure(broken.name, broken.text, world.now, tuple(events))
    outcome.digest = world.trace.digest()
    outcome.counts = world.counts + judge.counts()
    for kind in world.counts:
        if kind in FAULTS:
            outcome.met[f"fault {kind}"] += 1
        elif kind in OPERATIONS:
            outcome.met[f"operation {kind}"] += 1
    outcome.excused = judge.truth.excused
    if full_trace:
        outcome.trace = tuple(world.trace.lines(judge.truth.who))
    return outcome
