"""What the scenes of people and devices make of their counts."""

from __future__ import annotations

import tomllib
from pathlib import Path

from iris.bench.mixed_day import MODEL, day_figures

COSTS = Path(__file__).resolve().parents[3] / "src/iris/capacity/costs.toml"


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
