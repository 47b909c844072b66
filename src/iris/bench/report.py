"""Figures from raw measurements, and how they are shown: one JSON object, or a table with the targets beside it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import iris
from iris.bench import probe
from iris.bench.budgets import verdicts

Rows = Sequence[tuple[int, int]]  # of a histogram: (highest value, count), in order
NS_PER_MS = 1e6
PERCENTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "max_ms": 1.0}
VERDICTS = {True: "met", False: "missed", None: "not measured"}
LIBRARIES = ("rocksdict", "fastapi", "uvicorn", "protobuf")

# The figures of the table, in order, with what they mean. The others are in the JSON.
SHOWN = {
    "server_cpu_us_per_msg": "server CPU per message, µs (all threads, user and system)",
    "python_cpu_us_per_msg": "  of it the Python main thread",
    "engine_cpu_us_per_msg": "  of it the engine's threads",
    "floor_cpu_us_per_msg": "the floor's CPU per message, µs (TLS)",
    "tcp_floor_cpu_us_per_msg": "the floor's CPU per message, µs (plain TCP)",
    "python_floor_cpu_us_per_msg": "the same by the engine and the least Python, µs",
    "python_floor_python_cpu_us_per_msg": "  of it the Python main thread",
    "stored_floor_cpu_us_per_msg": "the same with the store as well, before any rule, µs",
    "stored_floor_python_cpu_us_per_msg": "  of it the Python main thread",
    "ratio_to_floor": "server's CPU, times the floor's (TLS)",
    "ratio_to_stored_floor": "server's CPU, times the one with the store",
    "msgs_per_s": "messages per second, accepted and durable",
    "stored_floor_msgs_per_s": "the same with the store, before any rule",
    "accepted_p50_ms": "Send to Accepted, p50 ms",
    "accepted_p99_ms": "Send to Accepted, p99 ms",
    "p50_ms": "Send to Deliver, p50 ms",
    "p99_ms": "Send to Deliver, p99 ms",
    "floor_p99_ms": "the same at the floor (TLS), p99 ms",
    "stored_floor_p99_ms": "the same with the store, before any rule, p99 ms",
    "receipt_p50_ms": "Send to Receipt, p50 ms",
    "receipt_p99_ms": "Send to Receipt, p99 ms",
    "fsyncs": "fsyncs",
    "msgs_per_fsync": "messages per fsync",
    "fsync_mean_ms": "fsync, mean ms",
    "reads_per_msg": "reads of sockets per message",
    "writes_per_msg": "writes to sockets per message",
    "caught_up_per_s": "waiting messages taken per second",
    "caught_up_p50_ms": "connect to the last of them, p50 ms",
    "caught_up_max_ms": "connect to the last of them, max ms",
    "server_cpu_us_per_delivery": "server CPU per row for a device (Deliver or copy), µs",
    "copied_p50_ms": "Send to the copy at the sender's devices, p50 ms",
    "copied_p99_ms": "Send to the copy at the sender's devices, p99 ms",
    "server_cpu_us_per_told": "server CPU per presence told, µs (with the log-ins)",
    "offline_cpu_us_per_told": "server CPU per offline told, µs",
    "watch_cpu_us_per_told": "server CPU per answer to a Watch, µs",
    "offline_p50_ms": "gone to told, p50 ms (10 s of grace in it)",
    "offline_p99_ms": "gone to told, p99 ms",
    "offline_max_ms": "gone to told, the last watcher, ms",
    "online_p50_ms": "the return of all to told, p50 ms",
    "online_p99_ms": "the return of all to told, p99 ms",
    "online_max_ms": "the return of all to told, the last watcher, ms",
    "calm_p50_ms": "Send to Deliver without slow consumers, p50 ms",
    "calm_p99_ms": "Send to Deliver without slow consumers, p99 ms",
    "growth_kb_per_slow": "memory of the server per slow consumer, KB",
    "store_growth_mb": "memory of the store meanwhile, MB",
    "closed": "slow consumers that the server has closed",
    "pump_pauses": "rows that waited because a device had not acked",
    "slow_caught_up_p50_ms": "reads again to the last message, p50 ms",
    "slow_caught_up_max_ms": "reads again to the last message, max ms",
    "server_cpu_ms_per_user_day": "server CPU per user and day, ms",
    "logins_per_msg": "log-ins per message",
    "typings_per_msg": "typing shown per message",
    "presences_per_msg": "presences told per message",
    "receipts_per_msg": "receipts per message",
    "late_share": "share of rows that a device took when it came",
    "logins_per_s": "log-ins per second beside the messages",
    "storm_cpu_cores": "the server's CPU meanwhile, cores",
    "refused": "Sends refused for a while and repeated",
    "userland_kb_per_conn": "memory of the server per connection, KB",
    "engine_kb_per_conn": "  of it the engine's threads",
    "python_kb_per_conn": "  of it Python",
    "floor_kb_per_conn": "the same at the floor (TLS), KB",
    "python_floor_kb_per_conn": "the same by the engine and the least Python, KB",
    "kernel_kb_per_conn": "memory of the kernel per connection, KB",
    "all_in_kb_per_conn": "both, KB",
    "idle_cpu_us_per_conn_s": "server CPU per connection and second of silence, µs",
    "idle_python_cpu_us_per_conn_s": "  of it the Python main thread",
    "idle_engine_cpu_us_per_conn_s": "  of it the engine's threads",
    "server_cpu_us": "server CPU per login, µs (all threads, user and system)",
    "python_cpu_us": "  of it the Python main thread",
    "engine_cpu_us": "  of it the engine's threads",
    "floor_cpu_us": "the floor's CPU per login, µs (TLS)",
    "python_floor_cpu_us": "the same by the engine and the least Python, µs",
    "per_s_per_core": "logins per second and core",
    "round_trips": "round trips from connect to Welcome, TCP included",
    "login_p50_ms": "connect to Welcome, p50 ms",
    "login_p99_ms": "connect to Welcome, p99 ms",
}


def percentiles(rows: Rows, prefix: str = "") -> dict[str, float | None]:
    """p50, p90, p99 and max in ms of a histogram in ns; None when it is empty."""
    total = sum(count for _, count in rows)
    found: dict[str, float | None] = {}
    for name, part in PERCENTILES.items():
        seen, value = 0, None
        for highest, count in rows:
            seen, value = seen + count, highest
            if seen >= part * total:
                break
        found[prefix + name] = None if value is None else round(value / NS_PER_MS, 3)
    return found


def per(seconds: float, count: int) -> float:
    """µs per one of `count`."""
    return round(seconds * 1e6 / count, 2)


def document(scenarios: list[dict[str, Any]]) -> dict[str, Any]:
    """The object that --json prints."""
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": " ".join(["iris", *sys.argv[1:]]),
        "commit": probe.commit(),
        "versions": {"iris": iris.__version__, "python": sys.version.split()[0], **_libraries()},
        "compiled": iris.is_compiled(),
        "machine": probe.machine(),
        "scenarios": [{**scenario, "budgets": verdicts(scenario)} for scenario in scenarios],
    }


def _libraries() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def table(scenario: Mapping[str, Any]) -> str:
    """A scenario for people."""
    if "error" in scenario:
        return f"{scenario['name']}\n  no figures: {scenario['error']}\n"
    told = {verdict["figure"]: verdict for verdict in verdicts(scenario)}
    lines = [f"{scenario['name']:<62}{'figure':>12}{'budget':>13}"]
    for name, meaning in SHOWN.items():
        if name in scenario:
            value = scenario[name]
            shown = "-" if value is None else f"{value:,.1f}"
            lines.append(f"  {meaning:<60}{shown:>12}{_budget(told[name]) if name in told else ''}")
    return "\n".join(lines) + "\n"


def _budget(verdict: Mapping[str, Any]) -> str:
    bound = f"{'>=' if verdict['at_least'] else '<='} {verdict['budget']:,g}"
    return f"{bound:>13}  {VERDICTS[verdict['met']]}"


class Progress:
    """One line on stderr that changes in place; nothing when stderr is no terminal."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._shown = ""
        self._next = 0.0

    def __call__(self, what: str, done: int, total: int = 0) -> None:
        """Say how far things are, at most ten times a second."""
        if not self._on or (self._next > time.monotonic() and self._shown.startswith(what)):
            return
        self._next = time.monotonic() + 0.1
        self._write(f"{what}: {done:,} of {total:,}" if total else f"{what}: {done:,}")

    def clear(self) -> None:
        """Leave an empty line for what is printed next."""
        if self._on and self._shown:
            self._write("")

    def _write(self, text: str) -> None:
        sys.stderr.write("\r" + text.ljust(len(self._shown)) + ("\r" if not text else ""))
        sys.stderr.flush()
        self._shown = text
