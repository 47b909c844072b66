"""kill -9 at random moments: of the server under load, of a receiver in the middle of a long catch-up."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from iris_sdk import Client
from tests.e2e.conftest import QUICK
from tests.support.people import join, live, run, screen, shown, texts, until_shown
from tests.support.server import Server, serving

ROUNDS = 30
PART = 40  # messages that are written at once
PER_ROUND_MAX = 240  # by one person: where restarts are slow, the load must not grow without end
CATCH_UP = 5_000

RECEIVER = """
import asyncio, sys
from iris_sdk import Client
async def main():
    async with Client(sys.argv[1]) as me:
        print("open", flush=True)
        async for event in me.events():
            if event.kind == "message":
                print(event.n, flush=True)
asyncio.run(main())
"""


@pytest.mark.timeout(400)
def test_nothing_is_lost_or_doubled_when_the_server_is_killed(server: Server, tmp_path: Path) -> None:
    chance = random.Random(20260101)
    rounds = 1

    async def kill_often(talking: asyncio.Event) -> None:
        nonlocal rounds
        loop = asyncio.get_running_loop()
        while rounds <= ROUNDS:
            await wait(chance.uniform(0.05, 0.6))
            await loop.run_in_executor(None, server.restart)
            rounds += 1
        talking.clear()

    async def talk(me: Client, to: str, talking: asyncio.Event) -> list[str]:
        said: list[str] = []
        while talking.is_set():
            if len(said) < rounds * PER_ROUND_MAX:
                part = [f"{me.handle} {len(said) + n:05}" for n in range(PART)]
                await me.send_many(to, part)
                said += part
            await wait(chance.uniform(0.05, 0.3))
        return said

    async def case() -> None:
        [ada] = await join(server, tmp_path, "ada")
        [bob] = await join(server, tmp_path, "bob")
        async with Client(ada) as a, Client(bob) as b:
            await live(a)
            await live(b)
            talking = asyncio.Event()
            talking.set()
            from_ada, from_bob, _ = await asyncio.gather(
                talk(a, b.user, talking), talk(b, a.user, talking), kill_often(talking)
            )
            assert await a.flush(timeout=60) == 0
            assert await b.flush(timeout=60) == 0
            total = len(from_ada) + len(from_bob)
            for client in (a, b):
                await until_shown(client, total)
            assert texts([row for row in shown(b) if row.kind == "message"]) == from_ada
            assert texts([row for row in shown(a) if row.kind == "message"]) == from_bob
            assert screen(a, b.user) == screen(b, a.user)
            assert len(screen(a, b.user)) == total

    run(case(), 400)


@pytest.mark.timeout(400)
def test_nothing_is_lost_or_doubled_when_the_receiver_is_killed(tmp_path: Path) -> None:
    # A small window, so that thirty deaths fit into one catch-up.
    with serving(tmp_path / "data", settings={**QUICK, "limits.deliver_window": 32}) as server:
        kill_the_receiver(server, tmp_path)


def kill_the_receiver(server: Server, tmp_path: Path) -> None:
    chance = random.Random(20260102)
    expected = [f"{n:05}" for n in range(CATCH_UP)]

    async def fill() -> tuple[Path, str]:
        [ada] = await join(server, tmp_path, "ada")
        [bob] = await join(server, tmp_path, "bob")
        async with Client(ada) as a:
            await live(a)
            await a.send_many("@bob", expected)
            assert await a.flush(timeout=120) == 0
        return bob, a.user

    bob, ada = run(fill(), 200)
    for _ in range(ROUNDS):
        with subprocess.Popen(
            [sys.executable, "-c", RECEIVER, str(bob)], stdout=subprocess.PIPE, text=True
        ) as receiver:
            assert receiver.stdout is not None
            assert receiver.stdout.readline() == "open\n"
            watchdog = threading.Timer(20.0, receiver.kill)
            watchdog.start()
            for _ in range(chance.randint(0, 150)):  # die after so many new messages, somewhere in the next batch
                assert receiver.stdout.readline(), "no message came"
            receiver.kill()
            watchdog.cancel()

    async def finish() -> None:
        async with Client(bob) as b:
            assert 0 < len(shown(b)) < CATCH_UP  # it was cut in the middle, and every row it printed was kept
            await until_shown(b, CATCH_UP)
            assert texts(shown(b)) == expected
            assert screen(b, ada) == expected

    run(finish(), 200)


async def wait(seconds: float) -> None:
    """Let some time go by: this is the random moment, not a wait for something to be true."""
    loop = asyncio.get_running_loop()
    moment = loop.create_future()
    loop.call_later(seconds, moment.set_result, None)
    await moment
