"""The full-screen chat's view-model on a real client: list, pages, drafts, replies, edits, reactions, what is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from iris.cli import talks as module
from iris.cli.errors import CliError
from iris.cli.talks import Talks, named, words
from iris_sdk import Client, Shown
from tests.integration.test_sdk_client import DEADLINE_S, linked
from tests.support.fake_server import FakeServer, serving


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFRESH_S", 0.0)
    monkeypatch.setattr(module, "LOOK_AGAIN_S", 0.02)


class Drawn:
    """A Talks that runs, and waiting until it shows something."""

    def __init__(self, me: Client) -> None:
        self._change = asyncio.Event()
        self.talks = Talks(me, self._change.set)

    async def until(self, holds: Callable[[Talks], object]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not holds(self.talks):
                self._change.clear()
                await self._change.wait()


@contextlib.asynccontextmanager
async def drawn(me: Client, to: str | None = None) -> AsyncIterator[Drawn]:
    """Started and following what happens."""
    one = Drawn(me)
    await one.talks.start(to)
    running = asyncio.create_task(one.talks.run())
    try:
        yield one
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


@contextlib.asynccontextmanager
async def pair(folder: Path) -> AsyncIterator[tuple[FakeServer, Client, Client]]:
    async with (
        serving("ada", "bob") as server,
        linked(server, folder / "a", "ada") as ada,
        linked(server, folder / "b", "bob") as bob,
    ):
        yield server, ada, bob


def test_a_mention_is_offered_sent_and_told(tmp_path: Path) -> None:
    async def case() -> None:
        async with pair(tmp_path) as (_, ada, bob), drawn(ada, "@bob") as left, drawn(bob) as right:
            await left.until(lambda it: it.completed("hi @b") == "hi @bob")
            assert await left.talks.write("hi @bob")
            await right.until(lambda it: it.entries)
            assert right.talks.entries[0].preview == "mentions you: hi @bob"
            assert left.talks.entries[0].preview == "you: hi @bob"
            await right.talks.choose(ada.user)
            assert named(right.talks.shown[0]) == [("hi ", ""), ("@bob", bob.user)]
            left.talks.change(left.talks.shown[0])
            assert await left.talks.write("@bob, hi @ada")  # oneself is nobody to mention
            await right.until(lambda it: it.shown[0].edited_at)
            assert named(right.talks.shown[0]) == [("@bob", bob.user), (", hi @ada", "")]

    asyncio.run(case())


def bodies(talks: Talks) -> list[str]:
    return [one.body for one in talks.shown]


def test_a_conversation_from_the_first_word(tmp_path: Path) -> None:
    async def case() -> None:
        async with pair(tmp_path) as (_, ada, bob), drawn(ada, "@bob") as left, drawn(bob) as right:
            assert right.talks.title.startswith("nobody yet")
            assert not await right.talks.write("hello?")
            assert "nobody" in right.talks.status
            await left.until(lambda it: it.open == bob.user)
            assert left.talks.title.startswith("@bob")
            assert await left.talks.write("hello")
            await right.until(lambda it: it.entries and it.entries[0].unread == 1 and it.entries[0].name == "ada")
            assert right.talks.entries[0].preview == "hello"
            await right.talks.choose(ada.user)
            assert (bodies(right.talks), right.talks.entries[0].unread) == (["hello"], 0)
            await left.until(lambda it: it.shown[0].state == "read")
            assert left.talks.entries[0].preview == "you: hello"

    asyncio.run(case())


def test_what_is_not_looked_at_is_not_read(tmp_path: Path) -> None:
    async def case() -> None:
        async with pair(tmp_path) as (_, ada, bob), drawn(bob) as right:
            await ada.send("@bob", "one")
            await right.until(lambda it: it.entries)
            await right.talks.look(False)
            await right.talks.choose(ada.user)
            assert right.talks.entries[0].unread == 1
            await right.talks.look(True)
            assert right.talks.entries[0].unread == 0

    asyncio.run(case())


def test_reply_edit_react_delete_and_hide(tmp_path: Path) -> None:
    async def case() -> None:
        async with pair(tmp_path) as (_, ada, bob), drawn(ada, "@bob") as left, drawn(bob) as right:
            await left.until(lambda it: it.open)
            await left.talks.write("helo")
            await left.talks.write("a secret")
            await right.until(lambda it: it.entries)
            await right.talks.choose(ada.user)
            await right.until(lambda it: len(it.shown) == 2)
            right.talks.answer(right.talks.shown[0])
            assert right.talks.composing == "answer to ada: helo"
            await right.talks.write("hi")
            assert right.talks.composing == ""
            assert right.talks.quoted(right.talks.shown[2]) == "ada: helo"
            await right.talks.react(right.talks.shown[0], "👍")
            assert not right.talks.change(right.talks.shown[0])
            assert "your own" in right.talks.notice
            right.talks.cancel()
            await left.until(lambda it: len(it.shown) == 3 and it.shown[0].reactions)
            assert left.talks.change(left.talks.shown[0])
            assert left.talks.composing == "changing: helo"
            await left.talks.write("hello")
            await left.talks.delete(left.talks.shown[1])
            await right.until(lambda it: it.shown[0].body == "hello" and it.shown[1].kind == "deleted")
            assert words(right.talks.shown[1]) == "this message was deleted"
            await right.talks.react(right.talks.shown[0], "👍")  # again: it is taken back
            await left.until(lambda it: not it.shown[0].reactions)
            await right.talks.delete(right.talks.shown[0])
            assert right.talks.notice.startswith("not done")
            await right.talks.hide(right.talks.shown[1])
            assert bodies(right.talks) == ["hello", "hi"]
            assert len(left.talks.shown) == 3

    asyncio.run(case())


def test_pages_grow_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 4)
    monkeypatch.setattr(module, "SHOWN_MAX", 10)

    async def case() -> None:
        async with pair(tmp_path) as (_, ada, bob):
            await ada.send_many("@bob", [str(number) for number in range(12)])
            async with drawn(ada, "@bob") as left:
                await left.until(lambda it: it.open == bob.user)
                assert (bodies(left.talks), left.talks.more) == (["8", "9", "10", "11"], True)
                for _ in range(5):
                    await left.talks.older()
                assert bodies(left.talks) == [str(number) for number in range(2, 12)]

    asyncio.run(case())


def test_drafts_presence_and_typing(tmp_path: Path) -> None:
    async def case() -> None:
        async with pair(tmp_path) as (_, ada, bob), drawn(ada, "@bob") as left, drawn(bob, "@ada") as right:
            await left.until(lambda it: it.open)
            await right.until(lambda it: it.open)
            await left.talks.typed("I am wri")
            await right.until(lambda it: "typing" in it.title)
            assert left.talks.draft == "I am wri"
            await left.talks.write("I am writing")
            await right.until(lambda it: bodies(it) == ["I am writing"] and "typing" not in it.title)
            assert left.talks.draft == ""

    asyncio.run(case())


def test_somebody_who_does_not_exist_yet_is_waited_for_and_without_a_server_too(tmp_path: Path) -> None:
    async def case() -> None:
        async with pair(tmp_path) as (server, ada, _), drawn(ada, "@carol") as left:
            await left.until(lambda it: "there is no @carol yet" in it.status)
            await server.stop()
            await left.until(lambda it: "cannot be reached" in it.status and "offline" in it.status)
            server.add_user("carol")
            await server.start()
            await left.until(lambda it: it.title.startswith("@carol"))
            left.talks.look_for("@ada")
            await left.until(lambda it: "that is you" in it.status)

    asyncio.run(case())


def test_a_device_that_was_logged_out_is_told(tmp_path: Path) -> None:
    async def case() -> None:
        async with pair(tmp_path) as (server, ada, _):
            one = Drawn(ada)
            running = asyncio.create_task(one.talks.run())
            server.refresh_tokens.clear()  # no refresh helps
            server.drop(4511)
            with pytest.raises(CliError, match="closed this device's connection"):
                await asyncio.wait_for(running, DEADLINE_S)

    asyncio.run(case())


def test_words_of_others_cannot_move_the_cursor() -> None:
    assert words(Shown("ada", "m1", 1, "text", "one\x1b[2Jtwo\nthree\u202e")) == "one·[2Jtwo\nthree·"
    assert "newer" in words(Shown("ada", "m1", 1, "unknown"))
