"""Where a server's memory is: in the kernel's sockets, the engine's threads, Python. All of it is read from the kernel.

The parts of the process come from its map (/proc/PID/smaps): the C library gives each thread but the main one a heap of
its own, aligned to 64 MB, so what the engine's threads hold for their connections is told from the rest. Python's
objects, the main thread's heap and all else that is private is "python". RocksDB's few threads count as the engine's;
they hold the same with and without connections, and only the growth is told.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from iris.bench import probe

HEAP_ALIGNED = 64 * 1024 * 1024  # HEAP_MAX_SIZE of glibc
_HEAD = re.compile(r"^([0-9a-f]+)-[0-9a-f]+ (\S{4}) \S+ \S+ \S+ *(.*)$")
_SIZE = re.compile(r"^Private_Dirty: +(\d+) kB$")


class Memory(NamedTuple):
    """Bytes at one moment."""

    resident: int  # of the server, all that is its own or shared
    engine: int
    python: int
    kernel: int | None  # for all sockets of this machine, both ends; None where only root may know


def memory(pid: int) -> Memory:
    """Of the server with this process id, now."""
    engine, python = parts(Path(f"/proc/{pid}/smaps").read_text())
    return Memory(probe.rss_bytes(pid), engine, python, probe.socket_memory_bytes())


def parts(smaps: str) -> tuple[int, int]:
    """Bytes written to by threads in heaps of their own, and in all other mappings without a file."""
    engine = python = 0
    thread_heap = anonymous = False
    for line in smaps.splitlines():
        head = _HEAD.match(line)
        if head is not None:
            name = head[3]
            anonymous = name in ("", "[heap]") or name.startswith("[anon")
            thread_heap = anonymous and name != "[heap]" and int(head[1], 16) % HEAP_ALIGNED == 0
        elif anonymous and (size := _SIZE.match(line)) is not None:
            if thread_heap:
                engine += int(size[1]) * 1024
            else:
                python += int(size[1]) * 1024
    return engine, python


def figures(count: int, before: Memory, after: Memory) -> dict[str, float | None]:
    """KB for each of `count` connections, by part."""
    userland, engine, python = ((now - then) / count / 1024 for now, then in zip(after[:3], before[:3], strict=True))
    kernel = None
    if before.kernel is not None and after.kernel is not None:
        # Both ends are on this machine and cost the kernel the same: half of it is the server's.
        kernel = (after.kernel - before.kernel) / 2 / count / 1024
    return {
        "userland_kb_per_conn": round(userland, 2),
        "engine_kb_per_conn": round(engine, 2),
        "python_kb_per_conn": round(python, 2),
        "kernel_kb_per_conn": None if kernel is None else round(kernel, 2),
        "all_in_kb_per_conn": None if kernel is None else round(userland + kernel, 2),
        "rss_before_mb": round(before.resident / 1e6, 1),
        "rss_after_mb": round(after.resident / 1e6, 1),
    }
