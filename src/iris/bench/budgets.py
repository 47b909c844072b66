"""What is aimed at, by scenario and figure, and whether it is met. A run is not failed by a budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Budget(NamedTuple):
    """A bound of one figure."""

    figure: str
    bound: float
    at_least: bool = False


BUDGETS: dict[str, tuple[Budget, ...]] = {
    "pairs-100-w1": (
        Budget("server_cpu_us_per_msg", 60),
        Budget("python_cpu_us_per_msg", 12),
        Budget("ratio_to_floor", 2.5),
    ),
    "pairs-100-w8": (
        Budget("server_cpu_us_per_msg", 20),
        Budget("python_cpu_us_per_msg", 12),
        Budget("ratio_to_floor", 3.5),
        Budget("msgs_per_s", 50_000, at_least=True),
    ),
    "idle": (Budget("userland_kb_per_conn", 5), Budget("all_in_kb_per_conn", 10)),
    "login": (Budget("server_cpu_us", 300),),
    "paced-50": (Budget("p99_ms", 20),),
    "storm": (Budget("p99_ms", 100),),
    "presence": (Budget("offline_max_ms", 30_000), Budget("online_max_ms", 30_000)),
    "slow": (Budget("p99_ms", 100),),
}


def verdicts(scenario: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each budget of a scenario with its figure; met is None where there is no figure."""
    found = []
    for figure, bound, at_least in BUDGETS.get(str(scenario["name"]), ()):
        value = scenario.get(figure)
        met = None if value is None else (value >= bound if at_least else value <= bound)
        found.append(
            {"figure": figure, "budget": bound, "at_least": at_least, "measured": value, "met": met},
        )
    return found
