"""A simulated world is decided by its seed, whatever the process; and it does what it is for.

Goal: a seed that fails here fails everywhere. Method: the same seeds, with their full trace, in processes with
different PYTHONHASHSEED. The judge's own findings are not asked here: `iris sim` does that.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys

from iris_sim.faults import DO as FAULTS_DONE
from iris_sim.names import FAULTS, OPERATIONS
from iris_sim.observer import Observer
from iris_sim.operations import DO as OPERATIONS_DONE
from iris_sim.plan import Plan
from iris_sim.seed import Failure, run_seed
from iris_sim.world import World

SEEDS = (3, 11, 29)
PROGRAM = """
import sys
from tests.unit.sim.test_world import traced
print(*[traced(int(seed)) for seed in sys.argv[1:]])
"""


def live(plan: Plan) -> World:
    world = World(plan, Observer(), full_trace=True)
    world.run()
    return world


def traced(seed: int) -> str:
    """The hash of everything that happens in a run."""
    world = live(Plan.make(seed))
    lines = "\n".join(world.trace.lines())
    return f"{world.trace.digest()}-{hashlib.sha256(lines.encode()).hexdigest()}"


def elsewhere(hash_seed: str) -> str:
    """The same by another process."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f".{os.pathsep}src"}
    command = [sys.executable, "-c", PROGRAM, *map(str, SEEDS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=100)
    return done.stdout.strip()


def test_a_seed_gives_the_same_trace_in_every_process() -> None:
    one, other = elsewhere("1"), elsewhere("2")
    assert one == other
    assert len(set(one.split())) == len(SEEDS), "the seeds are the same world"


def test_steps_can_be_left_out() -> None:
    plan = Plan.make(11)
    kept = plan.only(lambda step: step.kind in OPERATIONS and step.number % 2 == 0)
    assert 0 < len(kept.steps) < len(plan.steps)
    world = live(kept)
    assert not set(world.counts) & set(FAULTS)
    assert world.counts["send"] > 0


def test_only_the_faults_that_are_asked_for_occur() -> None:
    for seed in range(20):
        kinds = {step.kind for step in Plan.make(seed, frozenset({"crash", "cut"})).steps}
        assert kinds <= OPERATIONS.keys() | {"crash", "cut"}


def test_every_name_is_done() -> None:
    assert OPERATIONS.keys() == OPERATIONS_DONE.keys()
    assert FAULTS.keys() == FAULTS_DONE.keys()


def test_who_was_logged_out_a_moment_ago_may_still_be_shown_as_online() -> None:
    """A profile that was set back asks with an old refresh secret, and is out 0.2 s before presence is looked at."""
    assert run_seed(3657).failure is None


def test_a_failure_can_be_told_by_another_process() -> None:
    failure = Failure("PRESENCE-TRUE", "text", 1, ("event",))
    assert pickle.loads(pickle.dumps(failure)) == failure
