"""kill -9 of the real server under load that never stops, round after round.

    python -m tests.chaos.kill --rounds 100 [--seed 1]

A round is one kill: most of them a random moment after the server is ready, the rest in the middle of its start and
recovery. Roaming devices are killed too. After the last round everybody falls silent, everything outstanding must
arrive, and the ledger is judged. Exit code 0 only when nothing is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from iris.store import check, open_store
from iris_sdk.ids import user_from_text
from tests.chaos.crowd import SETTLE_S, Crowd, wait
from tests.chaos.ledger import Ledger
from tests.support.server import Server, serving

IN_START = 0.3  # this part of the kills meets a server that is starting
START_S = 2.0  # a start takes about so long: kills in it are spread over this
OPEN_S = 0.15  # and the recovery within it about so long
LIFE_S = (0.1, 2.0)  # how long a server lives that was ready
SETTINGS = {"limits.logins_per_address_per_minute_max": 100_000}  # everybody joins from one address


@dataclass
class Tally:
    """What the rounds did."""

    kills: int = 0
    in_start: int = 0
    resent: int = 0


def log_of(store: Path) -> int:
    """Which file is RocksDB's log of words: an open for writing begins another one. 0 for none."""
    try:
        return (store / "rocks" / "LOG").stat().st_ino
    except OSError:
        return 0


async def kill_in_start(server: Server, seconds: float, *, opening: bool) -> None:
    """Start, and kill so many seconds later; with `opening` so many after the store began to open, in its recovery."""
    loop = asyncio.get_running_loop()
    old, log = server.process, log_of(server.data / "store")
    starting = loop.run_in_executor(None, server.start)
    while server.process is old or (opening and log_of(server.data / "store") == log and not starting.done()):
        await wait(0.001)
    await wait(seconds)
    await loop.run_in_executor(None, server.kill)
    with suppress(AssertionError):  # it ended before it was ready, which is what was wanted
        await starting


async def rounds(server: Server, crowd: Crowd, count: int, chance: random.Random, tally: Tally) -> None:
    """`count` kills; the server runs afterwards."""
    loop = asyncio.get_running_loop()
    for number in range(1, count + 1):
        ledger, began = crowd.ledger, time.monotonic()
        accepted, shown = len(ledger.accepted), ledger.shown
        moment = chance.uniform(*LIFE_S)
        how = f"{moment:.2f} s after it was ready"
        in_start = chance.random() < IN_START
        await wait(moment)
        tally.resent += crowd.under_way
        if in_start:
            await loop.run_in_executor(None, server.kill)
            opening = chance.random() < 0.7
            moment = chance.uniform(0, OPEN_S if opening else START_S)
            how = f"{moment:.2f} s into its {'recovery' if opening else 'start'}"
            await kill_in_start(server, moment, opening=opening)
            tally.in_start += 1
            number_of_kills = 2
        else:
            await loop.run_in_executor(None, server.kill)
            number_of_kills = 1
        tally.kills += number_of_kills
        await loop.run_in_executor(None, server.start)
        crowd.check_tasks()
        if crowd.roamers and chance.random() < 0.3:
            roamer = chance.choice(crowd.roamers)
            await roamer.kill()
            await roamer.start()
            how += f", {roamer.device.name} too"
        print(
            f"round {number:3}/{count}: killed {how}; accepted {len(ledger.accepted):6}"
            f" (+{len(ledger.accepted) - accepted}), shown {ledger.shown:7} (+{ledger.shown - shown}),"
            f" {time.monotonic() - began:.1f} s",
            flush=True,
        )


async def judge_mailboxes(path: Path, ledger: Ledger) -> list[str]:
    """Count what every mailbox of the stopped store has ever held: every message once, every own copy once."""
    wrong = []
    store = open_store(str(path))
    try:
        for user in sorted({device.user for device in ledger.devices}):
            found = await store.load_user(user_from_text(user))
            mine = {device.name for device in ledger.devices if device.user == user}
            wanted = sum(len(said) for (name, peer), said in ledger.sent.items() if name in mine or peer == user)
            for cursor in found.cursors:
                if cursor.pos != wanted or cursor.lost:
                    wrong.append(f"mailbox of {user}: {cursor.pos} rows for {wanted} messages ({cursor})")
    finally:
        store.close()
    return wrong


async def report(crowd: Crowd, store: Path, done: str) -> list[str]:
    """Judge a crowd that has settled and its stopped store; print what was done and what is wrong."""
    wrong = list(crowd.judge())
    checked = check(str(store))
    wrong += [f"store: {problem}" for problem in checked.problems]
    wrong += await judge_mailboxes(store, crowd.ledger)
    ledger = crowd.ledger
    print(
        f"{done}, {sum(roamer.kills for roamer in crowd.roamers)} kills of devices: "
        f"sent {sum(map(len, ledger.sent.values()))}, accepted {len(ledger.accepted)}, shown {ledger.shown}, "
        f"receipts {ledger.receipts}, epoch {checked.epoch}"
    )
    print("\n".join(f"WRONG: {what}" for what in wrong) or "nothing lost, nothing twice, all in order, receipts true")
    return wrong


async def hunt(server: Server, folder: Path, count: int, seed: int, settle_s: float = SETTLE_S) -> list[str]:
    """The rounds, then silence, then the judgement: what is wrong. The server is stopped afterwards."""
    tally, began = Tally(), time.monotonic()
    async with Crowd(server, folder, seed, people=6, devices=2, roaming=2) as crowd:
        await rounds(server, crowd, count, random.Random(seed), tally)
        await crowd.settle(settle_s)
        seconds = time.monotonic() - began
        assert server.stop() == 0
        done = (
            f"{tally.kills} kills of the server ({tally.in_start} in its start, {tally.resent} messages under way) "
            f"in {seconds:.0f} s"
        )
        return await report(crowd, server.data / "store", done)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tables", action="store_true", help="small tables: writes and compacts them all the time")
    options = parser.parse_args()
    variant: dict[str, object] = {"module": "tests.chaos.variant", "environment": {"VARIANT": "small"}}
    with (
        tempfile.TemporaryDirectory(prefix="iris-kill-") as name,
        serving(Path(name) / "data", settings=SETTINGS, **(variant if options.tables else {})) as server,
    ):
        wrong = asyncio.run(hunt(server, Path(name), options.rounds, options.seed))
        if wrong:
            print("".join(server.lines[-60:]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
