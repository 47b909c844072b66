"""Slow consumers beside pairs that talk: half of them do not read their socket, half of them ack nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from iris.bench import probe
from iris.bench.beside import Beside
from iris.bench.options import Options
from iris.bench.pairs import client_figures, message_numbers
from iris.bench.report import percentiles
from iris.bench.stage import Stage, load, refuse

MESSAGES_EACH = 600  # more than a deliver window, of rows and of bytes
PAYLOAD_BYTES = 1024
PAUSED, REWINDS = "iris_pump_paused_total", "iris_rewinds_total"
STORE_MEMORY = ("iris_store_memtable_bytes", "iris_store_cache_bytes")


class Moment(NamedTuple):
    """The server while it is looked at."""

    rss: int
    metrics: dict[str, float]

    @property
    def store(self) -> float:
        """Bytes that the store holds in memory."""
        return sum(self.metrics[name] for name in STORE_MEMORY)


def slow(stage: Stage, options: Options) -> dict[str, Any]:
    """Live pairs by the clock, first alone, then beside users who take nothing for a while, and then take it all."""
    server = stage.server
    alone, live, others = (stage.take(2 * count) for count in (options.pairs, options.pairs, options.slow))
    stage.restart()
    # As long as the others take nothing, less the time that all need to begin.
    timed = replace(options, seconds=max(options.stall - 2 * options.warm, options.warm))
    numbers = message_numbers(timed)
    calm_numbers = message_numbers(replace(options, seconds=min(options.seconds, timed.seconds)))
    calm = load(server, alone, options, calm_numbers, lambda moment, done: stage.progress("messages in calm", done))
    refuse(calm["faults"], server)
    moments: dict[str, Moment] = {}

    def on_slow(moment: str, done: int) -> None:
        if moment in ("measure", "stalled", "stop"):
            moments[moment] = Moment(probe.rss_bytes(server.pid), server.metrics())

    slow_numbers = {
        "stall_ms": int(options.stall * 1000),
        "rate": max(1, int(options.slow * MESSAGES_EACH / options.stall)),
        "payload_bytes": PAYLOAD_BYTES,
        "drain_ms": 30_000,
    }
    beside = Beside(stage, others, options, slow_numbers, on_slow)

    def on_moment(moment: str, done: int) -> None:
        if moment == "arrived":
            beside.start()
        stage.progress("messages beside slow consumers", done)

    try:
        result = load(server, live, timed, numbers, on_moment)
    finally:
        beside.join()
    waited = beside.result()
    refuse([*result["faults"], *waited["faults"]], server)
    return {
        "name": "slow",
        **client_figures(result),
        **percentiles(calm["histograms"].get("delivered", ()), "calm_"),
        **slow_figures(waited, moments["measure"], moments["stalled"], moments["stop"], options.slow),
        "configuration": stage.configuration(options, {**numbers, **{f"slow_{k}": v for k, v in slow_numbers.items()}}),
        "histograms_ns": result["histograms"],
    }


def slow_figures(waited: dict[str, Any], before: Moment, stalled: Moment, after: Moment, count: int) -> dict[str, Any]:
    """What the slow ones cost, and what became of them."""
    store = stalled.store - before.store
    grown = {name: after.metrics.get(name, 0.0) - before.metrics.get(name, 0.0) for name in (PAUSED, REWINDS)}
    return {
        "slow": count,
        "slow_messages": waited["counts"]["delivered_total"],
        "growth_kb_per_slow": round((stalled.rss - before.rss - store) / count / 1024, 1),
        "store_growth_mb": round(store / 1e6, 1),
        "pump_pauses": int(grown[PAUSED]),
        "rewinds": int(grown[REWINDS]),
        "closed": waited["counts"].get("closed", 0),
        **percentiles(waited["histograms"].get("caught_up", ()), "slow_caught_up_"),
    }
