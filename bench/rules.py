"""What the rules take for a message when nothing else runs: edge, shard and the forms of rows, without socket or disk.

    PYTHONPATH=target/compiled python -m bench.rules        prints µs of CPU for each window and pause

100 pairs as in `iris bench pairs`, half of which speak in a turn, so that a commit has about as many messages as there
(50 at window 1, 400 at window 8). Clients and the store are not counted. It is the least that these rules can take on
this machine: in the server they share the CPU's caches with the engine, the kernel, RocksDB and the load. A pause
before each turn, as a server has that waits for the disk, shows what it costs to come back to caches and a CPU that
others have used meanwhile.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Sequence
from typing import Final

from bench.guard.trace import STEP_MS, Outside, Person, Server, Store, log_in
from iris import is_compiled
from iris.app import GC_THRESHOLDS
from iris.core.rows import CutMailbox, MarkRow, MessageRow, Write
from iris.store.port import Durable

PAIRS: Final = 100
WINDOWS: Final = (1, 8)
PAUSES_MS: Final = (0.0, 0.5, 2.0)
MESSAGES: Final = 5_000  # of a round, about
ROUNDS: Final = 9
TURN_MS: Final = 2  # some 25,000 messages a second at window 1
TURNS_PER_LEASE: Final = 20


class Forgetful(Store):
    """Keeps no messages: nobody reads them here, and they would fill memory that a database does not."""

    def submit(self, writes: Sequence[Write], done: Durable) -> None:
        super().submit([write for write in writes if not isinstance(write, MessageRow | MarkRow | CutMailbox)], done)


def rules(window: int, pause_ms: float, messages: int) -> float:
    """µs of CPU for one message; the median of some rounds."""
    server = Server(Forgetful)
    people = [Person(server, server.register(f"user{number}")) for number in range(2 * PAIRS)]
    pairs = list(zip(people[::2], people[1::2], strict=True))
    log_in(server, people)
    turns = max(2, messages * 2 // (PAIRS * window))
    took = [spent(server, pairs, window, turns, pause_ms) for _ in range(ROUNDS + 1)]
    said = sum(person.delivered for _, person in pairs)
    assert said == (ROUNDS + 1) * turns * (PAIRS // 2) * window, f"{said} messages were delivered"
    return sorted(took[1:])[ROUNDS // 2]  # the first round warms up


def spent(server: Server, pairs: list[tuple[Person, Person]], window: int, turns: int, pause_ms: float) -> float:
    """One round."""
    total = 0
    for turn in range(turns):
        if turn % TURNS_PER_LEASE == 0:
            server.wait(STEP_MS)  # timeouts, among them the lease of edge and shard
        half = pairs[turn % 2 :: 2]
        frames = [frame for pair in half for person in pair for frame in person.acks()]
        frames += [frame for sender, receiver in half for frame in sender.sends(receiver, window)]
        if pause_ms:
            time.sleep(pause_ms / 1000)
        started, outside = time.thread_time_ns(), Outside.spent
        server.hear(frames, TURN_MS)
        total += time.thread_time_ns() - started - (Outside.spent - outside)
    return total / 1000 / (turns * (len(pairs) // 2) * window)


def main() -> None:
    """Print it."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)  # as in the server
    sys.stdout.write(f"the rules alone, {'compiled' if is_compiled() else 'interpreted'}, µs of CPU a message\n")
    try:
        for window in WINDOWS:
            for pause_ms in PAUSES_MS:
                cost = rules(window, pause_ms, MESSAGES)
                sys.stdout.write(f"window {window}, {pause_ms} ms of silence before each turn: {cost:.2f}\n")
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


if __name__ == "__main__":
    main()
