"""What people see of each other: receipts, presence, last seen, typing, and what a log-out does."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from iris_sdk import Client, ConnectionState, Event, Message, MessageRefused, Presence, ReadSync, Typing
from tests.support.people import WAIT_S, join, link, live, run, shown, until, until_in, until_shown
from tests.support.server import Server, serving


async def status_of(events: AsyncIterator[Event], target: str, status: str) -> Presence:
    """The next time that the target is told to be so."""
    return await until_in(events, Presence, lambda event: (event.user, event.status) == (target, status))


async def watch_for(watcher: Client, target: str, status: str) -> Presence:
    """Watch until the status is seen."""
    events = watcher.events()
    await watcher.watch([target])
    return await status_of(events, target, status)


@pytest.mark.parametrize("who_switched_off", ["reader", "sender"])
def test_read_receipts_need_both_switches(tls_server: Server, tmp_path: Path, who_switched_off: str) -> None:
    async def case() -> None:
        [ada] = await join(tls_server, tmp_path, f"switch_a_{who_switched_off}")
        [bob] = await join(tls_server, tmp_path, f"switch_b_{who_switched_off}")
        async with Client(ada) as a, Client(bob) as b:
            await live(a)
            await live(b)
            off = b if who_switched_off == "reader" else a
            await off.api.update_me(privacy={"read_receipts": False})
            first = await a.send(b.user, "one")
            await b.mark_read(await until(b, Message))
            await until(b, ReadSync)  # own devices always hear of it
            await off.api.update_me(privacy={"read_receipts": True})
            second = await a.send(b.user, "two")
            two = await until(b, Message, lambda event: event.text == "two")
            assert (await a.wait(second.message_id, "delivered", timeout=WAIT_S)).state == "delivered"
            status = a.status(first.message_id)
            assert status is not None
            assert status.state == "delivered"  # nothing was told while a switch was off
            await b.mark_read(two)
            assert (await a.wait(second.message_id, "read", timeout=WAIT_S)).state == "read"

    run(case())


def test_presence_and_last_seen_obey_privacy(tls_server: Server, tmp_path: Path) -> None:
    async def case() -> None:
        [ada] = await join(tls_server, tmp_path, "seen_ada")
        [bob] = await join(tls_server, tmp_path, "seen_bob")
        [eve] = await join(tls_server, tmp_path, "seen_eve")
        async with Client(ada) as a, Client(eve) as e:
            await live(a)
            await live(e)
            async with Client(bob) as b:
                await live(b)
                target = b.user
                await watch_for(a, target, "online")
                await watch_for(e, target, "online")
                gone_a, gone_e = a.events(), e.events()
                await b.api.put_contact(a.user)
                await b.api.update_me(privacy={"presence": "contacts"})
                assert (await status_of(gone_e, target, "hidden")).last_seen == 0
            assert (await status_of(gone_a, target, "offline")).last_seen > 0

    run(case())


def test_a_client_that_vanishes_is_offline_for_its_contacts(tmp_path: Path) -> None:
    """Stopped without a FIN: the connection stays open, but nothing answers the pings."""
    settings = {
        "limits.ping_interval_ms": 400, "limits.idle_timeout_ms": 1200, "limits.offline_grace_ms": 300,
        "limits.lease_ms": 600, "limits.lease_renew_ms": 200,
    }  # fmt: skip
    with serving(tmp_path / "data", settings=settings) as server:

        async def case() -> None:
            [ada] = await join(server, tmp_path, "van_ada")
            [bob] = await join(server, tmp_path, "van_bob")
            code = (
                "import asyncio, sys\nfrom iris_sdk import Client\n"
                "async def main():\n    async with Client(sys.argv[1]) as me:\n        await asyncio.Event().wait()\n"
                "asyncio.run(main())\n"
            )
            ghost = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(bob))
            try:
                async with Client(ada) as a:
                    await live(a)
                    target = await a.resolve("@van_bob")
                    await watch_for(a, target, "online")
                    events = a.events()
                    ghost.send_signal(signal.SIGSTOP)
                    await status_of(events, target, "offline")
            finally:
                ghost.kill()
                await ghost.wait()

        run(case())


def test_typing_is_seen_and_ends(tls_server: Server, tmp_path: Path) -> None:
    async def case() -> None:
        [ada] = await join(tls_server, tmp_path, "type_ada")
        [bob] = await join(tls_server, tmp_path, "type_bob")
        async with Client(ada) as a, Client(bob) as b:
            await live(a)
            await live(b)
            events = b.events()
            await a.set_typing("@type_bob")
            typing = await until_in(events, Typing)
            assert (typing.sender, typing.active) == (a.user, True)
            await a.set_typing("@type_bob", False)
            await until_in(events, Typing, lambda event: not event.active)

    run(case())


def test_log_out_closes_the_live_connection_and_a_log_in_works_at_once(tls_server: Server, tmp_path: Path) -> None:
    async def case() -> None:
        [one, two] = await join(tls_server, tmp_path, "out_ada", devices=2)
        [bob] = await join(tls_server, tmp_path, "out_bob")
        async with Client(one) as a1, Client(two) as a2, Client(bob) as b:
            for client in (a1, a2, b):
                await live(client)
            await a1.api.unlink(a2.device)
            assert await a2.wait_state(ConnectionState.CLOSED, timeout=WAIT_S) is ConnectionState.CLOSED
            assert a2.closed_reason == "TOKEN_REVOKED"
            await a1.api.logout_all(keep_current=False)
            await a1.wait_state(ConnectionState.CLOSED, timeout=WAIT_S)
            again = await link(tls_server, tmp_path / "again", "out_ada")
            sent = await b.send("@out_ada", "are you there?")
            async with Client(again) as a3:
                await live(a3)
                await until_shown(a3, 1)
                assert (await b.wait(sent.message_id, "delivered", timeout=WAIT_S)).state == "delivered"

    run(case())


def test_a_block_refuses_both_ways_with_the_same_word(tls_server: Server, tmp_path: Path) -> None:
    async def case() -> None:
        [ada] = await join(tls_server, tmp_path, "block_ada")
        [bob] = await join(tls_server, tmp_path, "block_bob")
        async with Client(ada) as a, Client(bob) as b:
            await live(a)
            await live(b)
            await b.api.block(a.user)
            for sender, target in ((a, b.user), (b, a.user)):
                sent = await sender.send(target, "hello?")
                with pytest.raises(MessageRefused) as refused:
                    await sender.wait(sent.message_id, "accepted", timeout=WAIT_S)
                assert refused.value.status.code == "NOT_ALLOWED"
            await b.api.unblock(a.user)
            sent = await a.send(b.user, "hello again")
            assert (await a.wait(sent.message_id, "delivered", timeout=WAIT_S)).state == "delivered"
            assert [row.text for row in shown(b) if row.kind == "message"] == ["hello again"]

    run(case())
