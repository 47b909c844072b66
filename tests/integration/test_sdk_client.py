"""The SDK's client over a real WebSocket and a real profile: send, wait, receive, offline, takeover, tokens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from iris_sdk import (
    ApiError,
    Client,
    ConnectionChange,
    ConnectionState,
    Event,
    Message,
    MessageRefused,
    OwnCopy,
    PayloadTooLarge,
    Presence,
    ProfileError,
    StateChange,
    Typing,
    UnknownUser,
    login,
    profile_info,
)
from iris_sdk.catalogue import Limits
from iris_sdk.subscription import Subscription
from tests.support.fake_server import PASSWORD, FakeServer, serving

DEADLINE_S = 20
QUICK = Limits(reconnect_first_ms=20, reconnect_max_ms=100)


@contextlib.asynccontextmanager
async def linked(server: FakeServer, folder: Path, handle: str) -> AsyncIterator[Client]:
    """A client on a new profile, live."""
    await login(folder, server.url, handle, PASSWORD)
    async with Client(folder, limits=QUICK) as client:
        await client.wait_state(ConnectionState.LIVE, timeout=DEADLINE_S)
        yield client


async def first(events: Subscription, wanted: Callable[[Event], bool]) -> Event:
    async with asyncio.timeout(DEADLINE_S):
        async for event in events:
            if wanted(event):
                return event
    raise AssertionError("the events ended")


def is_away(event: Event) -> bool:
    """The connection is lost, or is being made again."""
    return isinstance(event, ConnectionChange) and not is_back(event)


def is_back(event: Event) -> bool:
    """Connected; what it has missed may still be to come."""
    return isinstance(event, ConnectionChange) and event.state in {ConnectionState.CATCHING_UP, ConnectionState.LIVE}


async def messages(events: Subscription, count: int) -> list[Message]:
    found: list[Message] = []
    async with asyncio.timeout(DEADLINE_S):
        async for event in events:
            if isinstance(event, Message):
                found.append(event)
                if len(found) == count:
                    return found
    raise AssertionError("the events ended")


def test_two_people_talk_and_see_each_step(tmp_path: Path) -> None:
    async def case() -> None:
        async with serving("ada", "bob") as server, linked(server, tmp_path / "a", "ada") as ada:
            sent = await ada.send("@bob", "hello")
            status = await ada.wait(sent.message_id, "accepted", DEADLINE_S)
            assert (status.state, status.seq > 0, status.at > 0) == ("accepted", True, True)
            await login(tmp_path / "b", server.url, "bob", PASSWORD)
            async with Client(tmp_path / "b", limits=QUICK) as bob:
                events = bob.events(after=0)
                second = await ada.send(bob.user, "are you there?")
                (got,) = await messages(events, 1)
                assert (got.text, got.sender, got.message_id) == ("are you there?", ada.user, second.message_id)
                assert await bob.handle_of(got.sender) == "ada"
                assert (await ada.wait(second.message_id, "delivered", DEADLINE_S)).state == "delivered"
                assert [c.unread for c in bob.conversations()] == [1]
                await bob.mark_read(got)
                assert (await ada.wait(second.message_id, "read", DEADLINE_S)).state == "read"
                assert [c.unread for c in bob.conversations()] == [0]
                answer = await bob.send("@ada", "yes")
                await bob.wait(answer.message_id, "delivered", DEADLINE_S)
                assert [row.text for row in ada.conversation("@bob")] == ["hello", "are you there?", "yes"]
                assert [row.text for row in bob.conversation(ada.user)] == ["are you there?", "yes"]  # linked later

    asyncio.run(case())


def test_a_message_written_offline_waits_and_goes_out(tmp_path: Path) -> None:
    async def case() -> None:
        async with serving("ada", "bob") as server:
            async with linked(server, tmp_path / "a", "ada") as ada:
                await ada.resolve("@bob")
            await server.stop()
            async with Client(tmp_path / "a", limits=QUICK) as ada:
                sent = await ada.send("@bob", "later")
                with pytest.raises(TimeoutError):
                    await ada.wait(sent.message_id, "accepted", 0.05)
                assert (status := ada.status(sent.message_id)) is not None
                assert (status.state, status.seq) == ("queued", 0)
            async with Client(tmp_path / "a", limits=QUICK) as ada:  # another run finds it in the outbox
                await server.start()
                assert (await ada.wait(sent.message_id, "accepted", DEADLINE_S)).state == "accepted"

    asyncio.run(case())


def test_messages_to_people_never_asked_for_wait_offline_and_keep_their_order(tmp_path: Path) -> None:
    async def case() -> None:
        async with serving("ada", "bob") as server:
            async with linked(server, tmp_path / "a", "ada"):
                pass
            await server.stop()
            async with Client(tmp_path / "a", limits=QUICK) as ada:
                first = await ada.send_many("@Bob", ["1", "2"])
                lost = await ada.send("@nobody.here", "hello?")
                assert await ada.flush(timeout=0.05) == 3
            async with Client(tmp_path / "a", limits=QUICK) as ada:  # another run finds them
                await server.start()
                with pytest.raises(MessageRefused) as refused:
                    await ada.wait(lost.message_id, "accepted", DEADLINE_S)
                assert refused.value.status.code == "UNKNOWN_USER"
                for sent in [*first, await ada.send("bob", "3")]:
                    await ada.wait(sent.message_id, "accepted", DEADLINE_S)
                assert await ada.flush(DEADLINE_S) == 0
                assert [row.text for row in ada.conversation("@bob")] == ["1", "2", "3"]
            async with linked(server, tmp_path / "b", "bob") as bob:
                answer = await bob.send("@ada", "got it")
                await bob.wait(answer.message_id, "accepted", DEADLINE_S)

    asyncio.run(case())


def test_order_and_count_hold_across_forced_reconnects(tmp_path: Path) -> None:
    async def case() -> None:
        async with (
            serving("ada", "bob") as server,
            linked(server, tmp_path / "a", "ada") as ada,
            linked(server, tmp_path / "b", "bob") as bob,
        ):
            events, of_bob = bob.events(after=0), bob.events()
            await ada.send_many("@bob", [f"{n:04d}" for n in range(1000)])
            texts: list[str | None] = []
            async with asyncio.timeout(2 * DEADLINE_S):
                async for event in events:
                    if isinstance(event, Message):
                        texts.append(event.text)
                        if len(texts) % 50 == 0:
                            server.drop()
                            await first(of_bob, is_away)  # and back again, else the next cut may find nobody
                            await first(of_bob, is_back)
                        if len(texts) == 1000:
                            break
            assert texts == [f"{n:04d}" for n in range(1000)]
            assert await ada.flush(DEADLINE_S) == 0
            assert [r.text for r in ada.conversation("@bob", 1000)] == [
                r.text for r in bob.conversation(ada.user, 1000)
            ]
            assert server.iris.connects >= 20, "each cut has cut somebody"

    asyncio.run(case())


def test_a_second_device_gets_own_copies_and_read_positions(tmp_path: Path) -> None:
    async def case() -> None:
        async with (
            serving("ada", "bob") as server,
            linked(server, tmp_path / "1", "ada") as one,
            linked(server, tmp_path / "2", "ada") as two,
            linked(server, tmp_path / "b", "bob") as bob,
        ):
            events = two.events(after=0)
            sent = await one.send("@bob", "from my first device")
            copy = await first(events, lambda event: isinstance(event, OwnCopy))
            assert isinstance(copy, OwnCopy)
            assert (copy.message_id, copy.text, copy.device) == (sent.message_id, "from my first device", one.device)
            await two.wait(sent.message_id, "delivered", DEADLINE_S)
            answer = await bob.send("@ada", "hi")
            (got,) = await messages(events, 1)
            assert got.message_id == answer.message_id
            await one.wait(sent.message_id, "delivered", DEADLINE_S)
            await two.mark_read("@bob")
            await first(one.events(after=0), lambda event: event.kind == "read")
            assert [c.unread for c in one.conversations()] == [0]

    asyncio.run(case())


def test_refusals_are_told(tmp_path: Path) -> None:
    async def case() -> None:
        async with serving("ada", "bob") as server, linked(server, tmp_path / "a", "ada") as ada:
            server.iris.mailboxes[server.handles["bob"]].blocked.add(server.handles["ada"])
            sent = await ada.send("@bob", "let me in")
            with pytest.raises(MessageRefused) as refused:
                await ada.wait(sent.message_id, "accepted", DEADLINE_S)
            assert refused.value.status.code == "NOT_ALLOWED"
            with pytest.raises(UnknownUser):
                await ada.send("@nobody", "hello?")
            with pytest.raises(ApiError, match="SELF"):
                await ada.send("@ada", "note to myself")
            with pytest.raises(PayloadTooLarge):
                await ada.send("@bob", "x" * 70_000)
            with pytest.raises(KeyError):
                await ada.wait("00" * 16, "accepted", 1)

    asyncio.run(case())


def test_presence_and_typing_are_told_and_watches_survive_a_reconnect(tmp_path: Path) -> None:
    async def case() -> None:
        async with (
            serving("ada", "bob") as server,
            linked(server, tmp_path / "a", "ada") as ada,
            linked(server, tmp_path / "b", "bob") as bob,
        ):
            events, of_bob = ada.events(), bob.events()
            await ada.watch(["@bob"])
            assert await first(events, lambda e: isinstance(e, Presence)) == Presence(bob.user, "online", 0)
            server.drop()
            await first(events, lambda e: e.kind == "connection")
            await first(of_bob, lambda e: e.kind == "connection")
            seen = await first(events, lambda e: isinstance(e, Presence))  # on or off: both reconnect at the same time
            assert isinstance(seen, Presence)
            assert seen.user == bob.user
            for client in (ada, bob):  # typing is told to whoever is there; nobody keeps it for later
                await client.wait_state(ConnectionState.LIVE, timeout=DEADLINE_S)
            await bob.set_typing("@ada")
            typing = await first(events, lambda e: isinstance(e, Typing))
            assert isinstance(typing, Typing)
            assert (typing.sender, typing.active) == (bob.user, True)

    asyncio.run(case())


def test_another_process_on_the_profile_sends_through_its_holder_and_takes_over(tmp_path: Path) -> None:
    async def case() -> None:
        async with serving("ada", "bob") as server, linked(server, tmp_path / "a", "ada") as holder:
            other = await Client(tmp_path / "a", limits=QUICK).open()  # flock is per open file: as good as a process
            assert other.state is ConnectionState.HELD_ELSEWHERE
            changes = other.events()
            sent = await other.send("@bob", "through the holder")
            assert (await other.wait(sent.message_id, "accepted", DEADLINE_S)).state == "accepted"
            change = await first(changes, lambda event: isinstance(event, StateChange))
            assert isinstance(change, StateChange)
            assert change.message_id == sent.message_id
            await holder.close()
            assert await other.wait_state(ConnectionState.LIVE, timeout=DEADLINE_S) is ConnectionState.LIVE
            again = await other.send("@bob", "on my own")
            assert (await other.wait(again.message_id, "accepted", DEADLINE_S)).state == "accepted"
            await other.close()

    asyncio.run(case())


def test_an_expired_token_is_refreshed_with_one_nonce_even_when_the_answer_is_lost(tmp_path: Path) -> None:
    async def case() -> None:
        async with serving("ada", "bob") as server:
            await login(tmp_path / "a", server.url, "ada", PASSWORD)
            with sqlite3.connect(tmp_path / "a" / "profile.db") as db:
                (token,) = db.execute("SELECT value FROM meta WHERE key = 'access_token'").fetchone()
            server.iris.expired.add(token)
            server.lose_next_refresh = True
            async with Client(tmp_path / "a", limits=QUICK) as ada:
                await ada.wait_state(ConnectionState.LIVE, timeout=DEADLINE_S)
                assert await ada.resolve("@bob")
            assert len(server.refreshes) == 2
            assert len(set(server.refreshes)) == 1

    asyncio.run(case())


def test_a_device_that_still_stands_comes_back_after_its_token_was_revoked(tmp_path: Path) -> None:
    async def case() -> None:
        async with serving("ada") as server, linked(server, tmp_path / "a", "ada") as ada:
            events = ada.events()
            server.drop(4511)
            await first(events, lambda event: isinstance(event, ConnectionChange) and event.state == "live")
            assert len(server.refreshes) == 1

    asyncio.run(case())


@pytest.mark.parametrize(("code", "reason"), [(4511, "TOKEN_REVOKED"), (4512, "REPLACED"), (4501, "BAD_FRAME")])
def test_some_closes_are_for_good(tmp_path: Path, code: int, reason: str) -> None:
    async def case() -> None:
        async with serving("ada") as server, linked(server, tmp_path / "a", "ada") as ada:
            server.refresh_tokens.clear()  # no refresh helps
            server.drop(code)
            if reason == "REPLACED":  # once may be by its own late connection
                await ada.wait_state(ConnectionState.OFFLINE, timeout=DEADLINE_S)
                await ada.wait_state(ConnectionState.LIVE, timeout=DEADLINE_S)
                server.drop(code)
            assert await ada.wait_state(ConnectionState.CLOSED, timeout=DEADLINE_S) is ConnectionState.CLOSED
            assert ada.closed_reason == reason

    asyncio.run(case())


def test_a_long_catch_up_is_quick_and_printed_positions_are_kept(tmp_path: Path) -> None:
    async def case() -> None:
        async with (
            serving("ada", "bob") as server,
            linked(server, tmp_path / "a", "ada") as ada,
        ):
            await login(tmp_path / "b", server.url, "bob", PASSWORD)
            await ada.send_many("@bob", [f"{n:04d}" for n in range(600)])
            assert await ada.flush(DEADLINE_S) == 0
            async with Client(tmp_path / "b", limits=QUICK) as bob:
                got = await messages(bob.events(after=bob.printed), 600)
                assert [message.text for message in got] == [f"{n:04d}" for n in range(600)]
                await bob.set_printed(got[299].n)
            async with Client(tmp_path / "b", limits=QUICK, hold=False) as bob:
                got = await messages(bob.events(after=bob.printed), 300)
                assert got[0].text == "0300"

    asyncio.run(case())


def test_the_profile_is_private_and_says_what_it_is(tmp_path: Path) -> None:
    async def case() -> None:
        async with serving("ada", "bob") as server:
            assert profile_info(tmp_path / "a") is None
            await login(tmp_path / "a", server.url, "ada", PASSWORD)
            info = profile_info(tmp_path / "a")
            assert info is not None
            assert (info.handle, info.server, info.printed) == ("ada", server.url, 0)
            assert stat.S_IMODE(os.stat(tmp_path / "a").st_mode) == 0o700
            for file in (tmp_path / "a").iterdir():
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
            with pytest.raises(ProfileError, match="another user"):
                await login(tmp_path / "a", server.url, "bob", PASSWORD)
            with pytest.raises(ApiError, match="CREDENTIALS_WRONG"):
                await login(tmp_path / "x", server.url, "bob", "wrong")
            async with Client(tmp_path / "a"):
                with pytest.raises(ProfileError, match="in use"):
                    await login(tmp_path / "a", server.url, "ada", PASSWORD)

    asyncio.run(case())


@pytest.mark.parametrize("server", ["http://chat.example.org", "ws://192.0.2.1:80", "ftp://localhost", "https://"])
def test_without_tls_only_this_machine_is_spoken_to(server: str, tmp_path: Path) -> None:
    with pytest.raises(ProfileError):
        asyncio.run(login(tmp_path / "a", server, "ada", PASSWORD))
