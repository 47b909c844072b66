"""Metrics: names, types and labels of what /metrics shows."""

from __future__ import annotations

import gc

from prometheus_client.parser import text_string_to_metric_families

from iris.core.catalogue import LIMITS, CloseCode, ErrorCode
from iris.metrics import Metrics, NodeStats
from iris.store.port import StoreStats

STORE = StoreStats(
    commits=5,
    rows=50,
    bytes=500,
    syncs=5,
    sync_seconds=0.5,
    sync_seconds_max=0.2,
    write_seconds=0.1,
    stalls=0,
    disk_free_bytes=1 << 40,
    memtable_bytes=7,
    cache_bytes=9,
)


def read(metrics: Metrics) -> dict[tuple[str, str], float]:
    """(sample name, label values) → value."""
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def test_every_limit_has_its_metric_before_anything_happened() -> None:
    text = Metrics().text().decode()
    for limit in LIMITS.values():
        if limit.where not in ("sdk", "content"):  # counted by the clients themselves
            assert f"# TYPE {limit.metric} " in text, limit.name


def test_codes_are_shown_by_name_and_summed() -> None:
    node = NodeStats(
        {"iris_connections": 7},
        {
            ("iris_refused_total", ErrorCode.RATE_LIMITED): 2,
            ("iris_refused_total", "RATE_LIMITED"): 1,
            ("iris_refused_total", 1999): 4,
            ("iris_closed_total", CloseCode.TOKEN_EXPIRED): 3,
            ("iris_messages_total", "accepted"): 9,
        },
    )
    got = read(Metrics(node_stats=lambda: node))
    assert got[("iris_refused_total", "RATE_LIMITED")] == 3
    assert got[("iris_refused_total", "1999")] == 4
    assert got[("iris_closed_total", "TOKEN_EXPIRED")] == 3
    assert got[("iris_messages_total", "accepted")] == 9
    assert got[("iris_connections", "")] == 7


def test_close_codes_that_clients_make_up_are_one_series() -> None:
    labelled = {("iris_closed_total", code): 1 for code in (1000, 1006, 3000, 3001, 4998)}
    got = read(Metrics(node_stats=lambda: NodeStats({}, labelled)))
    assert {name: got[metric, name] for metric, name in got if metric == "iris_closed_total" and got[metric, name]} == {
        "NORMAL": 1, "1006": 1, "other": 3,
    }  # fmt: skip


def test_every_code_counts_from_zero() -> None:
    got = read(Metrics())
    assert {name for metric, name in got if metric == "iris_refused_total"} == {code.name for code in ErrorCode}
    assert {name for metric, name in got if metric == "iris_closed_total"} == {code.name for code in CloseCode}


def test_a_difference_that_was_audited_is_shown_as_it_is() -> None:
    rows = {("iris_conservation_rows", "due"): 10, ("iris_conservation_rows", "acked"): 10}
    node = NodeStats({"iris_conservation_difference": 2}, rows)
    assert read(Metrics(node_stats=lambda: node))[("iris_conservation_difference", "")] == 2


def test_engine_and_store_are_pulled_at_every_scrape() -> None:
    counted = {"bytes_in_total": 1, "iris_pings_total": 2}
    metrics = Metrics(engine_stats=lambda: counted, store_stats=lambda: STORE)
    assert read(metrics)[("iris_engine_bytes_in_total", "")] == 1
    counted["bytes_in_total"] = 11
    got = read(metrics)
    assert got[("iris_engine_bytes_in_total", "")] == 11
    assert got[("iris_pings_total", "")] == 2
    assert got[("iris_store_syncs_total", "")] == 5
    assert got[("iris_store_disk_free_bytes", "")] == 1 << 40
    assert (got[("iris_store_memtable_bytes", "")], got[("iris_store_cache_bytes", "")]) == (7, 9)


def test_conservation_difference_is_computed() -> None:
    rows = {("iris_conservation_rows", "due"): 10, ("iris_conservation_rows", "acked"): 6}
    pending = {("iris_conservation_rows", "pending"): 4}
    assert read(Metrics(node_stats=lambda: NodeStats({}, rows | pending)))[("iris_conservation_difference", "")] == 0
    assert read(Metrics(node_stats=lambda: NodeStats({}, rows)))[("iris_conservation_difference", "")] == 4


def test_histograms_take_what_is_measured() -> None:
    metrics = Metrics()
    metrics.sync_seconds.observe(0.3)
    metrics.loop_lag_seconds.observe(0.003)
    metrics.watch_gc()
    try:
        gc.collect()
    finally:
        metrics.unwatch_gc()
    got = read(metrics)
    assert got[("iris_store_sync_seconds_bucket", "0.2")] == 0
    assert got[("iris_store_sync_seconds_bucket", "0.4")] == 1
    assert got[("iris_loop_lag_seconds_count", "")] == 1
    assert got[("iris_gc_pause_seconds_count", "")] >= 1
    pauses = got[("iris_gc_pause_seconds_count", "")]
    gc.collect()
    assert read(metrics)[("iris_gc_pause_seconds_count", "")] == pauses
