"""The command line of `iris bench`, and what is chosen with it."""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

from iris.bench import probe
from iris.bench.errors import BenchError
from iris.bench.options import Options
from iris.bench.relay import KINDS
from iris.bench.scale import CURVES, QUICK_SCALE, ScaleSizes
from iris.bench.suite import Sizes, quick_options
from iris.core.catalogue import Limits

WHAT = (
    "all",
    "pairs",
    "floor",
    "idle",
    "login",
    "catch-up",
    "storm",
    "presence",
    "devices",
    "slow",
    "mixed-day",
    "scale",
)
FEW_PAIRS = {"devices": 25, "slow": 25, "scale": 50}
HOLD_SECONDS_MAX = 3600
STORED_GB_MAX = 10_000
PEOPLE_MIN = 10  # of a mixed day
FILES_BASE = 256  # open files of this process besides the connections


def parser() -> argparse.ArgumentParser:
    """Of the whole command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--quick", action="store_true", help="a small run, to see that it works")
    common.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    common.add_argument("--folder", type=Path, help="where the server's temporary data goes; a folder on a disk")
    common.add_argument("--threads", type=_whole, default=1, help="threads of the load (default 1)")
    common.add_argument("--concurrency", type=_whole, default=32, help="connections being opened at once (default 32)")
    whole = argparse.ArgumentParser(
        prog="iris bench",
        description="Measure `iris serve` as shipped: a fresh server on loopback, with TLS and its own data folder.",
    )
    commands = whole.add_subparsers(dest="what", required=True, metavar=" | ".join(WHAT))
    every = commands.add_parser("all", parents=[common], help="every scenario, with the floor in the same run")
    every.add_argument("--pairs", type=_whole, help="pairs of the small scenarios (default 100)")
    every.add_argument("--many-pairs", type=_whole, help="pairs of the large one (default 5000)")
    every.add_argument("--seconds", type=float, help="measured time of each (default 5)")
    every.add_argument("--connections", type=_whole, help="idle ones (default 10000)")
    every.add_argument("--users", type=_whole, help="who log in (default 500)")
    every.add_argument("--rounds", type=_whole, help="how often each logs in (default 6)")
    every.add_argument("--backlog", type=_whole, help="messages that wait for a device (default 10000)")
    every.add_argument("--watchers", type=_whole, help="users of the presence storm (default 1000)")
    every.add_argument("--day-users", type=_people, metavar="USERS", help="people of the mixed day (default 400)")
    _add_pairs(commands.add_parser("pairs", parents=[common], help="1:1 messages with receipts"))
    relay = commands.add_parser("floor", parents=[common], help="the same with a relay that does nothing else")
    _add_pairs(relay)
    relay.add_argument("--relay", choices=KINDS, help="what stands in for the server (default tls)")
    memory = commands.add_parser("idle", parents=[common], help="memory per idle connection")
    memory.add_argument("--connections", type=_whole, help="how many (default 10000)")
    memory.add_argument(
        "--hold",
        type=_seconds,
        metavar="SECONDS",
        help="of silence (default 2; CPU from 20)",
    )
    logins = commands.add_parser("login", parents=[common], help="CPU per log-in")
    logins.add_argument("--users", type=_whole, help="how many (default 500)")
    logins.add_argument("--rounds", type=_whole, help="how often each logs in (default 6)")
    logins.add_argument("--resume", action="store_true", help="take up TLS sessions instead of full handshakes")
    late = commands.add_parser("catch-up", parents=[common], help="a device comes to the messages that wait for it")
    late.add_argument("--late", type=_whole, metavar="DEVICES", help="how many come at once (default 2)")
    late.add_argument("--backlog", type=_whole, metavar="MESSAGES", help="that wait for each (default 10000)")
    storms = commands.add_parser("storm", parents=[common], help="log-ins without end beside pairs that talk")
    storms.add_argument("--pairs", type=_whole, help="that talk (default 100)")
    storms.add_argument("--rate", type=_whole, default=1000, help="of their messages, per second (default 1000)")
    storms.add_argument("--users", type=_whole, help="who log in (default 500)")
    storms.add_argument("--seconds", type=float, help="measured time (default 5)")
    _add_people(commands, common)
    curves = commands.add_parser("scale", parents=[common], help="cost as connections, a mailbox, data and time grow")
    curves.add_argument("--curves", type=_curves, metavar="NAME[,NAME…]", help=f"of {', '.join(CURVES)} (default all)")
    curves.add_argument("--connections", type=_whole, help="idle ones at most (default as many as the machine holds)")
    curves.add_argument("--backlog", type=_whole, metavar="MESSAGES", help="in one mailbox (default 100000)")
    curves.add_argument("--stored-gb", type=_gigabytes, metavar="GB", help="of data at most (default 10)")
    curves.add_argument("--minutes", type=float, help="of sustained load (default 10)")
    curves.add_argument("--pairs", type=_whole, help="that talk (default 50)")
    curves.add_argument("--rate", type=_whole, default=1000, help="of their messages, per second (default 1000)")
    curves.add_argument("--seconds", type=float, help="measured time of a point (default 5)")
    return whole


def _add_people(commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser) -> None:
    told = commands.add_parser("presence", parents=[common], help="users go and come back, and their watchers are told")
    told.add_argument("--watchers", type=_whole, metavar="USERS", help="who watch each other (default 1000)")
    told.add_argument("--watches", type=_whole, help="how many each of them watches (default 20)")
    many = commands.add_parser("devices", parents=[common], help="messages between users with several devices")
    many.add_argument("--pairs", type=_whole, help="users who send, each with one who receives (default 25)")
    many.add_argument("--devices", type=_devices, help="of each user (default 4)")
    many.add_argument("--window", type=_whole, help="messages a sender may have unanswered (default 1)")
    many.add_argument("--seconds", type=float, help="measured time (default 5)")
    late = commands.add_parser("slow", parents=[common], help="users who take nothing, beside pairs that talk")
    late.add_argument("--slow", type=_whole, metavar="USERS", help="who take nothing (default 20)")
    late.add_argument("--stall", type=_seconds, metavar="SECONDS", help="for how long (default 20)")
    late.add_argument("--pairs", type=_whole, help="that talk (default 25)")
    late.add_argument("--rate", type=_whole, default=500, help="of their messages, per second (default 500)")
    late.add_argument("--seconds", type=float, help="measured time without slow ones (default 5)")
    day = commands.add_parser("mixed-day", parents=[common], help="what people do in a day, compressed")
    day.add_argument("--day-users", type=_people, metavar="USERS", help="how many people (default 400, 10 at least)")
    day.add_argument("--day-seconds", type=float, metavar="SECONDS", help="measured time (default 12)")


def _add_pairs(pairs: argparse.ArgumentParser) -> None:
    pairs.add_argument("--pairs", type=_whole, help="senders, each with one receiver (default 100)")
    pairs.add_argument(
        "--window",
        type=_wholes,
        default=[1, 8],
        metavar="W[,W…]",
        help="messages a sender may have unanswered; one run for each (default 1,8)",
    )
    pairs.add_argument("--rate", type=_whole, help="messages per second in all, by the clock, instead of a window")
    pairs.add_argument("--seconds", type=float, help="measured time of a run (default 5)")
    pairs.add_argument("--payload", type=_whole, default=128, metavar="BYTES", help="of a message (default 128)")
    pairs.add_argument(
        "--ack-delay",
        type=int,
        default=20,
        metavar="MS",
        help="how long a sender's Ack of receipts waits for a Send to travel with (default 20)",
    )


def chosen_options(chosen: argparse.Namespace) -> list[Options]:
    """One for each run. Raises BenchError."""
    folder = probe.disk_folder() if chosen.folder is None else chosen.folder.resolve()
    if not folder.is_dir():
        raise BenchError(f"there is no folder {folder}")
    options = Options(folder)
    if chosen.what in FEW_PAIRS:
        options = replace(options, pairs=FEW_PAIRS[chosen.what])
    if chosen.quick:
        options = quick_options(options)
        if chosen.what != "all":
            options = replace(options, pairs=min(20, options.pairs), connections=200, users=50, rounds=2)
    given = {field.name: value for field in fields(options) if (value := getattr(chosen, field.name, None)) is not None}
    windows = given.pop("window", None)
    given.pop("folder", None)
    options = replace(options, ack_delay_ms=getattr(chosen, "ack_delay", options.ack_delay_ms), **given)
    if isinstance(windows, int):
        options = replace(options, window=windows)
    if chosen.what == "scale":
        return [options]  # it takes all the open files that it may
    _raise_file_limit(connections_of(chosen.what, options, getattr(chosen, "many_pairs", None) or Sizes().many_pairs))
    if not isinstance(windows, list) or options.rate:
        return [options]
    return [replace(options, window=window) for window in windows]


def connections_of(what: str, options: Options, many_pairs: int) -> int:
    """How many connections a scenario holds at most at one time. many_pairs: those of the largest scenario of `all`."""
    pairs = 2 * options.pairs
    held = {
        "pairs": pairs,
        "floor": pairs,
        "idle": options.connections,
        "login": options.users,
        "catch-up": 2 * options.late,
        "storm": pairs + options.users,
        "presence": options.watchers,
        "devices": pairs * options.devices,
        "slow": pairs + 2 * options.slow,
        "mixed-day": 2 * options.day_users,
    }
    if what != "all":
        return held[what]
    return max(2 * many_pairs, *(held[name] for name in held if name != "devices"))  # `all` has few pairs of those


def chosen_scale(chosen: argparse.Namespace) -> ScaleSizes:
    """How far the curves go."""
    sizes = QUICK_SCALE if chosen.quick else ScaleSizes()
    if chosen.curves:
        sizes = replace(sizes, curves=chosen.curves)
    if chosen.connections:
        fewer = tuple(count for count in sizes.connections if count < chosen.connections)
        sizes = replace(sizes, connections=(*fewer, chosen.connections))
    if chosen.backlog:
        sizes = replace(sizes, backlog=chosen.backlog)
    if chosen.stored_gb:
        less = tuple(size for size in sizes.stored_gb if size < chosen.stored_gb)
        sizes = replace(sizes, stored_gb=(*less, chosen.stored_gb))
    if chosen.minutes:
        sizes = replace(sizes, window_s=60 * chosen.minutes / sizes.windows)
    return sizes


def _raise_file_limit(connections: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = connections + FILES_BASE
    if hard != resource.RLIM_INFINITY and need > hard:
        raise BenchError(f"{connections} connections need {need} open files, and the limit is {hard} (ulimit -Hn)")
    if need > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on")
    return number


def _curves(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not set(names) <= set(CURVES):
        raise argparse.ArgumentTypeError(f"of {', '.join(CURVES)}")
    return names


def _people(text: str) -> int:
    number = _whole(text)
    if number < PEOPLE_MIN:
        raise argparse.ArgumentTypeError(f"at least {PEOPLE_MIN}")
    return number


def _devices(text: str) -> int:
    number = _whole(text)
    if number > Limits().devices_max:
        raise argparse.ArgumentTypeError(f"at most {Limits().devices_max}, the limit of a user")
    return number


def _up_to(most: float, unit: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        number = float(text)
        if not 0 < number <= most:
            raise argparse.ArgumentTypeError(f"{unit}, above 0 and at most {most}")
        return number

    return parse


_gigabytes = _up_to(STORED_GB_MAX, "GB")
_seconds = _up_to(HOLD_SECONDS_MAX, "seconds")


def _wholes(text: str) -> list[int]:
    return [_whole(part) for part in text.split(",")]
