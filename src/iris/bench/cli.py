"""`iris bench all` and its scenarios: runs what the command line asks for, prints the figures."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from iris.bench.arguments import chosen_options, chosen_scale, parser
from iris.bench.catch_up import catch_up
from iris.bench.curves import curve_table
from iris.bench.devices import devices
from iris.bench.errors import BenchError
from iris.bench.floor import floor
from iris.bench.idle import idle
from iris.bench.login import login
from iris.bench.mixed_day import mixed_day
from iris.bench.options import Options
from iris.bench.pairs import pairs
from iris.bench.presence import presence
from iris.bench.report import Progress, document, table
from iris.bench.scale import scale
from iris.bench.server import BenchServer
from iris.bench.slow import slow
from iris.bench.stage import Stage
from iris.bench.storm import storm
from iris.bench.suite import QUICK, Sizes, suite

SCENARIOS: dict[str, Callable[[Stage, Options], dict[str, Any]]] = {
    "pairs": pairs,
    "idle": idle,
    "login": login,
    "catch-up": catch_up,
    "storm": storm,
    "presence": presence,
    "devices": devices,
    "slow": slow,
    "mixed-day": mixed_day,
}


def main(args: Sequence[str]) -> int:
    """Run `iris bench` with these arguments; the exit code: 0 measured, 1 failed, 2 wrong usage."""
    try:
        chosen = parser().parse_args(args)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    progress = Progress()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server must not outlive this process
    try:
        found = _found(chosen, progress)
    except BenchError as error:
        progress.clear()
        sys.stderr.write(f"iris: {error}\n{error.detail}\n")
        return 1
    except KeyboardInterrupt:
        progress.clear()
        return 130
    progress.clear()
    if chosen.json:
        sys.stdout.write(json.dumps(document(found)) + "\n")
    else:
        show = curve_table if chosen.what == "scale" else table
        sys.stdout.writelines(show(scenario) for scenario in found)
    for scenario in found:
        if "error" in scenario:
            sys.stderr.write(f"iris: {scenario['name']}: {scenario['error']}\n{scenario['detail']}\n")
    return int(any("error" in scenario for scenario in found))


def _found(chosen: argparse.Namespace, progress: Progress) -> list[dict[str, Any]]:
    options = chosen_options(chosen)
    if chosen.what == "scale":
        return scale(options[0], chosen_scale(chosen), progress)
    if chosen.what != "all":
        return [_play(chosen.what, one, progress) for one in options]
    sizes = QUICK if chosen.quick else Sizes()
    if chosen.many_pairs is not None:
        sizes = replace(sizes, many_pairs=chosen.many_pairs)
    return suite(options[0], sizes, progress)


def _play(what: str, options: Options, progress: Progress) -> dict[str, Any]:
    """One scenario on a server of its own."""
    if what == "floor":
        return floor(options, progress)
    with BenchServer(options.folder, {}) as server:
        found = SCENARIOS[what](Stage(server, progress), options)
        server.stop()
    return found
