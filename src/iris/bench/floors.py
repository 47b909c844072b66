"""Scenarios with their floor: the same load right before at relays that do nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from iris.bench.floor import floor
from iris.bench.idle import idle, idle_floor
from iris.bench.login import login, login_floor
from iris.bench.options import Options
from iris.bench.pairs import pairs
from iris.bench.relay import KINDS, Kind
from iris.bench.stage import Stage

Scenario = dict[str, Any]
SECURE: tuple[Kind, ...] = ("tls", "python")  # log-ins and idle connections are those of TLS
KEEPING_PACE: tuple[Kind, ...] = ("tls", "stored")


def pairs_beside_floor(stage: Stage, options: Options) -> Scenario:
    """Pairs, and their CPU per message at each relay."""
    floors = {kind: floor(replace(options, relay=kind), stage.progress) for kind in KINDS}
    return with_floors(pairs(stage, options), floors)


def paced_beside_floor(stage: Stage, options: Options, percent: int) -> Scenario:
    """Messages by the clock, at a share of the highest throughput of the same run; the floor at the same pace."""
    least, stored = (floor(replace(options, relay=kind), stage.progress) for kind in KEEPING_PACE)
    cost = "server_cpu_us_per_msg"
    return {
        **pairs(stage, options),
        "name": f"paced-{percent}",
        "percent": percent,
        "rate": options.rate,
        "floor_cpu_us_per_msg": least[cost],
        "stored_floor_cpu_us_per_msg": stored[cost],
        "floor_p99_ms": least["p99_ms"],
        "stored_floor_p99_ms": stored["p99_ms"],
        "floors": [least, stored],
    }


def login_beside_floor(stage: Stage, options: Options) -> Scenario:
    """Log-ins, and their CPU at a relay in TLS and at the engine with the least Python."""
    floors = {kind: login_floor(kind, options, stage.progress) for kind in SECURE}
    found = login(stage, options)
    least = floors["tls"]["server_cpu_us"]
    return {
        **found,
        "floor_cpu_us": least,
        "python_floor_cpu_us": floors["python"]["server_cpu_us"],
        "ratio_to_floor": _ratio(found["server_cpu_us"], least),
        "floors": list(floors.values()),
    }


def idle_beside_floor(stage: Stage, options: Options) -> Scenario:
    """Idle connections, and their memory at the same relays."""
    floors = {kind: idle_floor(kind, options, stage.progress) for kind in SECURE}
    return {
        **idle(stage, options),
        "floor_kb_per_conn": floors["tls"]["userland_kb_per_conn"],
        "python_floor_kb_per_conn": floors["python"]["userland_kb_per_conn"],
        "floors": list(floors.values()),
    }


def with_floors(scenario: Scenario, floors: Mapping[Kind, Scenario]) -> Scenario:
    """A scenario with its ratio to the floor, which is the one by TLS, since the server speaks TLS too."""
    cost, python = "server_cpu_us_per_msg", "python_cpu_us_per_msg"
    least = floors["tls"][cost]
    return {
        **scenario,
        "floor_cpu_us_per_msg": least,
        "tcp_floor_cpu_us_per_msg": floors["tcp"][cost],
        "python_floor_cpu_us_per_msg": floors["python"][cost],
        "python_floor_python_cpu_us_per_msg": floors["python"].get(python),
        "stored_floor_cpu_us_per_msg": floors["stored"][cost],
        "stored_floor_python_cpu_us_per_msg": floors["stored"].get(python),
        "stored_floor_msgs_per_s": floors["stored"].get("msgs_per_s"),
        "ratio_to_floor": _ratio(scenario[cost], least),
        "ratio_to_stored_floor": _ratio(scenario[cost], floors["stored"][cost]),
        "floors": list(floors.values()),
    }


def _ratio(cost: float, least: float) -> float | None:
    return round(cost / least, 2) if least else None
