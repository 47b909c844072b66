"""Many seeds: in several processes, with what they did in all, until one fails."""

from __future__ import annotations

import gc
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from iris_sim.names import OPERATIONS
from iris_sim.seed import Outcome, run_seed

CHUNK: Final = 4  # seeds that a worker takes at once
GC_ALLOCATIONS: Final = 50_000  # between two collections; a world makes many objects and few cycles


@dataclass(slots=True)
class Total:
    """What a whole run did."""

    seeds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    failures: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """One more seed."""
        self.seeds += 1
        self.counts += outcome.counts
        self.met += outcome.met
        self.excused += outcome.excused
        if outcome.failure is not None:
            self.failures.append(outcome)

    @property
    def operations(self) -> int:
        """Client operations: things that a person or an app did."""
        return sum(self.counts[name] for name in OPERATIONS)


def run_seeds(
    seeds: Iterable[int],
    faults: frozenset[str] | None = None,
    *,
    jobs: int = 1,
    failures_max: int = 1,
    told: Callable[[Total], None] = lambda total: None,
) -> Total:
    """Run seeds until so many have failed. told: hears after each seed how far it is."""
    total = Total()
    _collect_less()
    with _outcomes([(seed, faults) for seed in seeds], jobs) as outcomes:
        for outcome in outcomes:
            total.add(outcome)
            told(total)
            if len(total.failures) >= failures_max:
                break
    return total


@contextmanager
def _outcomes(tasks: list[tuple[int, frozenset[str] | None]], jobs: int) -> Iterator[Iterator[Outcome]]:
    """In the order of the seeds, so that the failure that is told is always the same."""
    if jobs == 1:
        yield map(_run, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, _collect_less) as pool:
        yield pool.imap(_run, tasks, CHUNK)


def _collect_less() -> None:
    """The default threshold costs an eighth of the time of a run."""
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 20)


def _run(task: tuple[int, Any]) -> Outcome:
    return run_seed(*task)
