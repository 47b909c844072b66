"""What the scenes of people and devices make of their counts."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from iris.bench.mixed_day import MODEL, day_figures
from iris.bench.slow import Moment, slow_figures

COSTS = Path(__file__).resolve().parents[3] / "src/iris/capacity/costs.toml"
MS = 1_000_000


def moment(rss: int, memtable: float, pauses: float) -> Moment:
    return Moment(
        rss,
        {
            "iris_store_memtable_bytes": memtable,
            "iris_store_cache_bytes": 0.0,
            "iris_pump_paused_total": pauses,
            "iris_rewinds_total": 0.0,
        },
    )


def test_the_model_of_a_day_is_what_the_capacity_model_assumes() -> None:
    assumed = tomllib.loads(COSTS.read_text())["assumption"]
    assert MODEL["online_per_mille"] == 1000 * assumed["online_share"]["value"]
    assert MODEL["messages_per_user_day"] == assumed["messages_per_user_day"]["value"]
    assert MODEL["peak_per_mille"] == 1000 * assumed["peak_to_average"]["value"]


def test_a_day_is_told_per_message_and_per_user() -> None:
    counts = {"accepted": 100, "delivered": 60, "copied": 20, "delivered_late": 15, "copied_late": 5, "logins": 25}
    found = day_figures(counts, 400.0)
    assert found["server_cpu_ms_per_user_day"] == 20.0
    assert (found["logins_per_msg"], found["typings_per_msg"]) == (0.25, 0.0)
    assert found["late_share"] == 0.2
    assert day_figures({"accepted": 1}, 400.0)["late_share"] is None, "nobody was online"


def test_memory_of_the_store_is_none_of_a_slow_consumers() -> None:
    waited = {"counts": {"delivered_total": 1200, "closed": 1}, "histograms": {"caught_up": [(5 * MS, 1), (9 * MS, 1)]}}
    found = slow_figures(waited, moment(100_000_000, 1e6, 3), moment(108_096_000, 7e6, 5), moment(0, 0, 9), 2)
    assert found["growth_kb_per_slow"] == pytest.approx((8_096_000 - 6_000_000) / 2 / 1024, abs=0.1)
    assert (found["store_growth_mb"], found["pump_pauses"], found["closed"]) == (6.0, 6, 1)
    assert (found["slow_caught_up_p50_ms"], found["slow_caught_up_max_ms"]) == (5.0, 9.0)
