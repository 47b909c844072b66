"""Of several rounds the middle one stands, whole, and no failure is hidden by another round."""

from __future__ import annotations

from typing import Any

from iris.bench.rounds import by_name, middle

COST = "server_cpu_us_per_msg"


def rounds(*costs: float, **more: Any) -> list[dict[str, Any]]:
    return [{"name": "pairs-100-w1", COST: cost, "p99_ms": 100 - cost, **more} for cost in costs]


def test_the_middle_round_stands_with_all_its_figures() -> None:
    found = middle(rounds(50.0, 20.0, 30.0))
    assert (found[COST], found["p99_ms"]) == (30.0, 70.0)
    assert found["rounds"] == [{COST: cost, "p99_ms": 100 - cost} for cost in (50.0, 20.0, 30.0)]


def test_of_two_the_better_one_stands_and_one_is_no_round() -> None:
    assert middle(rounds(50.0, 20.0))[COST] == 20.0
    assert middle(rounds(50.0)) == rounds(50.0)[0]


def test_what_goes_by_the_clock_is_judged_by_how_late_it_is() -> None:
    costs = [{COST: 1.0, "p99_ms": late, "rate": 5} for late in (9.0, 30.0, 12.0)]
    assert middle(costs)["p99_ms"] == 12.0


def test_a_round_that_failed_stands_for_all() -> None:
    failed = {"name": "pairs-100-w1", "error": "lost", "detail": ""}
    assert middle([*rounds(50.0), failed, *rounds(20.0)]) == failed


def test_rounds_are_those_of_one_name_in_the_order_of_the_names() -> None:
    others = [{"name": name} for name in ("login", "storm")]
    found = by_name([others[0], *rounds(50.0), others[1], *rounds(20.0, 30.0)])
    assert [one["name"] for one in found] == ["login", "pairs-100-w1", "storm"]
    assert found[1][COST] == 30.0
