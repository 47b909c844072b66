"""A presence storm: a share of the users goes away and comes back together, and their watchers are told."""

from __future__ import annotations

from typing import Any

from iris.bench import probe
from iris.bench.options import Options
from iris.bench.report import per, percentiles
from iris.bench.stage import Stage, load, refuse

AWAY_EVERY = 4  # one user in so many goes


def presence(stage: Stage, options: Options) -> dict[str, Any]:
    """Each user watches the ones behind it in a ring. How long until every watcher knows, and CPU for each telling."""
    server = stage.server
    people = stage.borrow(options.watchers)
    stage.restart()
    clocks: dict[str, probe.Cpu] = {}

    def on_moment(moment: str, done: int) -> None:
        if moment in ("arrived", "measure", "gone", "stop"):
            clocks[moment] = probe.cpu(server.pid)
        stage.progress("presence told", done)

    numbers = {"watches": min(options.watches, len(people) - 1), "away_every": AWAY_EVERY}
    result = load(server, people, options, numbers, on_moment)
    refuse(result["faults"], server)
    counts, histograms = result["counts"], result["histograms"]
    told = counts["offline"] + counts["online"]
    asked = len(people) * numbers["watches"]  # the answers to the first Watch of each
    storm = clocks["stop"] - clocks["measure"]
    return {
        "name": "presence",
        "users": len(people),
        "watches": numbers["watches"],
        "away": -(-len(people) // AWAY_EVERY),
        "told": told,
        "server_cpu_us_per_told": per(storm.total, told),
        "offline_cpu_us_per_told": per((clocks["gone"] - clocks["measure"]).total, counts["offline"]),
        "watch_cpu_us_per_told": per((clocks["measure"] - clocks["arrived"]).total, asked),
        **percentiles(histograms["offline"], "offline_"),
        **percentiles(histograms["online"], "online_"),
        **percentiles(histograms["login"], "login_"),
        "configuration": stage.configuration(options, numbers),
        "histograms_ns": histograms,
    }
