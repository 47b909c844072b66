"""A storm of log-ins beside pairs that talk: what the live ones feel of it, and how many get in."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from iris.bench.errors import BenchError
from iris.bench.options import Options
from iris.bench.pairs import client_figures, message_numbers
from iris.bench.people import Person
from iris.bench.report import Rows, percentiles
from iris.bench.stage import Sample, Stage, load, refuse

STORM_CONCURRENCY = 64  # connections being opened at once, all the time


class _Crowd:
    """People who log in and leave again and again, in a thread of their own, until they are told to end."""

    def __init__(self, stage: Stage, people: Sequence[Person], options: Options) -> None:
        self.done = 0
        self.rounds: list[dict[str, Any]] = []
        self.error: BaseException | None = None
        self._ends = threading.Event()
        self._stage, self._people = stage, people
        self._options = replace(options, concurrency=STORM_CONCURRENCY)
        self._thread = threading.Thread(target=self._run, name="storm")

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """The round that is under way is the last."""
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        before = 0

        def on_moment(moment: str, done: int) -> None:
            self.done = before + done

        try:
            while not self._ends.is_set():
                self.rounds.append(load(self._stage.server, self._people, self._options, {}, on_moment))
                before = self.done
        except BaseException as error:  # it is raised again where figures are made
            self.error = error


def storm(stage: Stage, options: Options) -> dict[str, Any]:
    """Live pairs by the clock (`rate`), and beside them as many log-ins as the server takes."""
    server = stage.server
    people = stage.take(2 * options.pairs)
    crowd = _Crowd(stage, stage.borrow(options.users), options)
    stage.restart()
    samples: dict[str, Sample] = {}
    logins: dict[str, int] = {}

    def on_moment(moment: str, done: int) -> None:
        if moment == "arrived":
            crowd.start()
        elif moment in ("measure", "stop"):
            samples[moment] = stage.sample(metrics_first=moment == "measure")
            logins[moment] = crowd.done
        stage.progress("messages in a storm", done)

    numbers = message_numbers(options)
    try:
        result = load(server, people, options, numbers, on_moment)
    finally:
        crowd.end()
    if crowd.error is not None:
        raise BenchError(f"the storm ended early: {crowd.error}", server.output) from crowd.error
    refuse([*result["faults"], *(fault for played in crowd.rounds for fault in played["faults"])], server)
    seen = client_figures(result)
    clocks = samples["stop"].cpu - samples["measure"].cpu
    arrived = logins["stop"] - logins["measure"]
    before, after = samples["measure"].metrics, samples["stop"].metrics
    return {
        "name": "storm",
        **seen,
        "logins": arrived,
        "logins_per_s": round(arrived / seen["seconds"], 1),
        "storm_cpu_cores": round(clocks.total / seen["seconds"], 2),
        **percentiles(merged([played["histograms"].get("login", ()) for played in crowd.rounds]), "login_"),
        "fsyncs": int(after["iris_store_syncs_total"] - before["iris_store_syncs_total"]),
        "configuration": stage.configuration(options, {**numbers, "storm_concurrency": STORM_CONCURRENCY}),
        "histograms_ns": result["histograms"],
    }


def merged(histograms: Sequence[Rows]) -> list[tuple[int, int]]:
    """One histogram of several."""
    counts: dict[int, int] = {}
    for rows in histograms:
        for highest, count in rows:
            counts[highest] = counts.get(highest, 0) + count
    return sorted(counts.items())
