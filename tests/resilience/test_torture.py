"""`iris torture` against real servers: it passes one that is killed again and again, and finds out losers and liars."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from iris_torture.cli import BROKEN, COULD_NOT_RUN, main
from iris_torture.crew import Where
from iris_torture.driver import Driver, Outcome, Plan
from iris_torture.faults import named
from iris_torture.iris_adapter import IrisTarget
from iris_torture.report import Page, markdown
from tests.support.people import run
from tests.support.server import Server, serving

SETTINGS = {"limits.logins_per_address_per_minute_max": 100_000}


def quiet(line: str) -> None:
    """Progress is for people."""


def driver(server: Server, folder: Path, plan: Plan) -> Driver:
    """A driver of a run against a server of ours."""
    return Driver(IrisTarget(server.url), Where("iris", server.url, None, folder), plan, quiet)


async def meanwhile(made: Driver, what: Callable[[], None], times: int, every_s: float) -> None:
    """Do something to the server, in a thread, so often while the clients talk."""
    loop = asyncio.get_running_loop()
    while not made.talking:
        await turn(0.1)
    for _ in range(times):
        await turn(every_s)
        await loop.run_in_executor(None, what)


async def turn(seconds: float) -> None:
    """Let the load go on for a while: this is the moment of a fault, not a wait for something to be true."""
    loop = asyncio.get_running_loop()
    moment = loop.create_future()
    loop.call_later(seconds, moment.set_result, None)
    await moment


def story(made: Driver, server: Server, plan: Plan, outcome: Outcome) -> str:
    """What a failure shows."""
    return markdown(Page(server.url, plan, outcome, "this test", made.record()))


@pytest.mark.timeout(400)
def test_a_server_that_is_killed_again_and_again_keeps_its_promises(tmp_path: Path) -> None:
    plan = Plan(minutes=0.45, users=3, devices=2, seed=11, rate=0.6, fault_every_s=1.0)
    with serving(tmp_path / "data", settings=SETTINGS) as server:
        made = driver(server, tmp_path / "run", plan)

        async def case() -> Outcome:
            outcome, _ = await asyncio.gather(made.run(), meanwhile(made, server.restart, 5, 4.0))
            return outcome

        outcome = run(case(), 390)
        assert outcome.verdict.violations == [], story(made, server, plan, outcome)
        assert outcome.verdict.counts["accepted"] > 50
        assert sum(outcome.faults.values()) > 5


@pytest.mark.timeout(400)
def test_a_server_that_forgets_is_found_out(tmp_path: Path) -> None:
    """Its store goes back to an earlier state, as after a disk that lies about fsync: acceptances are lost.

    About half the devices are away at any time, so some had not been shown what the others said before it forgot.
    """
    away = tuple(named("offline"))
    plan = Plan(
        minutes=0.5, users=3, devices=2, seed=12, rate=3.0, calm_s=15, faults=away, fault_every_s=1.2, strangers=False
    )
    with serving(tmp_path / "data", settings=SETTINGS) as server:
        made = driver(server, tmp_path / "run", plan)
        store, copy = tmp_path / "data" / "store", tmp_path / "copy"

        def save_or_forget() -> None:
            if copy.exists():
                server.kill()
                shutil.rmtree(store)
                shutil.copytree(copy, store)
            else:
                server.stop()
                shutil.copytree(store, copy)
            server.start()

        async def case() -> Outcome:
            outcome, _ = await asyncio.gather(made.run(), meanwhile(made, save_or_forget, 2, 7.0))
            return outcome

        outcome = run(case(), 390)
        lost = outcome.verdict.of("lost")
        assert lost, story(made, server, plan, outcome)
        page = story(made, server, plan, outcome)
        assert "## lost: " in page
        assert "accepted" in page


@pytest.mark.timeout(300)
def test_a_server_that_lies_is_found_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole command, with its exit code and its page."""
    with serving(tmp_path / "data", settings=SETTINGS, module="tests.support.liar") as server:
        words = [server.url, "--minutes", "0.1", "--users", "2", "--devices", "1", "--rate", "3"]
        assert main([*words, "--faults", "none", "--calm", "8", "--out", str(tmp_path / "page.md")]) == BROKEN
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "**broken" in page
    assert "is read; nobody has read it" in page
    assert "(receipt) |" in page
    assert page.count("(lost)") == 0


def test_where_there_is_no_server_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["http://127.0.0.1:1", "--minutes", "0.1"]) == COULD_NOT_RUN
    assert "could not run" in capsys.readouterr().err
    assert main(["http://127.0.0.1:1", "--faults", "earthquake"]) == COULD_NOT_RUN
    assert "'earthquake' is none of cut, " in capsys.readouterr().err
