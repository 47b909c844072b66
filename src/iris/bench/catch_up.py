"""A device that was offline: messages wait for it, then it comes and takes them all."""

from __future__ import annotations

from typing import Any

from iris.bench.errors import BenchError
from iris.bench.options import Options
from iris.bench.report import per, percentiles
from iris.bench.stage import Sample, Stage, load, refuse


def catch_up(stage: Stage, options: Options) -> dict[str, Any]:
    """From the device's connect to its last message: server CPU for each message, and how long it takes."""
    server = stage.server
    people = stage.take(2 * options.late)
    stage.restart()
    samples: dict[str, Sample] = {}

    def on_moment(moment: str, done: int) -> None:
        if moment in ("measure", "stop"):
            samples[moment] = stage.sample(metrics_first=moment == "measure")
        stage.progress("catching up" if "measure" in samples else "sending to who is away", done)

    numbers = {"backlog": options.backlog, "payload_bytes": options.payload}
    result = load(server, people, options, numbers, on_moment)
    refuse(result["faults"], server)
    taken = result["counts"]["delivered_total"]
    if not taken:
        raise BenchError("nobody has taken a message", server.output)
    clocks = samples["stop"].cpu - samples["measure"].cpu
    seconds = result["histograms"]["measured"][-1][0] / 1e9
    syncs = samples["stop"].metrics["iris_store_syncs_total"] - samples["measure"].metrics["iris_store_syncs_total"]
    return {
        "name": "catch-up",
        "devices": options.late,
        "backlog": options.backlog,
        "server_cpu_us_per_msg": per(clocks.total, taken),
        **{f"{name}_cpu_us_per_msg": per(spent, taken) for name, spent in sorted(clocks.threads.items())},
        "caught_up_per_s": round(taken / seconds, 1),
        **percentiles(result["histograms"]["caught_up"], "caught_up_"),
        **percentiles(result["histograms"]["login"], "login_"),
        "fsyncs": int(syncs),
        "messages": taken,
        "configuration": stage.configuration(options, numbers),
        "histograms_ns": result["histograms"],
    }
