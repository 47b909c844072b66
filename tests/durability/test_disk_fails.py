"""A disk that fails under a real server, as the kernel tells it: EIO at a flush, no space, suddenly read-only.

Each time: the server ends with exit code 3 and says why, nobody was told of anything that is not kept, a start on the
broken disk is refused in a line, and after the repair nothing is missing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from iris.store import check
from iris_sdk import Client
from tests.chaos.loop import NO_DISK, PowerDisk, why_not
from tests.chaos.power import server_on
from tests.e2e.conftest import QUICK
from tests.support.people import join, live, run, screen, shown, texts, until_shown
from tests.support.server import Server

pytestmark = [pytest.mark.skipif(why_not() is not None, reason=NO_DISK), pytest.mark.timeout(240)]
BEFORE = [f"before {n:03}" for n in range(40)]
DURING = [f"during {n:03} {'x' * 4000}" for n in range(150)]


@dataclass(frozen=True)
class Fault:
    """How the disk fails, what the server says then, and how it is repaired."""

    hurt: Callable[[PowerDisk], None]
    says: str
    mend: Callable[[PowerDisk], object]
    start_refused: str  # what a start on the broken disk says; a pattern
    anything_accepted: bool  # whether some messages may still be accepted after the fault


def again(disk: PowerDisk) -> None:
    """Off and on: what was not flushed is gone."""
    disk.off()
    disk.on()


FAULTS = {
    "eio": Fault(PowerDisk.fail, "Input/output error", again, "Input/output error|Read-only file system", False),
    "full": Fault(PowerDisk.fill, "No space left on device", PowerDisk.free, "No space left on device", True),
    "read-only": Fault(PowerDisk.abort, "Read-only file system", again, "Read-only file system", False),
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[PowerDisk]:
    with PowerDisk(tmp_path / "disk") as disk:
        disk.on()
        yield disk


@pytest.mark.parametrize("name", FAULTS)
def test_a_failing_disk_ends_the_server_and_loses_nothing(tmp_path: Path, disk: PowerDisk, name: str) -> None:
    server = server_on(disk, "small")  # so that table files are written too
    server.settings = QUICK
    try:
        server.start()
        run(case(server, disk, tmp_path, FAULTS[name]), 200)
    finally:
        server.close()


async def case(server: Server, disk: PowerDisk, folder: Path, fault: Fault) -> None:
    loop = asyncio.get_running_loop()
    [ada] = await join(server, folder, "ada")
    [bob] = await join(server, folder, "bob")
    async with Client(ada) as a, Client(bob) as b:
        await live(a)
        await live(b)
        await a.send_many(b.user, BEFORE)
        await until_shown(b, len(BEFORE))
        assert await a.flush(timeout=30) == 0

        fault.hurt(disk)
        sent = await a.send_many(b.user, DURING)
        assert server.process is not None
        assert await loop.run_in_executor(None, server.process.wait, 60) == 3
        [last] = [line for line in server.lines if "store_failed" in line]
        assert fault.says in last
        assert str(server.data) in last
        told = [message.message_id for message in sent if state(a, message.message_id) != "queued"]
        if not fault.anything_accepted:
            assert told == []
            assert texts(shown(b)) == BEFORE

        with pytest.raises(AssertionError) as refused:
            await loop.run_in_executor(None, server.start)
        words = str(refused.value)
        assert "iris: ready" not in words.partition("store_failed")[2]
        line = [line for line in server.lines if line.startswith("iris: ")][-1]
        assert re.search(fault.start_refused, line), words
        assert "Traceback" not in words
        fault.mend(disk)
        assert check(str(server.data / "store")).ok

        await loop.run_in_executor(None, server.start)
        await until_shown(b, len(BEFORE + DURING), 60)
        assert await a.flush(timeout=60) == 0
        assert texts(shown(b)) == BEFORE + DURING
        assert screen(a, b.user) == screen(b, a.user)
        assert all(state(a, message_id) in ("accepted", "delivered") for message_id in told)


def state(client: Client, message_id: str) -> str:
    status = client.status(message_id)
    assert status is not None
    return status.state
