"""A mixed day: people who come and go, chat in bursts, type, read, watch each other and catch up; compressed.

MODEL is all that is assumed of them. Times are those of the people; the load lets them pass COMPRESSION times faster.
What the server times itself is not compressed: offline is told 10 s after the last device has gone, and pings
come every 10 s, so a compressed day has fewer of both than a real one.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from iris.bench.options import Options
from iris.bench.pairs import message_figures
from iris.bench.people import Person
from iris.bench.report import percentiles
from iris.bench.stage import Sample, Stage, load, refuse

MODEL = {
    # From RFC-001, 9.1, as `iris capacity` takes it: src/iris/capacity/costs.toml.
    "online_per_mille": 100,  # of the users, at the peak
    "messages_per_user_day": 50,
    "peak_per_mille": 3456,  # of the average rate: with 50 a day it gives 10 million a second for 5 billion users
    # Assumed: nobody has measured people.
    "session_ms": 300_000,  # mean time from coming online to going
    "chat_messages": 4,  # in one burst; who is online answers in turn, else all come from one side
    "chat_gap_ms": 15_000,  # from one of them to the next
    "typing_ms": 3_000,  # shown before each
    "read_after_ms": 4_000,  # from Deliver to Read
    "contacts": 20,  # each user has, and watches
    "online_partner_percent": 50,  # of chats, begun because the other one is online
    "second_device_percent": 50,  # of sessions, in which the second device of those who have one is on too
}
TWO_DEVICES_PERCENT = 30  # of the users have a second device
COMPRESSION = 240
SEED = 1


def mixed_day(stage: Stage, options: Options) -> dict[str, Any]:
    """Server CPU of everything that people do, divided by the messages they send meanwhile."""
    server = stage.server
    people = _people(stage, options.day_users)
    stage.restart()
    samples: dict[str, Sample] = {}

    def on_moment(moment: str, done: int) -> None:
        if moment in ("measure", "stop"):
            samples[moment] = stage.sample(metrics_first=moment == "measure")
        stage.progress("messages of a day", done)

    warm = max(options.warm, 1.5 * MODEL["session_ms"] / COMPRESSION / 1000)
    timed = replace(options, seconds=options.day_seconds, warm=warm)
    numbers = {
        **MODEL,
        "compression": COMPRESSION,
        "seed": SEED,
        "payload_bytes": options.payload,
        "warm_ms": int(timed.warm * 1000),
        "measure_ms": int(timed.seconds * 1000),
        "drain_ms": 30_000,
    }
    result = load(server, people, timed, numbers, on_moment)
    refuse(result["faults"], server)
    figures = message_figures(result, samples["measure"], samples["stop"])
    return {
        "name": "mixed-day",
        "users": options.day_users,
        "devices": len(people),
        # Most receipts wait for somebody to come online: their times say nothing of the server.
        **{name: figure for name, figure in figures.items() if not name.startswith("receipt_")},
        **day_figures(result["counts"], figures["server_cpu_us_per_msg"]),
        **percentiles(result["histograms"].get("copied", ()), "copied_"),
        "configuration": {**stage.configuration(options, numbers), "two_devices_percent": TWO_DEVICES_PERCENT},
        "histograms_ns": result["histograms"],
    }


def day_figures(counts: dict[str, int], cpu_us_per_msg: float) -> dict[str, Any]:
    """What goes with a message, and the CPU of a user's day."""
    messages = counts["accepted"]
    late = counts.get("delivered_late", 0) + counts.get("copied_late", 0)
    rows = late + counts.get("delivered", 0) + counts.get("copied", 0)
    kinds = ("logins", "typings", "presences", "read_syncs")
    return {
        "server_cpu_ms_per_user_day": round(cpu_us_per_msg * MODEL["messages_per_user_day"] / 1000, 2),
        **{f"{kind}_per_msg": round(counts.get(kind, 0) / messages, 3) for kind in kinds},
        "late_share": round(late / rows, 3) if rows else None,
    }


def _people(stage: Stage, users: int) -> list[Person]:
    """Users with one device and with two, mixed: contacts are those who stand next to each other."""
    two = users * TWO_DEVICES_PERCENT // 100
    pairs = stage.take_with_devices(two, 2) if two else []
    groups = [[person] for person in stage.take(users - two)]
    groups += [pairs[at : at + 2] for at in range(0, len(pairs), 2)]
    random.Random(SEED).shuffle(groups)
    return [person for group in groups for person in group]
