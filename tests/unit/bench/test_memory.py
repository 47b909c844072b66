"""Memory by part, from a process's map."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from iris.bench.idle import idle_cpu
from iris.bench.memory import Memory, figures, memory, parts
from iris.bench.probe import Cpu

MAP = """\
559e4c2b6000-559e4c2b7000 r--p 00000000 fe:00 1234 /usr/bin/python3.11
Private_Dirty:       400 kB
559e4d000000-559e4d800000 rw-p 00000000 00:00 0 [heap]
Rss:                8192 kB
Private_Dirty:      3000 kB
7f1234000000-7f1234800000 rw-p 00000000 00:00 0
Private_Clean:       100 kB
Private_Dirty:      5000 kB
7f1234800000-7f1238000000 ---p 00000000 00:00 0
Private_Dirty:         0 kB
7f123a100000-7f123a200000 rw-p 00000000 00:00 0
Private_Dirty:      1024 kB
7f123b000000-7f123b100000 rw-p 00000000 00:00 0 [anon:python]
Private_Dirty:        16 kB
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0 [stack]
Private_Dirty:        64 kB
"""


def test_heaps_of_threads_are_told_from_the_rest() -> None:
    assert parts(MAP) == (5000 * 1024, (3000 + 1024 + 16) * 1024)


def test_python_objects_of_this_process_are_found() -> None:
    """200 MB more, of which next to nothing is a thread's; earlier tests have freed less than a quarter of that."""
    before = memory(os.getpid())
    kept = [bytes(500) for _ in range(400_000)]
    after = memory(os.getpid())
    assert 185_000_000 < after.python - before.python < 240_000_000
    assert after.engine - before.engine < 5_000_000
    assert len(kept) == 400_000


@contextmanager
def waiting_thread(work: list[bytearray]) -> Iterator[None]:
    """A thread that fills `work` with blocks from its own heap, and stays."""
    done, go = threading.Event(), threading.Event()

    def fill() -> None:
        work.extend(bytearray(4_000) for _ in range(5_000))
        done.set()
        go.wait(30)

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        assert done.wait(30)
        yield
    finally:
        go.set()
        thread.join()


def test_the_heap_of_a_thread_is_found() -> None:
    """Blocks above 512 bytes come from the C library, and a second thread has a heap of its own there."""
    before, work = memory(os.getpid()), list[bytearray]()
    with waiting_thread(work):
        after = memory(os.getpid())
    assert after.engine - before.engine > 15_000_000


def test_figures_are_kilobytes_for_each_connection() -> None:
    before, after = Memory(1_000, 500, 500, 0), Memory(1_000 + 204_800, 500 + 102_400, 500 + 51_200, 40_960)
    found = figures(10, before, after)
    assert (found["userland_kb_per_conn"], found["engine_kb_per_conn"], found["python_kb_per_conn"]) == (20, 10, 5)
    assert found["kernel_kb_per_conn"] == pytest.approx(2)
    assert found["all_in_kb_per_conn"] == pytest.approx(22)
    assert figures(10, before, after._replace(kernel=None))["all_in_kb_per_conn"] is None


def test_cpu_of_silence_is_told_for_a_connection_and_a_second() -> None:
    spent = Cpu(3.0, 1.0, 2.0, {"python": 1.0, "engine": 2.0})
    found = idle_cpu(spent, 10_000 * 25)
    assert found == {
        "idle_cpu_us_per_conn_s": 12.0, "idle_engine_cpu_us_per_conn_s": 8.0, "idle_python_cpu_us_per_conn_s": 4.0,
    }  # fmt: skip
    assert set(idle_cpu(spent, 0.0).values()) == {None}
