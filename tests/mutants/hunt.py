"""Runs mutants, each in a forked process of its own, until a seed of the simulator fails by a named invariant.

What does not count as caught: an exception of the simulator or of the changed code (unless the mutant says that the
product's own assertions notice it), a run that hangs, and a run in which the changed code was never called.
"""

from __future__ import annotations

import multiprocessing
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from iris_sim.seed import run_seed
from tests.mutants import blind, of_clients, of_delivery, of_people, of_sending, of_serving, of_storing  # noqa: F401
from tests.mutants.patch import MUTANTS, Mutant, Patch

SEED_SECONDS_MAX = 60
MEMORY_MAX = 4 << 30
EXCEPTION = "SIM-EXC"  # the name under which the simulator reports an exception of the product


@dataclass
class Found:
    """What came of one mutant."""

    name: str
    seed: int = -1  # that has caught it; -1: none has
    invariant: str = ""
    message: str = ""
    seeds: int = 0  # how many were run
    calls: int = 0  # of the changed code, in all runs
    seconds: float = 0.0
    crashes: list[str] = field(default_factory=list)  # seeds that failed in a way that does not count, and how

    @property
    def caught(self) -> bool:
        return self.seed >= 0


class Hung(BaseException):
    """A run takes too long."""


def hunt(jobs: Iterable[tuple[Mutant | None, Sequence[int]]], processes: int) -> Iterator[Found]:
    """Run each mutant (None: the code as it is) on its seeds, `processes` at a time; yields what came of each."""
    context = multiprocessing.get_context("fork")
    waiting = list(jobs)[::-1]
    running: dict[Connection, tuple[Any, str]] = {}
    while waiting or running:
        while waiting and len(running) < processes:
            one, seeds = waiting.pop()
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(one, seeds, sender))
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


def _work(one: Mutant | None, seeds: Sequence[int], result: Connection) -> None:
    patch = Patch()
    if one is not None:
        one.put_in(patch)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    signal.signal(signal.SIGALRM, _hang)
    result.send(try_seeds(one, seeds, patch))


def _hang(number: int, frame: object) -> None:
    raise Hung


def try_seeds(one: Mutant | None, seeds: Sequence[int], patch: Patch, run: Callable[[int], Any] = run_seed) -> Found:
    """Run seeds until one counts as a catch."""
    found = Found(one.name if one else "")
    began = time.monotonic()
    for seed in seeds:
        patch.calls = 0
        found.seeds += 1
        signal.alarm(SEED_SECONDS_MAX)
        try:
            failure = run(seed).failure
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
            found.seed, found.invariant, found.message = seed, failure.invariant, failure.message
            break
        found.crashes.append(f"seed {seed}: {failure.invariant} {failure.message}")
    found.seconds = time.monotonic() - began
    return found


def chosen(names: Sequence[str]) -> list[Mutant]:
    """The mutants of these names; all when there is none. Raises KeyError."""
    return [MUTANTS[name] for name in names] if names else list(MUTANTS.values())
