"""Scenarios that are measured several times: a neighbour who takes the machine for a while spoils one round only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

Scenario = dict[str, Any]

# What a round is told by, beside the whole scenario that stands for all.
TOLD: Final = (
    "server_cpu_us_per_msg", "python_cpu_us_per_msg", "floor_cpu_us_per_msg", "stored_floor_cpu_us_per_msg",
    "stored_floor_python_cpu_us_per_msg", "ratio_to_floor", "msgs_per_s", "p99_ms", "floor_p99_ms",
    "stored_floor_p99_ms",
)  # fmt: skip


def by_name(found: Sequence[Scenario]) -> list[Scenario]:
    """One scenario for each name, in the order in which the names came first. Those of one name are its rounds."""
    rounds: dict[str, list[Scenario]] = {}
    for one in found:
        rounds.setdefault(one["name"], []).append(one)
    return [middle(group) for group in rounds.values()]


def middle(rounds: Sequence[Scenario]) -> Scenario:
    """The round in the middle, whole, so that its figures belong together; with what the others said in `rounds`.

    By p99 where messages went by the clock, else by CPU per message. A round that failed stands for all: nothing
    measured beside it makes that good.
    """
    for one in rounds:
        if "error" in one:
            return one
    if len(rounds) == 1:
        return rounds[0]
    figure = "p99_ms" if "rate" in rounds[0] else "server_cpu_us_per_msg"
    told = [{name: one[name] for name in TOLD if name in one} for one in rounds]
    return {**sorted(rounds, key=lambda one: one[figure])[(len(rounds) - 1) // 2], "rounds": told}
