"""From a failing seed to the least that still fails: whole kinds of faults and operations first, then single steps.

Delta debugging (Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input, TSE 2002) over the steps of
the plan. A smaller run counts when it breaks the same invariant; it may break it in another way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from iris_sim.names import FAULTS
from iris_sim.observer import Step
from iris_sim.plan import Plan
from iris_sim.seed import Outcome, run_plan

T = TypeVar("T")
RUNS_MAX: Final = 400
SECONDS_MAX = 60.0


class Shrinker:
    """The search for a smaller failure. Limits: RUNS_MAX runs, SECONDS_MAX seconds."""

    def __init__(
        self, plan: Plan, invariant: str, upto: int, told: Callable[[int, int], None] = lambda runs, steps: None
    ) -> None:
        """upto: when it was broken, µs. told: hears how many runs were made and how many steps are left."""
        self._invariant = invariant
        self._upto = upto
        self._told = told
        self._ends = time.monotonic() + SECONDS_MAX
        self.runs = 0
        self.plan = plan
        self.outcome: Outcome | None = None

    def shrink(self) -> Plan:
        """The smallest plan found that breaks the invariant."""
        self._fails(self._only(lambda step: step.at < self._upto))  # what came too late has no part in it
        kinds = list(dict.fromkeys(step.kind for step in self.plan.steps if step.kind in FAULTS))
        self._least(kinds, lambda kept: self._only(lambda step: step.kind not in FAULTS or step.kind in kept))
        kinds = list(dict.fromkeys(step.kind for step in self.plan.steps if step.kind not in FAULTS))
        self._least(kinds, lambda kept: self._only(lambda step: step.kind in FAULTS or step.kind in kept))
        self._least(self._numbers(faults=True), self._with)
        self._least(self._numbers(faults=False), self._with)
        self._least(self._numbers(faults=True), self._with)
        return self.plan

    def _numbers(self, *, faults: bool) -> list[int]:
        return [step.number for step in self.plan.steps if (step.kind in FAULTS) == faults]

    def _with(self, kept: frozenset[int]) -> Plan:
        """The steps of these numbers, and all of the other sort."""
        mine = {step.number for step in self.plan.steps if step.number in self._pool}
        return self._only(lambda step: step.number in kept or step.number not in mine)

    def _only(self, keep: Callable[[Step], bool]) -> Plan:
        return self.plan.only(keep)

    def _least(self, items: Iterable[T], plan_of: Callable[[frozenset[T]], Plan]) -> None:
        """Drop as many items as possible."""
        left = list(items)
        self._pool = frozenset(left)
        share = 1
        while left and not self._over:
            size = max(1, len(left) // share)
            for start in range(0, len(left), size):
                rest = left[:start] + left[start + size :]
                if self._fails(plan_of(frozenset(rest))):
                    left = rest
                    share = max(1, share - 1)
                    break
            else:
                if size == 1:
                    return
                share = min(len(left), share * 2)

    @property
    def _over(self) -> bool:
        return self.runs >= RUNS_MAX or time.monotonic() > self._ends

    def _fails(self, plan: Plan) -> bool:
        if self._over:
            return False
        self.runs += 1
        outcome = run_plan(plan, cover=False)
        self._told(self.runs, len(self.plan.steps))
        failed = outcome.failure is not None and outcome.failure.invariant == self._invariant
        if failed:
            self.plan, self.outcome = plan, outcome
        return failed
