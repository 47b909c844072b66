"""Verdicts: what is met, missed, or cannot be said."""

from __future__ import annotations

import pytest

from iris.bench.budgets import BUDGETS, verdicts


def met(scenario: dict[str, object]) -> dict[str, bool | None]:
    return {verdict["figure"]: verdict["met"] for verdict in verdicts(scenario)}


@pytest.mark.parametrize(("cpu", "rate", "expected"), [(20, 50_000, True), (20.1, 49_999, False)])
def test_a_bound_itself_is_met(cpu: float, rate: float, expected: bool) -> None:
    found = met({"name": "pairs-100-w8", "server_cpu_us_per_msg": cpu, "msgs_per_s": rate})
    assert found["server_cpu_us_per_msg"] is expected
    assert found["msgs_per_s"] is expected


def test_no_figure_is_no_verdict() -> None:
    assert set(met({"name": "idle", "userland_kb_per_conn": None}).values()) == {None}
    assert met({"name": "login", "error": "it broke"}) == {"server_cpu_us": None}


def test_the_promises_of_presence_and_of_live_pairs_are_budgets() -> None:
    assert met({"name": "presence", "offline_max_ms": 30_000, "online_max_ms": 30_001}) == {
        "offline_max_ms": True,
        "online_max_ms": False,
    }
    assert met({"name": "slow", "p99_ms": 100.1}) == {"p99_ms": False}


def test_budgets_belong_to_one_scenario() -> None:
    assert verdicts({"name": "pairs-7-w8", "server_cpu_us_per_msg": 1}) == []
    (verdict,) = verdicts({"name": "login", "server_cpu_us": 179.0})
    assert verdict == {"figure": "server_cpu_us", "budget": 300, "at_least": False, "measured": 179.0, "met": True}
    assert {"pairs-100-w1", "pairs-100-w8", "idle", "login"} <= BUDGETS.keys()
