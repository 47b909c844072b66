"""Measures a server process from outside: the kernel's figures by its pid, the rest from its metrics page."""

from __future__ import annotations

import os
import re
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LINE = re.compile(r"^(\w+(?:\{[^}]*\})?) ([-+.\deE]+|NaN)$", re.M)
QUEUES = (
    'iris_queue_items{kind="commit_rows"}', 'iris_queue_items{kind="detaching"}', "iris_outbox_rows",
    "iris_loads_waiting", "iris_logins_waiting", "iris_http_hashes_waiting",
)  # fmt: skip


def metrics(url: str) -> dict[str, float]:
    """Name with labels → value. Raises OSError."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in _LINE.findall(text)}


@dataclass
class Sampler:
    """Series of one server. `sample` adds a value to each. Raises OSError when the server is gone."""

    pid: int
    admin: str
    series: dict[str, list[float]] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)

    def sample(self, latency_ms: float | None) -> None:
        """Take one. `latency_ms`: the clients' median from sending to accepted since the last one."""
        process = Path(f"/proc/{self.pid}")
        now = metrics(self.admin)
        lag_s, lags = self._growth(now, "iris_loop_lag_seconds_sum"), self._growth(now, "iris_loop_lag_seconds_count")
        sync_s, syncs = (self._growth(now, f"iris_store_sync_seconds_{part}") for part in ("sum", "count"))
        self._add("file descriptors", len(list((process / "fd").iterdir())))
        self._add("threads", len(list((process / "task").iterdir())))
        memory = int((process / "statm").read_text().split()[1]) * PAGE_BYTES
        store = now.get("iris_store_memtable_bytes", 0) + now.get("iris_store_cache_bytes", 0)
        self._add("memory, MB", memory / 1e6)
        self._add("… of the store, MB", store / 1e6)
        self._add("… the rest, MB", (memory - store) / 1e6)
        self._add("queued items", sum(now.get(name, 0) for name in QUEUES))
        self._add("connections", now.get("iris_engine_connections", 0))
        self._add("users loaded", now.get("iris_users_loaded", 0))
        if lags:
            self._add("loop lag, ms", lag_s / lags * 1000)
        if syncs:
            self._add("commit to durable, ms", sync_s / syncs * 1000)
        if latency_ms is not None:
            self._add("sending to accepted, ms", latency_ms)
        self.last = now

    def _growth(self, now: dict[str, float], name: str) -> float:
        return now.get(name, 0) - self.last.get(name, 0)

    def _add(self, name: str, value: float) -> None:
        self.series.setdefault(name, []).append(value)
