"""The `iris sim` command."""

from __future__ import annotations

import sys
import time

from iris_sim import report
from iris_sim.coverage import RUN_SEEDS
from iris_sim.directed import BY_SEED, plan_of
from iris_sim.names import FAULTS
from iris_sim.plan import Plan
from iris_sim.runs import run_seeds
from iris_sim.seed import Outcome, run_plan
from iris_sim.shrink import Shrinker


def run(
    seeds: int, first: int, faults: str | None, jobs: int, *, trace: bool, steps: str | None, shrink: bool,
    failures: int,
) -> int:  # fmt: skip
    """Run it; the exit code: 0 when every promise was kept and enough was met, else 1."""
    kinds = _kinds(faults)
    if steps is not None or trace:
        return _one(first, kinds, steps, trace=trace, shrink=shrink)
    began = time.monotonic()
    wanted = [*range(first, first + seeds)]
    if kinds is None and seeds >= RUN_SEEDS:
        wanted += BY_SEED
    progress = report.Progress(len(wanted))
    total = run_seeds(wanted, kinds, jobs=jobs, failures_max=failures, told=progress.told)
    progress.over()
    _say(report.summary(total, time.monotonic() - began))
    for outcome in total.failures:
        _explain(outcome, plan_of(outcome.seed, kinds), shrink=shrink and outcome is total.failures[0])
    lacks = report.uncovered(total) if kinds is None and not total.failures else ""
    if lacks:
        _say(lacks)
    if total.failures or lacks:
        return 1
    _say("every promise was kept")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _kinds(faults: str | None) -> frozenset[str] | None:
    """The kinds named in a list. Raises ValueError for one that there is not."""
    if faults is None:
        return None
    kinds = frozenset(name for name in faults.split(",") if name and name != "none")
    unknown = sorted(kinds - FAULTS.keys())
    if unknown:
        raise ValueError(f"no such fault: {', '.join(unknown)}. There are: {', '.join(FAULTS)}")
    return kinds


def _one(seed: int, kinds: frozenset[str] | None, steps: str | None, *, trace: bool, shrink: bool) -> int:
    """One seed, or some of its steps, with everything that happens when that is asked for."""
    plan = plan_of(seed, kinds)
    if steps is not None:
        kept = {int(number) for number in steps.split(",") if number.isdigit()}
        plan = plan.only(lambda step: step.number in kept)
    outcome = run_plan(plan, full_trace=trace)
    for line in outcome.trace:
        _say(line)
    _say(f"seed {seed}: {len(plan.steps)} steps, trace {outcome.digest}")
    if outcome.failure is None:
        _say("every promise was kept")
        return 0
    _explain(outcome, plan, shrink=shrink and not trace)
    return 1


def _explain(outcome: Outcome, plan: Plan, *, shrink: bool) -> None:
    assert outcome.failure is not None
    if not shrink:
        _say(report.failure(outcome))
        return
    what = f"seed {outcome.seed} breaks {outcome.failure.invariant}"
    sys.stderr.write(f"{what}: looking for the least that does\n")
    shrinker = Shrinker(plan, outcome.failure.invariant, outcome.failure.at)
    least = shrinker.shrink()
    _say(report.failure(shrinker.outcome or outcome))
    _say(report.shrunk(least, shrinker.runs))
