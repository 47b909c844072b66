"""What the server says while the disk is slow, and what it does when the disk fails once: seen from a client."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from iris_sdk import Client, Message
from tests.durability.fsync_shim import build_fsync_shim
from tests.e2e.conftest import QUICK
from tests.support.people import join, live, run, shown, texts, until, until_shown
from tests.support.server import Server

DELAY_S = 0.4


def test_no_accepted_and_no_deliver_before_the_disk_has_it(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", settings=QUICK)
    shim = build_fsync_shim(tmp_path, server.data)

    async def case() -> None:
        [ada] = await join(server, tmp_path, "ada")
        [bob] = await join(server, tmp_path, "bob")
        server.stop()
        server.environment = shim.environment(delay_ms=int(DELAY_S * 1000))
        server.start()
        async with Client(ada) as a, Client(bob) as b:
            await live(a)
            await live(b)
            for n in range(5):
                heard: list[float] = []

                async def hears(text: str, heard: list[float] = heard) -> None:
                    await until(b, Message, lambda event: event.text == text)
                    heard.append(time.monotonic())

                task = asyncio.create_task(hears(f"m{n}"))
                started = time.monotonic()
                sent = await a.send(b.user, f"m{n}")
                await a.wait(sent.message_id, "accepted", timeout=20)
                assert time.monotonic() - started >= DELAY_S
                await task
                assert heard[0] - started >= DELAY_S
        assert any(sync.call == "fdatasync" for sync in shim.syncs())

    try:
        server.start()
        run(case())
    finally:
        server.close()


def test_a_failed_sync_ends_the_server_and_loses_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", settings=QUICK)
    shim = build_fsync_shim(tmp_path, server.data)
    server.environment = shim.environment()

    async def case() -> None:
        [ada] = await join(server, tmp_path, "ada")
        [bob] = await join(server, tmp_path, "bob")
        async with Client(ada) as a, Client(bob) as b:
            await live(a)
            await live(b)
            before = await a.send(b.user, "before")
            await a.wait(before.message_id, "delivered", timeout=20)
            shim.fail_next()
            doubtful = await a.send(b.user, "while it failed")
            assert server.process is not None
            code = await asyncio.get_running_loop().run_in_executor(None, server.process.wait, 30)
            assert code == 3
            status = a.status(doubtful.message_id)
            assert status is not None
            assert status.state == "queued"  # nobody was told that it was accepted
            assert texts(shown(b)) == ["before"]
            server.start()
            await a.wait(doubtful.message_id, "delivered", timeout=30)
            await a.send(b.user, "after")
            await until_shown(b, 3)
            assert texts(shown(b)) == ["before", "while it failed", "after"]

    try:
        server.start()
        run(case())
        assert any("store_failed" in line for line in server.lines)
    finally:
        server.close()
