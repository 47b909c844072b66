"""What /metrics shows. The hot path only adds to plain ints; everything is read when somebody asks.

Owns names, help and types of the metrics. Does not know who counts: the engine, the store and the node hand over
dictionaries. Names ending in _total are counters, the rest are gauges. Every `metric` of limits.toml is always present.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from iris.core.catalogue import LIMITS, CloseCode, ErrorCode
from iris.store.port import StoreStats

# The label's name of the metrics that have one; all others with a label use "kind".
MADE_UP_CODES = 3000  # RFC 6455, 7.4.2: from here on a close code means what its user says
LABELS = {"iris_refused_total": "code", "iris_closed_total": "code", "iris_conservation_rows": "state"}
CONSERVATION = "iris_conservation_rows"  # due = acked + pending + expired + cut + unlinked + deleted
CONSERVATION_ENDS = ("acked", "pending", "expired", "cut", "unlinked", "deleted")
HELP = {
    "iris_refused_total": "Sends, frames and requests that were refused, by error of docs/reference/errors.md",
    "iris_closed_total": "connections that Iris closed, by close code of docs/reference/errors.md",
    "iris_messages_total": "messages by stage: received, accepted, delivered, acked",
    "iris_compiled": "1: the hot modules run compiled; 0: as sources, which do the same and take longer",
    CONSERVATION: "rows times devices since the store was created, by what became of them",
}
SYNC_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 5.0)
LAG_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
GC_BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5)


@dataclass(frozen=True, slots=True)
class NodeStats:
    """What edge, shards and API have counted.

    counters: metric name → value. labelled: (metric name, label: str | int) → value; a label that is a number is
    taken for an error or close code and shown by its name.
    """

    counters: Mapping[str, float] = field(default_factory=dict)
    labelled: Mapping[Any, float] = field(default_factory=dict)


class Metrics:
    """The node's metrics. The three callables are called at every scrape, in the event loop."""

    def __init__(
        self,
        *,
        engine_stats: Callable[[], Mapping[str, float]] = dict,
        store_stats: Callable[[], StoreStats] | None = None,
        node_stats: Callable[[], NodeStats] = NodeStats,
    ) -> None:
        self.registry = CollectorRegistry()
        self.sync_seconds = Histogram(
            "iris_store_sync_seconds",
            "from the hand-over of a commit to its report as durable",
            registry=self.registry,
            buckets=SYNC_BUCKETS,
        )
        self.loop_lag_seconds = Histogram(
            "iris_loop_lag_seconds", "how late the event loop was", registry=self.registry, buckets=LAG_BUCKETS
        )
        self._gc_seconds = Histogram(
            "iris_gc_pause_seconds", "garbage collector pauses", registry=self.registry, buckets=GC_BUCKETS
        )
        self._gc_started = 0.0
        self.registry.register(_Pull(engine_stats, store_stats, node_stats))

    def watch_gc(self) -> None:
        """Measure garbage collector pauses from now on."""
        gc.callbacks.append(self._on_gc)

    def unwatch_gc(self) -> None:
        """Stop what watch_gc started."""
        if self._on_gc in gc.callbacks:
            gc.callbacks.remove(self._on_gc)

    def _on_gc(self, phase: str, _info: object) -> None:
        if phase == "start":
            self._gc_started = time.perf_counter()
        else:
            self._gc_seconds.observe(time.perf_counter() - self._gc_started)

    def text(self) -> bytes:
        """Everything in the Prometheus text format."""
        return generate_latest(self.registry)


class _Pull(Collector):
    """Turns the three dictionaries into metric families."""

    def __init__(
        self,
        engine_stats: Callable[[], Mapping[str, float]],
        store_stats: Callable[[], StoreStats] | None,
        node_stats: Callable[[], NodeStats],
    ) -> None:
        self._engine_stats = engine_stats
        self._store_stats = store_stats
        self._node_stats = node_stats

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of time, so that registering does not call the callables."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read all sources once."""
        values: dict[str, dict[str, float]] = {
            limit.metric: {} for limit in LIMITS.values() if limit.metric.startswith("iris_")
        }
        # From the start, so that the first refusal is a step from 0 and not a series that appears.
        values["iris_refused_total"] = {code.name: 0 for code in ErrorCode}
        values["iris_closed_total"] = {code.name: 0 for code in CloseCode}
        node = self._node_stats()
        for (name, label), value in node.labelled.items():
            row = values.setdefault(name, {})
            row[_label_text(name, label)] = row.get(_label_text(name, label), 0) + value
        engine = {_engine_name(name): value for name, value in self._engine_stats().items()}
        store = {} if self._store_stats is None else _store_values(self._store_stats())
        for name, value in [*node.counters.items(), *engine.items(), *store.items()]:
            row = values.setdefault(name, {})
            row[""] = row.get("", 0) + value
        if ends := values.get(CONSERVATION):
            difference = ends.get("due", 0) - sum(ends.get(state, 0) for state in CONSERVATION_ENDS)
            values.setdefault("iris_conservation_difference", {"": difference})
        for name in sorted(values):
            yield _family(name, values[name])


def _engine_name(name: str) -> str:
    return name if name.startswith("iris_") else f"iris_engine_{name}"


def _label_text(name: str, label: str | int) -> str:
    if isinstance(label, str):
        return label
    code: type[CloseCode] | type[ErrorCode] = CloseCode if name == "iris_closed_total" else ErrorCode
    try:
        return code(label).name
    except ValueError:
        # Clients may make up any of 2,000 close codes, and each would be a series.
        return str(int(label)) if label < MADE_UP_CODES else "other"


def _store_values(stats: StoreStats) -> dict[str, float]:
    return {
        "iris_store_commits_total": stats.commits,
        "iris_store_rows_total": stats.rows,
        "iris_store_bytes_total": stats.bytes,
        "iris_store_syncs_total": stats.syncs,
        "iris_store_fsync_seconds_total": stats.sync_seconds,
        "iris_store_fsync_seconds_max": stats.sync_seconds_max,
        "iris_store_write_seconds_total": stats.write_seconds,
        "iris_store_stalls_total": stats.stalls,
        "iris_store_disk_free_bytes": stats.disk_free_bytes,
        "iris_store_memtable_bytes": stats.memtable_bytes,
        "iris_store_cache_bytes": stats.cache_bytes,
    }


def _family(name: str, values: Mapping[str, float]) -> Metric:
    label = LABELS.get(name, "kind" if any(values) else None)
    text = HELP.get(name) or _limit_help(name) or name.removeprefix("iris_").replace("_", " ")
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    family = kind(name, text, labels=[label] if label else [])
    if label is None:
        family.add_metric([], values.get("", 0))
    for text_of_label, value in sorted(values.items()):
        if label is not None:
            family.add_metric([text_of_label], value)
    return family


def _limit_help(name: str) -> str:
    limits = [limit.name for limit in LIMITS.values() if limit.metric == name]
    return "how often a limit was met: " + ", ".join(limits) if limits else ""
