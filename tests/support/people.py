"""People for end-to-end tests: accounts, devices and what they end up seeing, through the real SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from iris_sdk import Client, ConnectionState, Event, Message, Row, login, register
from tests.support.server import Server

PASSWORD = "correct horse battery"
WAIT_S = 30.0
SHOWN = ("message", "own", "sent")  # kinds of history rows that are messages
Found = TypeVar("Found")
Kind = TypeVar("Kind", bound=Event)


def run(case: Coroutine[Any, Any, Found], seconds: float = 240.0) -> Found:
    """Run an asynchronous test; a hang is a failure."""

    async def bounded() -> Found:
        async with asyncio.timeout(seconds):
            return await case

    return asyncio.run(bounded())


def ca_of(server: Server) -> str | None:
    """What a client must trust."""
    return str(server.certificate[0]) if server.certificate else None


async def join(server: Server, folder: Path, handle: str, devices: int = 1) -> list[Path]:
    """A new user with so many devices; their profiles."""
    await register(server.url, handle, PASSWORD, ca_file=ca_of(server))
    return [await link(server, folder / f"{handle}-{number}", handle) for number in range(1, devices + 1)]


async def link(server: Server, profile: Path, handle: str) -> Path:
    """One more device of a user."""
    await login(profile, server.url, handle, PASSWORD, device_name=profile.name, ca_file=ca_of(server))
    return profile


async def live(client: Client) -> Client:
    """The client, once it is connected and has caught up."""
    await client.wait_state(ConnectionState.LIVE, timeout=WAIT_S)
    return client


async def until(
    client: Client, kind: type[Kind], wanted: Callable[[Kind], bool] = lambda event: True, after: int | None = 0
) -> Kind:
    """The first event of this kind that is wanted."""
    return await until_in(client.events(after=after), kind, wanted)


async def until_in(
    events: AsyncIterator[Event], kind: type[Kind], wanted: Callable[[Kind], bool] = lambda event: True
) -> Kind:
    """The next event of this kind that is wanted."""
    async with asyncio.timeout(WAIT_S):
        async for event in events:
            if isinstance(event, kind) and wanted(event):
                return event
    raise AssertionError("the events ended")


async def until_shown(client: Client, total: int, seconds: float = WAIT_S) -> None:
    """Wait until the profile's history holds so many messages, own ones included."""
    count = after = 0
    async with asyncio.timeout(seconds):
        events = client.events(after=0)
        while True:
            while page := client.history(None, after=after):
                after = page[-1].n
                count += sum(row.kind in SHOWN for row in page)
            if count >= total:
                return
            await anext(events)


async def until_text(client: Client, text: str) -> None:
    """Wait until a message says this."""
    await until_in(client.events(after=0), Message, lambda event: event.text == text)


def shown(client: Client, who: str | None = None) -> list[Row]:
    """Every message of a profile's history, in the order it was stored."""
    rows: list[Row] = []
    while page := client.history(who, after=rows[-1].n if rows else 0):
        rows += page
    return [row for row in rows if row.kind in SHOWN]


def texts(rows: Sequence[Row]) -> list[str]:
    """What they say."""
    return [row.text or "" for row in rows]


def screen(client: Client, who: str, limit: int = 100_000) -> list[str]:
    """A conversation as a screen sorts it."""
    return [row.text or "" for row in client.conversation(who, limit)]
