"""Replies, reactions, edits and deletions over a real WebSocket: what both ends show, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from iris_sdk import Acted, Client, Mention, PayloadTooLarge, Reacted, Ref, Shown, login
from tests.integration.test_sdk_client import DEADLINE_S, QUICK, first, linked, messages
from tests.support.fake_server import PASSWORD, serving


async def until(client: Client, who: str, holds: Callable[[list[Shown]], bool]) -> list[Shown]:
    """The screen, once it is as expected."""
    events = client.events(after=0)
    async with asyncio.timeout(DEADLINE_S):
        while not holds(shown := client.screen(who)):
            await anext(events)
    return shown


def test_both_ends_show_the_same_after_replies_reactions_edits_and_deletions(tmp_path: Path) -> None:
    async def case() -> None:
        async with serving("ada", "bob") as server, linked(server, tmp_path / "a", "ada") as ada:
            await login(tmp_path / "b", server.url, "bob", PASSWORD)
            async with Client(tmp_path / "b", limits=QUICK) as bob:
                hello = await ada.send("@bob", "helo @bob", mentions=[Mention(bob.user, 5, 4)])
                await ada.send("@bob", "a secret")
                got, secret = await messages(bob.events(after=0), 2)
                await bob.reply(got, "hi")
                await bob.react(got, "👍")
                await ada.edit(got, "hello @bob")
                await ada.delete(secret)
                done = lambda shown: (  # noqa: E731
                    [one.kind for one in shown] == ["text", "deleted", "text"]
                    and shown[0].body == "hello @bob"
                    and bool(shown[0].reactions)
                )
                at_bob, at_ada = await until(bob, ada.user, done), await until(ada, "@bob", done)
                assert [(one.body, one.kind, one.reply_to) for one in at_bob] == [
                    (one.body, one.kind, one.reply_to) for one in at_ada
                ]
                assert at_bob[2].reply_to == Ref(ada.user, hello.message_id)
                assert at_bob[0].reactions == (Reacted("👍", (bob.user,)),)
                assert [c.unread for c in bob.conversations()] == [2]  # actions are not
                assert await ada.flush(DEADLINE_S) == 0
        for profile in ("a", "b"):
            kept = b"".join(file.read_bytes() for file in (tmp_path / profile).iterdir())
            assert b"hello @bob" in kept
            assert b"a secret" not in kept  # deleted: not only from the screen

    asyncio.run(case())


def test_an_event_tells_of_a_reaction_and_a_later_one_takes_its_place(tmp_path: Path) -> None:
    async def case() -> None:
        async with (
            serving("ada", "bob") as server,
            linked(server, tmp_path / "a", "ada") as ada,
            linked(server, tmp_path / "b", "bob") as bob,
        ):
            events = ada.events()
            await ada.send("@bob", "hello")
            (got,) = await messages(bob.events(after=0), 1)
            await bob.react(got, "👍")
            await bob.react(got, "")
            acted = [await first(events, lambda event: isinstance(event, Acted)) for _ in range(2)]
            assert [getattr(one.action, "emoji", None) for one in acted if isinstance(one, Acted)] == ["👍", ""]
            (shown,) = ada.screen("@bob")
            assert shown.reactions == ()

    asyncio.run(case())


def test_what_is_not_mine_or_not_here_cannot_be_changed(tmp_path: Path) -> None:
    async def case() -> None:
        async with (
            serving("ada", "bob") as server,
            linked(server, tmp_path / "a", "ada") as ada,
            linked(server, tmp_path / "b", "bob") as bob,
        ):
            await ada.send("@bob", "hello")
            (got,) = await messages(bob.events(after=0), 1)
            with pytest.raises(ValueError, match="a text of one's own"):
                await bob.edit(got, "bye")
            with pytest.raises(ValueError, match="a message of one's own"):
                await bob.delete(got)
            with pytest.raises(ValueError, match="at most 64 bytes"):
                await bob.react(got, "x" * 65)
            with pytest.raises(KeyError):
                await bob.react(Ref(ada.user, "00" * 16), "👍")
            with pytest.raises(ValueError, match="inside the text"):
                await ada.send("@bob", "hi", mentions=[Mention(bob.user, 1, 9)])
            with pytest.raises(PayloadTooLarge):
                await ada.edit(got, "x" * 70_000)
            with pytest.raises(ValueError, match="only a text"):
                await bob.forward(Ref(ada.user, "00" * 16), "@ada")
            await bob.forward(got, "@ada")
            assert (await until(ada, "@bob", lambda shown: len(shown) == 2))[1].forwarded
            await bob.hide(got)
            assert [one.forwarded for one in bob.screen(ada.user)] == [True]
            assert bob.shown(got) is None
            assert [one.body for one in ada.screen("@bob")] == ["hello", "hello"]  # ada's own screen keeps it

    asyncio.run(case())


def test_actions_written_offline_go_out_later_and_count_here_at_once(tmp_path: Path) -> None:
    async def case() -> None:
        async with (
            serving("ada", "bob") as server,
            linked(server, tmp_path / "a", "ada") as ada,
            linked(server, tmp_path / "b", "bob") as bob,
        ):
            sent = await ada.send("@bob", "hello")
            await ada.wait(sent.message_id, "delivered", DEADLINE_S)
            await server.stop()
            (mine,) = ada.screen("@bob")
            await ada.edit(mine, "hello!")
            assert [one.body for one in ada.screen("@bob")] == ["hello!"]
            assert [one.body for one in bob.screen(ada.user)] == ["hello"]
            await server.start()
            await until(bob, ada.user, lambda shown: [one.body for one in shown] == ["hello!"])

    asyncio.run(case())
