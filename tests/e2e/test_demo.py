"""`iris demo`: the guest sees every state; the bots stop with it, and find themselves again at the next start."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from iris.cli.bots import CAST, Habits
from iris.cli.demo import GUEST, PASSWORD, has_desktop
from iris_sdk import Client, Shown, login
from tests.e2e.test_cli import DEADLINE_S, environment, iris
from tests.support.certificate import make_certificate
from tests.support.people import WAIT_S, run

PACE = "0.02"


@contextmanager
def demo(folder: Path, port: int = 0) -> Iterator[tuple[str, list[str]]]:
    """A running demo: its address and everything it printed, which goes on."""
    words = ["demo", "--pace", PACE, "--listen", f"127.0.0.1:{port}", "--set", "password_profile=cheap"]
    running = subprocess.Popen(
        [sys.executable, "-m", "iris", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=environment(),
    )
    assert running.stdout is not None
    lines: list[str] = []
    try:
        for line in running.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("Write to each"):
                break
        yield lines[0].rpartition(" ")[2].replace("ws", "http", 1), lines
        running.send_signal(signal.SIGINT)
        lines += running.communicate(timeout=DEADLINE_S)[0].splitlines()
        assert running.returncode == 0, lines
    finally:
        running.kill()
        running.communicate()


async def until(me: Client, who: str, holds: Callable[[list[Shown]], object]) -> list[Shown]:
    events = me.events(after=0)
    async with asyncio.timeout(WAIT_S):
        while not holds(shown := me.screen(who)):
            await anext(events)
    return shown


def of(name: str) -> Habits:
    return next(one for one in CAST if one.name == name)


def test_the_guest_sees_every_state(tmp_path: Path) -> None:
    async def case(server: str) -> None:
        await login(tmp_path / "guest", server, GUEST, PASSWORD)
        async with Client(tmp_path / "guest") as me:
            for one in CAST:
                user = await me.resolve(one.name)
                opening = await until(me, user, lambda shown, one=one: len(shown) >= len(one.opening))  # type: ignore[misc]
                assert [shown.body for shown in opening][: len(one.opening)] == list(one.opening)
                await me.send(user, "hello")
            mira = await me.resolve("mira")
            talk = await until(me, mira, lambda shown: any(one.reactions for one in shown))
            hello = next(one for one in talk if one.sender == me.user)
            assert (hello.state, hello.reactions[0].emoji) == ("read", of("mira").emoji)
            await until(me, mira, lambda shown: any(one.body in of("mira").answers for one in shown))
            await until(me, await me.resolve("vera"), lambda shown: shown[-1].state == "refused")
            otto = await me.resolve("otto")
            talk = await until(me, otto, lambda shown: any(one.reply_to for one in shown))
            await me.mark_read(otto)
            await until(me, otto, lambda shown: any(one.edited_at and "typo" in one.body for one in shown))
            lena = await me.resolve("lena")
            await me.mark_read(lena)
            await until(me, lena, lambda shown: any(one.kind == "deleted" for one in shown))
            ines = await me.resolve("ines")
            await until(me, ines, lambda shown: any(one.body in of("ines").answers for one in shown))

    with demo(tmp_path) as (server, lines):
        run(case(server))
    text = "\n".join(lines)
    assert f"name {GUEST}, password {PASSWORD}" in text
    assert all(f"@{one.name}" in text for one in CAST)
    assert "the bots have stopped" not in text
    assert lines[-1] == "iris: stopped; everything is kept in iris-demo"


def test_a_window_is_opened_only_where_there_is_somebody() -> None:
    assert has_desktop({"DISPLAY": ":0"}, terminal=True)
    assert has_desktop({"WAYLAND_DISPLAY": "wayland-0"}, terminal=True)
    assert not has_desktop({"DISPLAY": ":0"}, terminal=False)
    assert not has_desktop({"SSH_CONNECTION": "x"}, terminal=True)


def test_a_second_start_goes_on_and_a_demo_is_for_this_machine(tmp_path: Path) -> None:
    async def count(server: str, folder: str) -> int:
        await login(tmp_path / folder, server, GUEST, PASSWORD)
        async with Client(tmp_path / folder) as me:
            mira = await me.resolve("mira")
            return len(await until(me, mira, lambda shown: len(shown) >= 2))

    with demo(tmp_path) as (server, _):
        run(count(server, "guest"))
    port = int(server.rpartition(":")[2])
    with demo(tmp_path, port) as (again, lines):
        assert again == server
        run(count(server, "guest"))  # the same profile: the history is there
    assert not [line for line in lines if "the bots have stopped" in line]
    certificate, key = make_certificate(tmp_path)
    files = [f"--set=tls_certificate={certificate}", f"--set=tls_key={key}"]
    assert "for this machine" in iris("demo", "--listen", "0.0.0.0:0", *files, cwd=tmp_path, code=1)[0]
