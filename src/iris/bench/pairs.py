"""Pairs that exchange messages: half of the users send to the other half, each message with its receipt."""

from __future__ import annotations

from typing import Any

from iris.bench.errors import BenchError
from iris.bench.options import Options
from iris.bench.report import per, percentiles
from iris.bench.stage import Sample, Stage, load, refuse

ACCEPTED = 'iris_messages_total{kind="accepted"}'


def pairs(stage: Stage, options: Options) -> dict[str, Any]:
    """Throughput, latency, server CPU per message."""
    server = stage.server
    people = stage.take(2 * options.pairs)
    stage.restart()
    samples: dict[str, Sample] = {}

    def on_moment(moment: str, done: int) -> None:
        if moment in ("measure", "stop"):
            samples[moment] = stage.sample(metrics_first=moment == "measure")
        stage.progress("messages" if "measure" in samples else "warming up", done)

    numbers = message_numbers(options)
    result = load(server, people, options, numbers, on_moment)
    after = server.metrics()
    faults = list(result["faults"])
    if after.get(ACCEPTED) != result["counts"]["accepted_total"]:
        faults.append(f"the server counts {after.get(ACCEPTED)} accepted messages, the clients {result['counts']}")
    refuse(faults, server)
    return {
        "name": f"pairs-{options.pairs}-{pace(options)}",
        **message_figures(result, samples["measure"], samples["stop"]),
        "configuration": stage.configuration(options, numbers),
        "histograms_ns": result["histograms"],
    }


def pace(options: Options) -> str:
    """The part of a scenario's name that says how messages are sent."""
    return f"r{options.rate}" if options.rate else f"w{options.window}"


def message_numbers(options: Options) -> dict[str, int]:
    """What the load is told for pairs."""
    return {
        "pairs": 1,
        "window": options.window,
        "rate": options.rate,
        "payload_bytes": options.payload,
        "warm_ms": int(options.warm * 1000),
        "measure_ms": int(options.seconds * 1000),
        "ack_delay_ms": options.ack_delay_ms,
    }


def message_figures(result: dict[str, Any], before: Sample, after: Sample) -> dict[str, Any]:
    """Figures per message from what the clients saw and what the server did meanwhile."""
    seen = client_figures(result)
    accepted = seen["messages"]
    clocks = after.cpu - before.cpu
    ticks = clocks.user + clocks.system
    grown = {name: after.metrics[name] - before.metrics.get(name, 0.0) for name in after.metrics}
    syncs = int(grown["iris_store_syncs_total"])
    flushes = None if after.flushes is None or before.flushes is None else after.flushes - before.flushes
    return {
        "server_cpu_us_per_msg": per(clocks.total, accepted),
        **{f"{name}_cpu_us_per_msg": per(spent, accepted) for name, spent in sorted(clocks.threads.items())},
        "system_share": round(clocks.system / ticks, 3) if ticks else None,
        **seen,
        "fsyncs": syncs,
        "msgs_per_fsync": round(accepted / syncs, 2) if syncs else None,
        "fsync_mean_ms": round(grown["iris_store_fsync_seconds_total"] * 1e3 / syncs, 3) if syncs else None,
        "rows_per_msg": round(grown["iris_store_rows_total"] / accepted, 2),
        "store_write_us_per_msg": per(grown["iris_store_write_seconds_total"], accepted),
        "reads_per_msg": round(grown["iris_engine_reads_total"] / accepted, 2),
        "writes_per_msg": round(grown["iris_engine_writes_total"] / accepted, 2),
        "disk_flushes": flushes,
        "gc_us_per_msg": per(grown["iris_gc_pause_seconds_sum"], accepted),
    }


def client_figures(result: dict[str, Any]) -> dict[str, Any]:
    """What the clients saw. Raises BenchError when that is nothing."""
    counts, histograms = result["counts"], result["histograms"]
    accepted = counts.get("accepted", 0)
    if not accepted:
        refused = counts.get("refused", 0)
        why = f"{refused} Sends were refused: take more --pairs" if refused else "give it more --seconds"
        raise BenchError(f"no message was accepted in the measured time: {why}")
    seconds = histograms["measured"][-1][0] / 1e9
    return {
        "msgs_per_s": round(accepted / seconds, 1),
        "messages": accepted,
        "seconds": round(seconds, 3),
        **percentiles(histograms.get("accepted", ()), "accepted_"),
        **percentiles(histograms.get("delivered", ())),
        **percentiles(histograms.get("receipted", ()), "receipt_"),
        **percentiles(histograms.get("login", ()), "login_"),
        "receipts_per_msg": round(counts.get("receipts", 0) / accepted, 3),
        "sent_total": counts["sent_total"],
        "accepted_total": counts["accepted_total"],
        "delivered_total": counts["delivered_total"],
        "refused": counts.get("refused", 0),
        "dropped": counts.get("dropped", 0),
    }
