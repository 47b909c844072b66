"""Two people talk through the SDK over TLS: live, offline, on four devices, with receipts."""

from __future__ import annotations

import asyncio
from pathlib import Path

from iris_sdk import Client, Message, ReadSync
from tests.support.people import join, live, run, screen, shown, texts, until, until_shown
from tests.support.server import Server


def test_live_message_is_delivered_and_read(tls_server: Server, tmp_path: Path) -> None:
    async def case() -> None:
        [ada] = await join(tls_server, tmp_path, "live_ada")
        [bob] = await join(tls_server, tmp_path, "live_bob")
        async with Client(ada) as a, Client(bob) as b:
            await live(a)
            await live(b)
            sent = await a.send("@live_bob", "hello")
            event = await until(b, Message)
            assert (event.text, event.sender, event.message_id) == ("hello", a.user, sent.message_id)
            assert (await a.wait(sent.message_id, "delivered", timeout=10)).state == "delivered"
            await b.mark_read(event)
            assert (await a.wait(sent.message_id, "read", timeout=10)).state == "read"

    run(case())


def test_offline_message_waits_and_both_sides_catch_up(tls_server: Server, tmp_path: Path) -> None:
    async def case() -> None:
        [ada] = await join(tls_server, tmp_path, "off_ada")
        [bob] = await join(tls_server, tmp_path, "off_bob")
        async with Client(ada) as a:
            await live(a)
            sent = await a.send_many("@off_bob", [f"while you were out {n}" for n in range(300)])
            assert (await a.wait(sent[-1].message_id, "accepted", timeout=20)).state == "accepted"
        async with Client(bob) as b:
            await live(b)
            await until_shown(b, 300)
            assert texts(shown(b)) == [f"while you were out {n}" for n in range(300)]
        async with Client(ada) as a:
            assert (await a.wait(sent[-1].message_id, "delivered", timeout=20)).state == "delivered"

    run(case())


def test_four_devices_one_far_behind_end_with_equal_histories(tls_server: Server, tmp_path: Path) -> None:
    async def case() -> None:
        ada = await join(tls_server, tmp_path, "four_ada", devices=4)
        [bob] = await join(tls_server, tmp_path, "four_bob")
        async with Client(bob) as b:
            await live(b)
            async with Client(ada[0]) as one, Client(ada[1]) as two, Client(ada[2]) as three:
                for client in (one, two, three):
                    await live(client)
                for n in range(50):
                    await one.send("@four_bob", f"one {n}")
                    await two.send("@four_bob", f"two {n}")
                    await b.send("@four_ada", f"bob {n}")
                for client in (one, two, three, b):
                    await until_shown(client, 150)
                last = next(row for row in reversed(shown(three)) if row.kind == "message")
                await three.mark_read("@four_bob")
                for client in (one, two):
                    await until(client, ReadSync, lambda event: event.seq >= last.seq)
                expected = screen(one, b.user)
                assert screen(two, b.user) == expected
                assert screen(three, b.user) == expected
                assert screen(b, one.user) == expected
            async with Client(ada[3]) as four:  # it was never online: everything is a catch-up
                await until_shown(four, 150)
                assert screen(four, b.user) == expected
                await until(four, ReadSync, lambda event: event.seq >= last.seq)

    run(case())


def test_a_thousand_messages_in_order_across_twenty_reconnects(tls_server: Server, tmp_path: Path) -> None:
    async def case() -> None:
        [ada] = await join(tls_server, tmp_path, "fifo_ada")
        [bob] = await join(tls_server, tmp_path, "fifo_bob")
        expected = [f"{n:04}" for n in range(1000)]
        async with Client(bob) as b:
            await live(b)
            for part in range(20):  # a new connection each time, cut without waiting for the answers
                async with Client(ada) as a:
                    await a.send_many("@fifo_bob", expected[part * 50 : part * 50 + 50])
                    if part % 2:
                        await live(a)
            async with Client(ada) as a:
                await a.flush(timeout=60)
                await until_shown(b, 1000)
                assert texts(shown(b)) == expected
                assert screen(b, a.user) == expected
                assert screen(a, b.user) == expected

    run(case())


def test_answers_show_after_their_questions_on_both_screens(tls_server: Server, tmp_path: Path) -> None:
    async def case() -> None:
        [ada] = await join(tls_server, tmp_path, "turn_ada")
        [bob] = await join(tls_server, tmp_path, "turn_bob")
        async with Client(ada) as a, Client(bob) as b:
            await live(a)
            await live(b)

            async def answer() -> None:
                count = 0
                async for event in b.events(after=0):
                    if isinstance(event, Message):
                        await b.send("@turn_ada", f"re {event.text}")
                        count += 1
                        if count == 60:
                            return

            async with asyncio.TaskGroup() as group:
                group.create_task(answer())
                for n in range(60):
                    await a.send("@turn_bob", f"q{n}")
            await until_shown(a, 120)
            await until_shown(b, 120)
            on_screen = screen(a, b.user)
            assert on_screen == screen(b, a.user)
            assert all(on_screen.index(f"q{n}") < on_screen.index(f"re q{n}") for n in range(60))

    run(case())
