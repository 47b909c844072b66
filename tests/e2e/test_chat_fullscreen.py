"""The full-screen chat with keys, headless, against a real server: what is on the screen is what both people said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from iris.cli.fullscreen import CHOICES, Ask, FullScreen, Show
from iris_sdk import Client
from tests.support.people import WAIT_S, join, run
from tests.support.server import Server

SIZE = (110, 32)


def text_of(app: FullScreen) -> str:
    """Everything on the screen, as letters."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


async def until(pilot: Pilot[Any], holds: Callable[[], object]) -> None:
    """Let the app work until this holds."""
    async with asyncio.timeout(WAIT_S):
        while not holds():
            await pilot.pause()


async def shows(pilot: Pilot[Any], *words: str) -> None:
    app = pilot.app
    assert isinstance(app, FullScreen)
    try:
        await until(pilot, lambda: all(word in text_of(app) for word in words))
    except TimeoutError:
        raise AssertionError(f"{words} are not on the screen:\n{text_of(app)}") from None


async def write(pilot: Pilot[Any], words: str) -> None:
    """Type into the composer and press Enter."""
    composer = pilot.app.query_one("#composer", Input)
    await until(pilot, lambda: composer.has_focus)
    await pilot.press(*(letter if letter != " " else "space" for letter in words), "enter")


async def pick(pilot: Pilot[Any], index: int) -> None:
    """Put the cursor on a message."""
    await pilot.press("f3")
    history = pilot.app.query_one("#history", OptionList)
    await until(pilot, lambda: history.has_focus and history.option_count > index)
    history.highlighted = index
    await pilot.pause()


def test_a_name_is_completed_and_stands_out(server: Server, tmp_path: Path) -> None:
    async def case() -> None:
        (ada_profile,), (bob_profile,) = await join(server, tmp_path, "ada"), await join(server, tmp_path, "bob")
        async with Client(ada_profile) as ada, Client(bob_profile) as bob:
            left, right = FullScreen(ada, "@bob"), FullScreen(bob, None)
            async with left.run_test(size=SIZE) as one, right.run_test(size=SIZE) as two:
                await shows(one, "@bob")
                composer = left.query_one("#composer", Input)
                await until(one, lambda: left.talks.completed("@b") == "@bob")
                await one.press("h", "i", "space", "@", "b")
                await until(one, lambda: composer._suggestion == "hi @bob")
                await one.press("right", "enter")
                await shows(two, "mentions you: hi @bob")
                await two.press("f2", "down", "enter")
                await shows(two, "ada  hi @bob")
                strips = right.screen._compositor.render_strips()
                bold = [piece.text for strip in strips for piece in strip if piece.style and piece.style.reverse]
                assert "@bob" in [text.strip() for text in bold]

    run(case())


def test_two_people_talk_with_the_keyboard_alone(server: Server, tmp_path: Path) -> None:
    async def case() -> None:
        (ada_profile,), (bob_profile,) = await join(server, tmp_path, "ada"), await join(server, tmp_path, "bob")
        async with Client(ada_profile) as ada, Client(bob_profile) as bob:
            left, right = FullScreen(ada, "@bob"), FullScreen(bob, None)
            async with left.run_test(size=SIZE) as one, right.run_test(size=SIZE) as two:
                await shows(two, "nobody yet", "connected", "Talk to")
                await shows(one, "@bob")
                await write(one, "hello bob")
                await shows(one, "hello bob", "✓")
                await shows(two, "ada", "1 new", "hello bob")

                await two.press("f2", "down", "enter")
                await shows(two, "@ada", "write a message")
                await until(one, lambda: "✓✓" in text_of(left))
                await shows(one, "● bob")

                await pick(two, 0)
                await two.press("r")
                await shows(two, "answer to ada: hello bob")
                await write(two, "hello yourself")
                await shows(one, "hello yourself", "┃ you: hello bob")

                await pick(two, 0)
                await two.press("plus")
                await until(two, lambda: isinstance(right.screen, Ask))
                await two.press("1", "enter")
                await shows(one, CHOICES[0])

                await pick(two, 0)
                await two.press("f")
                await until(two, lambda: isinstance(right.screen, Ask))
                await two.press(*"ada", "enter")
                await shows(one, "forwarded: hello bob")

                await pick(one, 0)
                await one.press("e")
                await shows(one, "changing: hello bob")
                await write(one, "!")
                await shows(two, "hello bob!", "(edited)")

                await pick(one, 0)
                await one.press("d")
                await shows(two, "this message was deleted")

    run(case())


def test_the_screen_says_when_the_server_is_gone_and_sends_later(server: Server, tmp_path: Path) -> None:
    async def case() -> None:
        (ada_profile,), (bob_profile,) = await join(server, tmp_path, "ada"), await join(server, tmp_path, "bob")
        async with Client(ada_profile) as ada, Client(bob_profile) as bob:
            app = FullScreen(ada, "@bob")
            async with app.run_test(size=SIZE) as pilot:
                await shows(pilot, "@bob", "connected")
                await asyncio.to_thread(server.kill)
                await until(pilot, lambda: "connected" not in app.talks.status)
                await write(pilot, "into the dark")
                await shows(pilot, "into the dark", "·")
                await asyncio.to_thread(server.start)
                await shows(pilot, "connected", "✓✓")
                assert [one.body for one in bob.screen(ada.user)] == ["into the dark"]

    run(case())


def test_up_from_the_first_message_shows_older_ones(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iris.cli.talks.PAGE", 5)

    async def case() -> None:
        (ada_profile,), _ = await join(server, tmp_path, "ada"), await join(server, tmp_path, "bob")
        async with Client(ada_profile) as ada:
            await ada.send_many("@bob", [f"number {number}" for number in range(12)])
            app = FullScreen(ada, "@bob")
            async with app.run_test(size=SIZE) as pilot:
                await shows(pilot, "number 11", "number 7")
                assert "number 6" not in text_of(app)
                await pick(pilot, 0)
                await pilot.press("up")
                await shows(pilot, "number 2", "number 6")
                assert "number 1 " not in text_of(app)
                picked = app.picked
                assert picked is not None
                assert picked.body == "number 7"  # the cursor stays where it was

    run(case())


def test_talk_to_asks_for_a_name_and_escape_takes_everything_back(server: Server, tmp_path: Path) -> None:
    async def case() -> None:
        (ada_profile,), _ = await join(server, tmp_path, "ada"), await join(server, tmp_path, "bob")
        async with Client(ada_profile) as ada:
            app = FullScreen(ada, None)
            async with app.run_test(size=SIZE) as pilot:
                await pilot.press("ctrl+t")
                await until(pilot, lambda: isinstance(app.screen, Ask))
                await pilot.press("escape")
                await until(pilot, lambda: not isinstance(app.screen, Ask))
                await pilot.press("ctrl+t", *"bob", "enter")
                await shows(pilot, "@bob")
                await pilot.press(*"draft")
                await pilot.press("escape")
                await pilot.press("ctrl+q")
            assert app.return_value is None

    run(case())


def test_a_code_lets_a_new_device_in(server: Server, tmp_path: Path) -> None:
    async def case() -> None:
        (profile,) = await join(server, tmp_path, "ada")
        async with Client(profile) as ada:
            app = FullScreen(ada, None)
            async with app.run_test(size=(110, 40)) as pilot:
                await shows(pilot, "connected")
                await pilot.press("ctrl+l")
                await shows(pilot, "code ", "for @ada, good once", "█▀", f"iris chat --link '{server.url}/#link=ada.")
                await pilot.press("escape")
                await until(pilot, lambda: not isinstance(app.screen, Show))
                await shows(pilot, "write a message")

    run(case())
