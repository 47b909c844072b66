"""A server that stands still for longer than its leases, a second one on its data, a clock that is set back."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path

import pytest

from iris_sdk import Client
from tests.chaos.crowd import wait
from tests.e2e.conftest import QUICK
from tests.support.people import join, live, run, screen, shown, texts, until_shown
from tests.support.server import Server, serving

STILL_S = 2.5  # several times QUICK's lease of 0.6 s


async def talk(server: Server, folder: Path, hurt: list[object], answer_last: bool = True) -> None:
    """Ada and Bob (two devices) talk before, while and after each thing happens; then everybody has everything."""
    [ada] = await join(server, folder, "ada")
    bobs = await join(server, folder, "bob", 2)
    async with Client(ada) as a, Client(bobs[0]) as b, Client(bobs[1]) as c:
        for client in (a, b, c):
            await live(client)
        said: list[str] = []
        for number, happens in enumerate(hurt):
            for part in ("before", "while", "after"):
                words = [f"{number} {part} {n:02}" for n in range(20)]
                if part == "while":
                    happening = asyncio.create_task(happens())  # type: ignore[operator]
                await a.send_many(b.user, words)
                said += words
                if part == "while":
                    await happening
        await until_shown(b, len(said), 60)
        await b.send(a.user, "done")
        for client in (a, b, c):
            await until_shown(client, len(said) + 1, 60)
        assert await a.flush(timeout=60) == await b.flush(timeout=60) == 0
        for client in (b, c):
            assert texts([row for row in shown(client) if row.sender == a.user]) == said
        assert screen(a, b.user) == screen(b, a.user) == screen(c, a.user)
        assert [text for text in screen(a, b.user) if text != "done"] == said
        if answer_last:
            assert screen(a, b.user)[-1] == "done"


@pytest.mark.timeout(180)
def test_a_server_that_stood_still_past_its_leases_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path / "data", settings=QUICK) as server:

        async def stand_still() -> None:
            assert server.process is not None
            server.process.send_signal(signal.SIGSTOP)
            await wait(STILL_S)
            server.process.send_signal(signal.SIGCONT)

        run(talk(server, tmp_path, [stand_still, stand_still]), 150)


@pytest.mark.timeout(180)
def test_a_second_server_on_the_same_data_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    with serving(tmp_path / "data", settings=QUICK) as server:

        async def second() -> None:
            other = Server(server.data, settings=QUICK)
            done = await asyncio.get_running_loop().run_in_executor(
                None, lambda: subprocess.run(other.command(), capture_output=True, text=True, timeout=60, check=False)
            )
            assert done.returncode == 1
            assert server.process is not None
            assert f"in use by process {server.process.pid}" in done.stdout + done.stderr
            assert "Traceback" not in done.stderr

        run(talk(server, tmp_path, [second]), 150)


@pytest.mark.timeout(180)
def test_a_clock_that_is_set_back_an_hour_loses_nothing_and_both_ends_sort_alike(tmp_path: Path) -> None:
    """An answer may show before its question then: `after` is not believed when it is an hour ahead of the clock."""
    switch = tmp_path / "clock-is-back"
    late = {"module": "tests.chaos.variant", "environment": {"VARIANT": "clock", "CLOCK_BACK": str(switch)}}
    with serving(tmp_path / "data", settings=QUICK, **late) as server:

        async def set_back() -> None:
            switch.touch()

        async def restart() -> None:
            await asyncio.get_running_loop().run_in_executor(None, server.restart)

        run(talk(server, tmp_path, [set_back, restart], answer_last=False), 150)
