"""`iris bench all`: every scenario in one run, with the floor of what it measures taken beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from iris.bench.catch_up import catch_up
from iris.bench.devices import devices
from iris.bench.errors import BenchError
from iris.bench.floors import idle_beside_floor, login_beside_floor, paced_beside_floor, pairs_beside_floor
from iris.bench.mixed_day import mixed_day
from iris.bench.options import Options
from iris.bench.pairs import pace
from iris.bench.presence import presence
from iris.bench.report import Progress
from iris.bench.rounds import by_name
from iris.bench.server import BenchServer
from iris.bench.slow import slow
from iris.bench.stage import Stage
from iris.bench.storm import storm

Scenario = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What differs between a full run and a quick one. register_s: when it is over, fewer users must do.

    pairs_rounds: how often the scenarios of `pairs` are measured, in turns; a pace that is named again likewise.
    """

    pairs_rounds: int = 3
    many_pairs: int = 5000
    many_windows: tuple[int, ...] = (1, 8)
    register_s: float = 240.0
    storm_rate: int = 1000
    paced_percents: tuple[int, ...] = (10, 25, 50, 75, 50, 50)
    device_pairs: int = 25
    live_pairs: int = 25
    live_rate: int = 500


QUICK = Sizes(pairs_rounds=1, many_windows=(1,), register_s=90.0, paced_percents=(), device_pairs=10)


def quick_options(options: Options) -> Options:
    """Shorter, with the same pairs: the names of the scenarios, which scripts know, stay."""
    few = replace(options, seconds=2.0, warm=0.5, connections=1000, users=200, rounds=3)
    return replace(few, watchers=300, slow=5, stall=2.0, day_users=120, day_seconds=2.0)


def suite(options: Options, sizes: Sizes, progress: Progress) -> list[Scenario]:
    """All scenarios in turn, of those with several rounds the middle one. One that fails has its `error` instead of
    figures; the others go on.
    """
    with BenchServer(options.folder, {}) as server:
        stage = Stage(server, progress)
        # More of them wait longer for each other.
        many = replace(
            options, pairs=_register(stage, options, sizes), seconds=2 * options.seconds, warm=2 * options.warm
        )
        found: list[Scenario] = []
        for name, play in _plays(stage, options, sizes, many, found):
            found.append(outcome(name, play))
        server.stop()
    return by_name(found)


def _register(stage: Stage, options: Options, sizes: Sizes) -> int:
    """Make the users of all scenarios; how many pairs the largest can have. It can be fewer than asked for."""
    deadline = time.monotonic() + sizes.register_s
    plays = 2 * sizes.pairs_rounds + len(sizes.paced_percents) + 1  # of options.pairs; the last one is the storm
    few = 2 * plays * options.pairs + 2 * options.late + options.users
    few += 4 * sizes.live_pairs + 2 * options.slow + options.day_users
    stage.reserve(few)
    # Those of a second large scenario are made when it begins: more users in the store take more memory while idle.
    left = stage.reserve(few + max(2 * sizes.many_pairs, options.connections), deadline)
    return max(1, min(sizes.many_pairs, (left - few) // 2))


def _plays(
    stage: Stage, options: Options, sizes: Sizes, many: Options, found: list[Scenario]
) -> Iterator[tuple[str, Callable[[], Scenario]]]:
    # The first four only borrow users: no message may have reached them.
    yield "login", partial(login_beside_floor, stage, options)
    yield "login-resumed", partial(login_beside_floor, stage, replace(options, resume=True))
    idlers = replace(options, connections=min(options.connections, stage.left))
    yield "idle", partial(idle_beside_floor, stage, idlers)
    yield "presence", partial(presence, stage, replace(options, watchers=min(options.watchers, stage.left)))
    few = [replace(options, window=1), replace(options, window=8)]
    for chosen in [*sizes.pairs_rounds * few, *(replace(many, window=window) for window in sizes.many_windows)]:
        yield f"pairs-{chosen.pairs}-{pace(chosen)}", partial(pairs_beside_floor, stage, chosen)
    names = {f"pairs-{chosen.pairs}-{pace(chosen)}" for chosen in few}
    full = max((one.get("msgs_per_s", 0.0) for one in by_name(found) if one["name"] in names), default=0.0)
    for percent in sizes.paced_percents if full else ():
        rate = max(1, int(full * percent / 100))
        yield f"paced-{percent}", partial(paced_beside_floor, stage, replace(options, rate=rate), percent)
    yield "catch-up", partial(catch_up, stage, options)
    yield "storm", partial(storm, stage, replace(options, rate=sizes.storm_rate))
    yield f"devices-{options.devices}-w1", partial(devices, stage, replace(options, pairs=sizes.device_pairs))
    yield "slow", partial(slow, stage, replace(options, pairs=sizes.live_pairs, rate=sizes.live_rate))
    yield "mixed-day", partial(mixed_day, stage, options)


def outcome(name: str, play: Callable[[], Scenario]) -> Scenario:
    """What a scenario gives; its error when it failed."""
    try:
        return play()
    except BenchError as error:
        return {"name": name, "error": str(error), "detail": error.detail}
