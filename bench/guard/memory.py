"""Counts the bytes that Python holds for one user who is connected and says nothing.

    PYTHONHASHSEED=0 python -m bench.guard.memory [LINES]       prints the count as JSON, or the lines that hold most

As after a restart: every user is loaded from the store, attaches, and is then silent for longer than an answer may
take. Exact like the other counts: it is the sum of what tracemalloc was asked for and was not given back. What the
allocator and the C library round up is not in it; `iris bench idle` measures resident memory.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tracemalloc
from collections.abc import Callable
from typing import Final

from bench.guard import trace

USERS: Final = 1_500  # so many that what is made once hardly shows
SILENCE_MS: Final = 5_000  # longer than anything is repeated or waited for after an Attach
NOT_IRIS: Final = (f"{os.path.dirname(__file__)}{os.sep}*", tracemalloc.__file__, "<unknown>")


def silent_server() -> Callable[[], None]:
    """A server with USERS users whom nobody has loaded; the work connects them all."""
    server = trace.Server()
    people = [trace.Person(server, server.register(f"user{number}")) for number in range(USERS)]
    server.restart()
    hellos = [person.hello() for person in people]

    def work() -> None:
        server.hear(hellos)
        server.wait(SILENCE_MS)
        assert all(person.welcomed for person in people)

    return work


def held(work: Callable[[], None]) -> tracemalloc.Snapshot:
    """What Iris holds after `work` and did not before."""
    gc.collect()
    tracemalloc.start(1)
    try:
        work()
        sys._clear_type_cache()  # it holds names of attributes that were looked up, at places that depend on addresses
        gc.collect()
        found = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    return found.filter_traces([tracemalloc.Filter(False, name) for name in NOT_IRIS])


def bytes_per_user() -> float:
    """Of an idle connection and its user, in the core and the edge."""
    return round(sum(one.size for one in held(silent_server()).traces) / USERS, 1)


def main() -> int:
    """Print it."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        sys.stderr.write("guard: PYTHONHASHSEED must be 0, or sets have another order each time\n")
        return 2
    if len(sys.argv) == 1:
        sys.stdout.write(json.dumps({"bytes_per_idle_user": bytes_per_user()}) + "\n")
        return 0
    snapshot = held(silent_server())
    sys.stdout.write(f"{sum(one.size for one in snapshot.traces) / USERS:7.1f} all\n")
    for one in snapshot.statistics("lineno")[: int(sys.argv[1])]:
        frame = one.traceback[0]
        name = os.path.relpath(frame.filename) if os.path.isabs(frame.filename) else frame.filename
        sys.stdout.write(f"{one.size / USERS:7.1f} {one.count / USERS:5.1f} {name}:{frame.lineno}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
