"""Users with several devices: each message is a row for every device of the receiver and a copy for every one of the
sender."""

from __future__ import annotations

from typing import Any

from iris.bench.options import Options
from iris.bench.pairs import message_figures, message_numbers, pace
from iris.bench.report import per, percentiles
from iris.bench.stage import Sample, Stage, load, refuse


def devices(stage: Stage, options: Options) -> dict[str, Any]:
    """Server CPU for each message, and for each row that a device was sent."""
    server = stage.server
    people = stage.take_with_devices(2 * options.pairs, options.devices)
    stage.restart()
    samples: dict[str, Sample] = {}

    def on_moment(moment: str, done: int) -> None:
        if moment in ("measure", "stop"):
            samples[moment] = stage.sample(metrics_first=moment == "measure")
        stage.progress("messages to devices", done)

    numbers = {**message_numbers(options), "pairs": 0, "devices": 1}
    result = load(server, people, options, numbers, on_moment)
    refuse(result["faults"], server)
    figures = message_figures(result, samples["measure"], samples["stop"])
    rows = result["counts"].get("delivered", 0) + result["counts"].get("copied", 0)
    spent = samples["stop"].cpu - samples["measure"].cpu
    return {
        "name": f"devices-{options.devices}-{pace(options)}",
        "devices": options.devices,
        "users": 2 * options.pairs,
        **figures,
        "rows_to_devices": rows,
        "server_cpu_us_per_delivery": per(spent.total, rows),
        **percentiles(result["histograms"].get("copied", ()), "copied_"),
        "configuration": stage.configuration(options, numbers),
        "histograms_ns": result["histograms"],
    }
