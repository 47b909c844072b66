"""Runs mutants, each in a forked process of its own, until a seed of the simulator fails by a named invariant.

What does not count as caught: an exception of the simulator or of the changed code (unless the mutant says that the
product's own assertions notice it), a run that hangs, a run in which the changed code was never called, and a run that
fails without the bug, too.
"""

from __future__ import annotations

import multiprocessing
import resource
import signal
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from iris_sim.plan import Plan
from iris_sim.seed import run_plan
from tests.mutants import blind, of_clients, of_delivery, of_people, of_sending, of_serving, of_storing  # noqa: F401
from tests.mutants.patch import Mutant, Patch

SEED_SECONDS_MAX = 60
MEMORY_MAX = 4 << 30
EXCEPTION = "SIM-EXC"  # the name under which the simulator reports an exception of the product

# A seed, the kinds of fault that may occur (None: all), and limits that differ from the seed's.
Run = tuple[int, frozenset[str] | None, tuple[tuple[str, int], ...]]
Job = tuple[Mutant | None, Sequence[Run]]  # None: the code as it is


@dataclass
class Found:
    """What came of one mutant, or of the code as it is (name "")."""

    name: str
    seed: int = -1  # of the run that failed, which is `run`; -1: none has
    run: Run | None = None
    invariant: str = ""
    message: str = ""
    runs: int = 0
    calls: int = 0  # of the changed code
    seconds: float = 0.0
    crashes: list[str] = field(default_factory=list)  # runs that failed in a way that does not count, and how

    @property
    def caught(self) -> bool:
        return self.seed >= 0


class Hung(BaseException):
    """A run takes too long."""


def search(mutants: Iterable[tuple[Mutant, Sequence[Run]]], processes: int, *, trust: bool) -> Iterator[Found]:
    """Try each mutant's runs in order, `processes` mutants at a time; yields what came of each.

    A run that fails without the bug, too, catches nobody: then the search goes on behind it. trust: do not look whether
    it does; the caller will.
    """
    dirty: dict[Run, bool] = {}
    todo: list[Job] = list(mutants)
    while todo:
        runs_of = {one.name: (one, runs) for one, runs in todo if one is not None}
        todo = []
        for found in hunt(list(runs_of.values()), processes):
            one, runs = runs_of[found.name]
            run = found.run
            if run is None or trust:
                yield found
                continue
            if run not in dirty:
                (clean,) = hunt([(None, [run])], 1)
                dirty[run] = clean.caught or bool(clean.crashes)
            if dirty[run]:
                todo.append((one, runs[runs.index(run) + 1 :]))
            else:
                yield found


def hunt(jobs: Iterable[Job], processes: int) -> Iterator[Found]:
    """Do each job in a process of its own, `processes` at a time; yields what came of each."""
    context = multiprocessing.get_context("fork")
    waiting = list(jobs)[::-1]
    running: dict[Connection, tuple[Any, str]] = {}
    while waiting or running:
        while waiting and len(running) < processes:
            one, runs = waiting.pop()
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(one, runs, sender))
            process.start()
            sender.close()
            running[receiver] = (process, one.name if one else "")
        for connection in wait(list(running)):
            assert isinstance(connection, Connection)
            process, name = running.pop(connection)
            try:
                yield connection.recv()
            except EOFError:
                yield Found(name, crashes=["the process died"])
            connection.close()
            process.join()


def _work(one: Mutant | None, runs: Sequence[Run], result: Connection) -> None:
    patch = Patch()
    if one is not None:
        one.put_in(patch)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    signal.signal(signal.SIGALRM, _hang)
    result.send(_try_runs(one, runs, patch))


def _hang(number: int, frame: object) -> None:
    raise Hung


def _try_runs(one: Mutant | None, runs: Sequence[Run], patch: Patch) -> Found:
    """Until one counts as a catch."""
    found = Found(one.name if one else "")
    began = time.monotonic()
    for run in runs:
        seed, faults, limits = run
        patch.calls = 0
        found.runs += 1
        signal.alarm(SEED_SECONDS_MAX)
        try:
            failure = run_plan(Plan.make(seed, faults).limited(dict(limits)), cover=False).failure
        except Hung:
            found.crashes.append(f"seed {seed}: hangs")
            break  # the others may well hang too
        except Exception:
            found.crashes.append(f"seed {seed}: {traceback.format_exc(limit=-4)}")
            continue
        finally:
            signal.alarm(0)
        found.calls += patch.calls
        if failure is None:
            continue
        if one is None or (patch.calls and (failure.invariant != EXCEPTION or one.raises)):
            found.seed, found.run = seed, run
            found.invariant, found.message = failure.invariant, failure.message
            break
        found.crashes.append(f"seed {seed}: {failure.invariant} {failure.message}")
    found.seconds = time.monotonic() - began
    return found
