"""Limits that a user meets from outside, one test each."""

from __future__ import annotations

from pathlib import Path

import pytest

from iris_sdk import Client, ConnectionChange, ConnectionState, OutboxFull
from iris_sdk.catalogue import CloseCode, Limits
from tests.e2e.conftest import QUICK
from tests.support.people import WAIT_S, join, live, run, shown, texts, until_in, until_shown
from tests.support.server import Server


def test_too_many_connections_from_one_address_wait_and_come_in_later(tmp_path: Path) -> None:
    """connections_per_address_max: the third connection is refused, and gets in when another one has left."""
    server = Server(tmp_path / "data", settings=QUICK)

    async def case() -> None:
        profiles = [(await join(server, tmp_path, name))[0] for name in ("ada", "bob", "cyn")]
        server.stop()
        server.settings = {**QUICK, "limits.connections_per_address_max": 2}
        server.start()
        name = CloseCode.TOO_MANY_CONNECTIONS.name
        async with Client(profiles[0]) as a:
            await live(a)
            async with Client(profiles[1]) as b:
                await live(b)
                async with Client(profiles[2], limits=Limits(reconnect_max_ms=500)) as c:
                    await until_in(c.events(), ConnectionChange, lambda change: change.reason == name)
                    assert c.state is not ConnectionState.LIVE
                    await b.close()
                    await live(c)
                    assert a.state is ConnectionState.LIVE

    try:
        server.start()
        run(case())
    finally:
        server.close()


def test_a_full_outbox_takes_no_more_and_loses_nothing(server: Server, tmp_path: Path) -> None:
    """outbox_messages_max."""

    async def case() -> None:
        [ada] = await join(server, tmp_path, "ada")
        [bob] = await join(server, tmp_path, "bob")
        async with Client(ada) as a:
            peer = await a.resolve("@bob")
        server.stop()
        async with Client(ada, limits=Limits(outbox_messages_max=3)) as a:
            await a.send_many(peer, ["one", "two", "three"])
            with pytest.raises(OutboxFull):
                await a.send(peer, "four")
            server.start()
            assert await a.flush(timeout=WAIT_S) == 0
            await a.send(peer, "five")
        async with Client(bob) as b:
            await until_shown(b, 4)
            assert texts(shown(b)) == ["one", "two", "three", "five"]

    run(case())
