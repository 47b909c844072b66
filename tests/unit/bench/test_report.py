"""Percentiles, the table, and what the kernel is asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from iris.bench import probe
from iris.bench.report import document, percentiles, table

MS = 1_000_000


def test_percentiles_are_taken_from_the_counts() -> None:
    rows = [(1 * MS, 50), (2 * MS, 40), (3 * MS, 9), (9 * MS, 1)]
    assert percentiles(rows) == {"p50_ms": 1.0, "p90_ms": 2.0, "p99_ms": 3.0, "max_ms": 9.0}
    assert percentiles([(7 * MS, 1)], "x_") == {"x_p50_ms": 7.0, "x_p90_ms": 7.0, "x_p99_ms": 7.0, "x_max_ms": 7.0}
    assert set(percentiles([]).values()) == {None}


def test_the_table_shows_budget_and_verdict_beside_the_figure() -> None:
    text = table({"name": "pairs-100-w8", "server_cpu_us_per_msg": 34.56, "fsync_mean_ms": None, "other": 1})
    assert "34.6        <= 20  missed" in text
    assert text.count("\n") == 3
    assert ">= 50,000  met" in table({"name": "pairs-100-w8", "msgs_per_s": 50_001.0})
    assert "not measured" in table({"name": "idle", "all_in_kb_per_conn": None})
    assert "<=" not in table({"name": "pairs-7-w8", "server_cpu_us_per_msg": 34.56})
    assert table({"name": "idle", "error": "it broke"}) == "idle\n  no figures: it broke\n"


def test_the_document_says_where_it_was_measured() -> None:
    found = document([{"name": "login", "server_cpu_us": 301.0}])
    (scenario,) = found["scenarios"]
    assert [verdict["met"] for verdict in scenario["budgets"]] == [False]
    assert found["machine"]["cpus"] == len(os.sched_getaffinity(0))
    assert "iris" in found["versions"]
    assert found["compiled"] is False  # tests run the sources


def test_cpu_is_counted_by_thread_and_in_all() -> None:
    before = probe.cpu(os.getpid())
    total = 0
    while (spent := probe.cpu(os.getpid()) - before).total < 0.02:
        total += sum(range(1000))
    assert spent.threads["python"] == pytest.approx(spent.total, abs=0.02)
    assert probe.rss_bytes(os.getpid()) > 1_000_000


def test_the_file_system_of_a_folder_is_that_of_the_nearest_mount() -> None:
    assert probe.file_system(Path("/proc/self")) == "proc"
    assert probe.file_system(probe.disk_folder()) not in ("unknown", "proc")
