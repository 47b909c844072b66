"""The page of figures is what the JSON says, and nothing of the text around it changes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from iris.bench.report import document
from scripts import performance
from scripts.plots import Axis, plot


def scenario(name: str, **figures: Any) -> dict[str, Any]:
    return {"name": name, "configuration": {"file_system": "ext4"}, **figures}


def example() -> dict[str, Any]:
    costs = {
        "server_cpu_us_per_msg": 61.5,
        "python_cpu_us_per_msg": 30.0,
        "engine_cpu_us_per_msg": 9.0,
        "ratio_to_floor": 2.0,
    }
    pairs = scenario("pairs-100-w1", msgs_per_s=14375.2, msgs_per_fsync=47.0, **costs)
    times = {"p50_ms": 3.0, "p99_ms": 21.0, "receipt_p50_ms": 9.0, "receipt_p99_ms": 28.0}
    paced = scenario("paced-50", percent=50, msgs_per_s=7000.0, msgs_per_fsync=9.6, **costs, **times)
    failed = {"name": "storm", "error": "it broke", "detail": ""}
    return document([pairs, paced, scenario("login", server_cpu_us=179.0), failed])


def test_figures_have_budget_and_verdict() -> None:
    text = performance.figures(example())
    assert (
        "| `pairs-100-w1` | server CPU per message, µs (all threads, user and system) | 61.5 | ≤ 60 | missed |" in text
    )
    assert "| `pairs-100-w1` | server's CPU, times the floor's (TLS) | 2 | ≤ 2.5 | met |" in text
    assert "| figure | `pairs-100-w1` | `paced-50` |" in text
    assert "| messages per second, accepted and durable | 14,375 | 7,000 |" in text
    assert "### login\n" in text
    assert "- `storm` gave no figures: it broke" in text
    assert "![latency-by-load](performance/latency-by-load.svg)" in text
    assert "ext4" in text


def test_rounds_have_a_table_of_their_own() -> None:
    told = [{"server_cpu_us_per_msg": cost, "p99_ms": 7.5} for cost in (40.0, 30.5)]
    text = performance.figures(document([scenario("pairs-100-w1", msgs_per_s=1.0, rounds=told)]))
    assert (
        "| scenario | round | server CPU per message, µs (all threads, user and system) | Send to Deliver, p99 ms |"
        in text
    )
    assert "| `pairs-100-w1` | 1 | 40 | 7.5 |" in text
    assert "| `pairs-100-w1` | 2 | 30.5 | 7.5 |" in text
    assert "### Rounds" not in performance.figures(example())


def test_cores_for_a_storm_are_the_cost_of_a_log_in_times_their_number() -> None:
    costs = {"server_cpu_us": 400.0, "python_cpu_us": 150.5, "engine_cpu_us": 249.5, "floor_cpu_us": 200.0}
    text = performance.figures(document([scenario("login", **costs)]))
    assert "### 100,000 log-ins a second (extrapolated)\n" in text
    assert "| `login` | 400 | 150 | 250 | 200 | 40 | 16 | 20 |" in text
    assert "a second (extrapolated)" not in performance.figures(example()), "none was measured by its parts"


def test_only_what_is_between_the_marks_is_written() -> None:
    page = f"by hand\n{performance.BEGIN}\nold\n{performance.END}\nby hand too\n"
    once = performance.with_figures(page, "new\n")
    assert once == f"by hand\n{performance.BEGIN}\n\nnew\n\n{performance.END}\nby hand too\n"
    assert performance.with_figures(once, "new\n") == once
    with pytest.raises(SystemExit, match="no marks"):
        performance.with_figures("by hand\n", "new\n")


def test_the_real_page_has_the_marks() -> None:
    assert performance.with_figures(performance.PAGE.read_text(), "new\n")


def test_plots_show_every_point() -> None:
    found = performance.plots(example())
    assert found.keys() == {"latency-by-load.svg", "cpu-by-batch.svg"}
    picture = ElementTree.fromstring(found["latency-by-load.svg"])
    circles = picture.findall("{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 4
    assert found["cpu-by-batch.svg"].count("<circle") == 3
    assert performance.plots(document([scenario("login", server_cpu_us=179.0)])) == {}


def test_points_lie_where_the_axes_say() -> None:
    axis = Axis([3, 150], 0, 200)
    assert axis.ticks == [2, 5, 10, 20, 50, 100, 200]
    assert [round(axis.place(value)) for value in (2, 20, 200)] == [0, 100, 200]
    assert "<circle" not in plot("t", "x", "y", {"a": [(0, 1)]})  # no place for 0 on such an axis
    assert "a &lt; b" in plot("a < b", "x", "y", {"a": [(1, 1)]})
