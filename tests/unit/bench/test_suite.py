"""The floor beside a scenario, and a scenario that fails among others that do not."""

from __future__ import annotations

from iris.bench.errors import BenchError
from iris.bench.floors import with_floors
from iris.bench.relay import KINDS, Kind
from iris.bench.storm import merged
from iris.bench.suite import outcome


def test_the_ratio_is_to_the_floor_by_tls() -> None:
    cost = "server_cpu_us_per_msg"
    floors: dict[Kind, dict[str, float]] = {
        "tcp": {cost: 20.0}, "tls": {cost: 24.0}, "python": {cost: 50.0, "python_cpu_us_per_msg": 30.0},
        "stored": {cost: 55.0, "python_cpu_us_per_msg": 34.0, "msgs_per_s": 9_000.0},
    }  # fmt: skip
    found = with_floors({"name": "pairs-100-w1", cost: 60.0, "p50_ms": 1.0}, floors)
    assert (found["name"], found[cost], found["p50_ms"]) == ("pairs-100-w1", 60.0, 1.0)
    assert (found["floor_cpu_us_per_msg"], found["tcp_floor_cpu_us_per_msg"]) == (24.0, 20.0)
    assert (found["python_floor_cpu_us_per_msg"], found["python_floor_python_cpu_us_per_msg"]) == (50.0, 30.0)
    assert (found["stored_floor_cpu_us_per_msg"], found["stored_floor_python_cpu_us_per_msg"]) == (55.0, 34.0)
    assert found["stored_floor_msgs_per_s"] == 9_000.0
    assert (found["ratio_to_floor"], found["ratio_to_stored_floor"]) == (2.5, 1.09)
    assert [one[cost] for one in found["floors"]] == [20.0, 24.0, 50.0, 55.0]


def test_a_floor_of_nothing_gives_no_ratio() -> None:
    nothing = {"server_cpu_us_per_msg": 0.0}
    assert with_floors({"server_cpu_us_per_msg": 60.0}, dict.fromkeys(KINDS, nothing))["ratio_to_floor"] is None


def test_a_scenario_that_fails_has_an_error_and_no_figures() -> None:
    def play() -> dict[str, object]:
        raise BenchError("it broke", "pair 3: lost")

    assert outcome("idle", play) == {"name": "idle", "error": "it broke", "detail": "pair 3: lost"}
    assert outcome("idle", lambda: {"name": "idle", "connections": 7}) == {"name": "idle", "connections": 7}


def test_histograms_of_rounds_become_one() -> None:
    assert merged([[(5, 2), (9, 1)], [], [(1, 1), (9, 3)]]) == [(1, 1), (5, 2), (9, 4)]
