"""What people read: the progress of a run, what it did, and a failure."""

from __future__ import annotations

import shlex
import sys
import time
from typing import Final, TextIO

from iris_sim.coverage import RUN_SEEDS, missing
from iris_sim.names import FAULTS, OPERATIONS
from iris_sim.plan import Plan
from iris_sim.runs import Total
from iris_sim.seed import Outcome

BAR: Final = 30  # characters
LINE_S = 20.0  # between two lines where there is no terminal
REDRAW_S = 0.2


class Progress:
    """A bar on a terminal; elsewhere a line now and then."""

    def __init__(self, seeds: int, out: TextIO = sys.stderr) -> None:
        self._seeds, self._out = seeds, out
        self._bar = out.isatty()
        self._failures = 0
        self._began = self._told = time.monotonic()

    def told(self, total: Total) -> None:
        """So far it is."""
        for outcome in total.failures[self._failures :]:
            assert outcome.failure is not None
            self.over()
            self._out.write(f"seed {outcome.seed} breaks {outcome.failure.invariant}: {outcome.failure.message}\n")
        self._failures = len(total.failures)
        now = time.monotonic()
        if now - self._told < (REDRAW_S if self._bar else LINE_S):
            return
        self._told = now
        share = total.seeds / self._seeds
        left = (now - self._began) * (1 - share) / share
        words = f"{total.seeds} of {self._seeds} seeds, {total.operations:,} operations, {left:.0f} s left"
        if self._bar:
            done = round(BAR * share)
            self._out.write(f"\r[{'#' * done}{'.' * (BAR - done)}] {words}\x1b[K")
        else:
            self._out.write(f"{words}\n")
        self._out.flush()

    def over(self) -> None:
        """Leave a clean line."""
        if self._bar:
            self._out.write("\r\x1b[K")
            self._out.flush()


def summary(total: Total, seconds: float) -> str:
    """What a run did."""
    counts = total.counts
    lines = [f"{total.seeds} seeds, {total.operations:,} client operations in {seconds:.0f} s"]
    lines.append("  people   " + _list({name: counts[name] for name in OPERATIONS}))
    lines.append("  faults   " + _list({name: counts[name] for name in FAULTS}))
    lines.append("  servers  " + _list({k: n for k, n in counts.items() if k not in OPERATIONS and k not in FAULTS}))
    if total.excused:
        lines.append("  exempted " + _list(dict(sorted(total.excused.items()))))
    return "\n".join(lines)


def uncovered(total: Total) -> str:
    """What a long enough run must have met and has not; "" when all is well."""
    gone = missing(total.met) if total.seeds >= RUN_SEEDS else []
    if not gone:
        return ""
    return f"{len(gone)} things were never met, so this run proves too little:\n  " + "\n  ".join(gone)


def failure(outcome: Outcome) -> str:
    """A broken promise, for a person."""
    found = outcome.failure
    assert found is not None
    lines = [f"seed {outcome.seed} breaks {found.invariant} after {found.at / 1e6:.3f} s:", f"  {found.message}"]
    if found.events:
        lines += ["the last events of the users concerned:", *(f"  {line}" for line in found.events)]
    return "\n".join(lines)


def shrunk(plan: Plan, runs: int) -> str:
    """The least that still fails."""
    faults = [step for step in plan.steps if step.kind in FAULTS]
    others = [step for step in plan.steps if step.kind not in FAULTS]
    lines = [f"{len(faults)} faults and {len(others)} operations are enough (found in {runs} runs):"]
    lines += [f"  {step.at / 1e6:9.6f} s  #{step.number:<4} {step.kind}" for step in plan.steps]
    kinds = sorted({step.kind for step in faults})
    steps = ",".join(str(step.number) for step in plan.steps)
    again = ["iris", "sim", "--seed", str(plan.seed), "--steps", steps or "none", "--trace"]
    lines.append(f"again with: {shlex.join(again)}")
    if kinds:
        lines.append(f"kinds of faults: {', '.join(kinds)}")
    return "\n".join(lines)


def _list(counts: dict[str, int]) -> str:
    return " · ".join(f"{name} {count:,}" for name, count in counts.items() if count)
