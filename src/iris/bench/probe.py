"""What the kernel knows of a process and of this machine: CPU by thread, memory, sockets, flushes. Linux only.

CPU comes from schedstat (ns, user and system together) because stat counts in ticks of 10 ms; the share of the system
comes from stat.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Kernel objects that every TCP connection has, at either end.
SOCKET_SLABS = {"TCP", "sock_inode_cache", "filp", "eventpoll_epi"}
MEMORY_FILE_SYSTEMS = {"tmpfs", "ramfs"}


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU seconds since the process began. threads: by group (python, engine, rocksdb, other)."""

    total: float
    user: float
    system: float
    threads: dict[str, float]

    def __sub__(self, before: Cpu) -> Cpu:
        groups = {name: seconds - before.threads.get(name, 0.0) for name, seconds in self.threads.items()}
        return Cpu(self.total - before.total, self.user - before.user, self.system - before.system, groups)


def cpu(pid: int) -> Cpu:
    """The process's clocks now. Threads that ended meanwhile are in user and system only."""
    groups: defaultdict[str, float] = defaultdict(float)
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
            seconds = int((task / "schedstat").read_text().split()[0]) / 1e9
        except OSError:  # it has just ended
            continue
        groups[_group(name, int(task.name) == pid)] += seconds
    user, system = (int(ticks) * TICK_S for ticks in _stat(pid)[11:13])
    return Cpu(sum(groups.values()), user, system, dict(groups))


def _group(name: str, main: bool) -> str:
    if main:
        return "python"  # the event loop: every rule of Iris runs here
    if name.startswith("iris-io"):
        return "engine"
    return "rocksdb" if name.startswith("rocksdb") else "other"  # other: the log's sync, pools


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def socket_memory_bytes() -> int | None:
    """Kernel memory of all TCP connections of this machine, both ends; None where only root may know."""
    try:
        rows = [line.split() for line in Path("/proc/slabinfo").read_text().splitlines()[2:]]
        pages = Path("/proc/net/sockstat").read_text().split("TCP:")[1].split()
    except (OSError, IndexError):
        return None
    objects = sum(int(row[1]) * int(row[3]) for row in rows if row[0] in SOCKET_SLABS)
    return objects + int(pages[pages.index("mem") + 1]) * PAGE_BYTES


def disk_flushes(folder: Path) -> int | None:
    """Cache flushes that the disk below `folder` has done, for everybody; None where the kernel does not count them."""
    device = folder.stat().st_dev
    try:
        for line in Path("/proc/diskstats").read_text().splitlines():
            fields = line.split()
            if (int(fields[0]), int(fields[1])) == (os.major(device), os.minor(device)) and len(fields) >= 20:
                return int(fields[18])
    except OSError:
        pass
    return None


def file_system(folder: Path) -> str:
    """The type of the file system that holds `folder`."""
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind = line.split()[:3]
        if (folder == Path(mount) or Path(mount) in folder.parents) and len(mount) >= len(best[0]):
            best = (mount, kind)
    return best[1]


def disk_folder() -> Path:
    """A folder for temporary data that is on a disk, where there is one."""
    places = [Path(os.environ.get("TMPDIR", "/var/tmp")), Path("/var/tmp"), Path.cwd()]
    good = [place.resolve() for place in places if place.is_dir() and os.access(place, os.W_OK)]
    for place in good:
        if file_system(place) not in MEMORY_FILE_SYSTEMS:
            return place
    return good[0]


def machine() -> dict[str, object]:
    """What the figures depend on."""
    model = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    total = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": model[0] if model else platform.machine(),
        "memory_mb": total[0] // 1024 if total else None,
        "kernel": platform.release(),
        "load_average": round(os.getloadavg()[0], 2),
        "nice": os.nice(0),
    }


def commit() -> str | None:
    """The checkout's commit, with "+" when files have changed; None outside of a checkout."""
    folder = Path(__file__).resolve().parents[2]  # src, or target/compiled
    root = folder.parents[1] if folder.name == "compiled" else folder.parent
    git = ["git", "-C", str(root)]
    try:
        if not (root / ".git").exists():
            return None
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
