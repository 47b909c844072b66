"""Power cuts of the whole server under load, on a disk that forgets what was not flushed.

    python -m tests.chaos.power --cuts 20 [--creations 10] [--seed 1]     needs root

The data folder lies on ext4 on a loop device on cache_disk.py. At a cut the disk keeps what was flushed, and of the
rest any sectors, old or new, by seed; the server is killed, the file system mounted anew, `check` must find the store
sound, and the server must start and go on. The clients are not cut: they hold it against what they were told. Some cuts
meet a server that is starting. Every other life has small tables (variant.py). `--creations` cuts the very first start,
at its first flush, its seventh, and so on.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from iris.store import StoreError, check
from iris.store.folder import READY, read_identity
from tests.chaos.cache_disk import STYLES
from tests.chaos.crowd import Crowd, wait
from tests.chaos.kill import SETTINGS, report
from tests.chaos.loop import Cut, PowerDisk, why_not
from tests.support.server import Server

IN_START = 0.25  # this part of the cuts meets a server that is starting
START_FLUSHES = 40  # in its first so many flushes: recovery, the raised epoch and the first load
LIFE_S = (0.3, 2.5)
CUT_S = 8.0  # a flush comes within this, or the power goes without one


def server_on(disk: PowerDisk, variant: str = "") -> Server:
    """A server whose data folder is on that disk; `variant` as in variant.py."""
    server = Server(disk.top / "data", settings=SETTINGS)
    be(server, variant)
    return server


def be(server: Server, variant: str) -> None:
    """From its next start on the server is that variant; "" is iris as shipped."""
    server.module = "tests.chaos.variant" if variant else "iris"
    server.environment = {"VARIANT": variant} if variant else {}


async def cut(disk: PowerDisk, server: Server, seed: int, style: str, flushes: int) -> Cut:
    """The power goes in the middle of that flush from now; the server is killed and the disk is on again after it."""
    loop = asyncio.get_running_loop()
    disk.cut_at(seed, style, flushes)
    fallback = loop.call_later(CUT_S, disk.say, "cut", seed, style)
    left = await loop.run_in_executor(None, disk.was_cut)
    fallback.cancel()
    await loop.run_in_executor(None, server.kill)
    await loop.run_in_executor(None, disk.off)
    await loop.run_in_executor(None, disk.on)
    return left


async def cut_in_start(disk: PowerDisk, server: Server, seed: int, style: str, flushes: int) -> Cut:
    """As `cut`, of a server that is started now."""
    loop = asyncio.get_running_loop()
    old = server.process
    starting = loop.run_in_executor(None, server.start)
    while server.process is old:
        await wait(0.002)
    left = await cut(disk, server, seed, style, flushes)
    with suppress(AssertionError):  # it ended before it was ready
        await starting
    return left


def look(server: Server) -> str:
    """What `check` says of the store after a cut, in a word. Raises AssertionError when it is not sound."""
    folder = server.data / "store"
    identity = read_identity(folder) if folder.is_dir() else None
    if identity is None or identity.state != READY:
        return "not yet made"
    found = check(str(folder))
    assert found.ok, found.problems
    return f"sound at commit {found.commit}, witness {found.witness}"


async def cuts(
    disk: PowerDisk, server: Server, crowd: Crowd, count: int, chance: random.Random, variants: Sequence[str]
) -> None:
    """So many cuts; the server runs afterwards, as one of the variants after each."""
    loop = asyncio.get_running_loop()
    for number in range(1, count + 1):
        began, accepted = time.monotonic(), len(crowd.ledger.accepted)
        style, seed = chance.choice(STYLES), chance.randrange(1 << 30)
        if chance.random() < IN_START:
            assert await loop.run_in_executor(None, server.stop) == 0
            flushes = chance.randint(1, START_FLUSHES)
            left = await cut_in_start(disk, server, seed, style, flushes)
            how = f"in flush {flushes} of a start"
        else:
            await wait(chance.uniform(*LIFE_S))
            left = await cut(disk, server, seed, style, chance.choice([0, 1, 1, 2]))
            how = "under load"
        found = await loop.run_in_executor(None, look, server)
        if variants:
            be(server, chance.choice(variants))
        await loop.run_in_executor(None, server.start)
        crowd.check_tasks()
        print(
            f"cut {number:2}/{count} {how}: {style}, {left.survived} of {left.unflushed} unflushed bytes survived,"
            f" {found}; accepted {len(crowd.ledger.accepted)} (+{len(crowd.ledger.accepted) - accepted}),"
            f" shown {crowd.ledger.shown}, {time.monotonic() - began:.1f} s",
            flush=True,
        )


async def hunt(
    disk: PowerDisk, server: Server, folder: Path, count: int, seed: int, variants: Sequence[str] = ("", "small")
) -> list[str]:
    """Cuts under load, silence, judgement: what is wrong. The server runs, and is stopped at the end."""
    began = time.monotonic()
    async with Crowd(server, folder, seed, people=4, devices=2, roaming=1) as crowd:
        try:
            await cuts(disk, server, crowd, count, random.Random(seed), variants)
        except (AssertionError, StoreError) as error:
            return [f"after a cut: {error}"]
        await crowd.settle()
        seconds = time.monotonic() - began
        assert server.stop() == 0
        return await report(crowd, server.data / "store", f"{count} power cuts in {seconds:.0f} s")


async def creation(disk: PowerDisk, seed: int, style: str, flushes: int) -> None:
    """Cut the first start of all in its n-th flush: what is left must be nothing yet, or a store that opens."""
    server = server_on(disk)
    loop = asyncio.get_running_loop()
    try:
        left = await cut_in_start(disk, server, seed, style, flushes)
        found = look(server)
        await loop.run_in_executor(None, server.start)
        assert server.stop() == 0
        print(f"creation cut in flush {flushes}: {style}, {left.survived} of {left.unflushed} bytes survived, {found}")
    finally:
        server.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--creations", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if reason := why_not():
        print(reason)
        return 2
    chance, wrong = random.Random(options.seed), []
    with tempfile.TemporaryDirectory(prefix="iris-power-") as name:
        for flushes in range(1, 6 * options.creations, 6):
            with PowerDisk(Path(name) / f"new{flushes}") as disk:
                disk.on()
                asyncio.run(creation(disk, chance.randrange(1 << 30), chance.choice(STYLES), flushes))
        if options.cuts:
            with PowerDisk(Path(name) / "disk") as disk:
                disk.on()
                server = server_on(disk)
                try:
                    server.start()
                    wrong = asyncio.run(hunt(disk, server, Path(name), options.cuts, options.seed))
                    print("\n".join(wrong))
                finally:
                    server.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
