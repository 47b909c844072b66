"""The two sample users: they play the steps of a sample text through the SDK, and what happens is printed.

Every text that is printed at the receiver's side is the one that came out of the receiver's own history.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from iris.cli.errors import CliError
from iris.cli.join import join
from iris.cli.sample import Leave, Return, Say, Step

if TYPE_CHECKING:
    from iris_sdk import Client, Message

STEP_TIMEOUT_S = 20.0


class Actor:
    """One sample user: a profile, and a client while online."""

    def __init__(self, name: str, profile: Path) -> None:
        self.name = name
        self.profile = profile
        self.waiting: list[tuple[str, str]] = []  # (message id, text) sent to this one while away
        self._stack: AsyncExitStack | None = None
        self._client: Client | None = None
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None

    @property
    def client(self) -> Client:
        if self._client is None:
            raise CliError(f"{self.name} is offline")
        return self._client

    @property
    def online(self) -> bool:
        return self._client is not None

    async def come(self) -> None:
        """Connect and catch up."""
        from iris_sdk import Client, ConnectionState

        self._stack = AsyncExitStack()
        client = await self._stack.enter_async_context(Client(str(self.profile)))
        self._client = client
        self._reading = asyncio.create_task(self._read(client, client.printed))
        state = await client.wait_state(ConnectionState.LIVE, timeout=STEP_TIMEOUT_S)
        if state is ConnectionState.CLOSED:
            raise CliError(
                f"the server does not take {self.name} ({client.closed_reason}); remove {self.profile.parent}"
            )

    async def go(self) -> None:
        """Disconnect."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._stack is not None:
            await self._stack.aclose()
        self._client = self._stack = self._reading = None

    async def _read(self, client: Client, after: int) -> None:
        from iris_sdk import Message

        async for event in client.events(after=after):
            if isinstance(event, Message):
                await self._inbox.put(event)

    async def receive(self, message_id: str) -> Message:
        """Wait for this message, mark it as read, and return it."""
        while True:
            event = await self._inbox.get()
            await self.client.set_printed(event.n)
            if event.message_id == message_id:
                await self.client.mark_read(event)
                return event


async def play(steps: list[Step], server: str, folder: Path, say: Callable[[str], None]) -> None:
    """Play the steps; raises CliError or what the SDK raises when that is not possible."""
    names = list(dict.fromkeys(step.who for step in steps))
    actors = {name: Actor(name, folder / name) for name in names}
    wide = max(len(name) for name in names)
    say("")
    try:
        for actor in actors.values():
            await join(actor.profile, server, actor.name, moved=True, say=lambda text: say(f"  {text}"))
        await asyncio.gather(*(actor.come() for actor in actors.values()))
        for step in steps:
            me = actors[step.who]
            other = next(actor for actor in actors.values() if actor is not me)
            async with asyncio.timeout(STEP_TIMEOUT_S):
                async for line in _play(step, me, other, wide):
                    say(line)
    except TimeoutError:
        raise CliError(
            f"nothing happened for {STEP_TIMEOUT_S:.0f} s", "see the log above; a very slow disk can be the reason"
        ) from None
    finally:
        for actor in actors.values():
            await actor.go()


async def _play(step: Step, me: Actor, other: Actor, wide: int) -> AsyncIterator[str]:
    match step:
        case Say(_, text):
            started = time.perf_counter()
            sent = await me.client.send(f"@{other.name}", text)
            if not other.online:
                await me.client.wait(sent.message_id, "accepted")
                other.waiting.append((sent.message_id, text))
                yield f"  {me.name:>{wide}}  {text}"
                yield f"  {'':{wide}}  ✓ accepted and stored; {other.name} is offline"
                return
            got = await other.receive(sent.message_id)
            delivered = (time.perf_counter() - started) * 1000
            await me.client.wait(sent.message_id, "read")
            read = (time.perf_counter() - started) * 1000
            yield f"  {me.name:>{wide}}  {got.text}"
            yield f"  {'':{wide}}  ✓ accepted  ✓✓ delivered {delivered:.0f} ms  ✓✓ read {read:.0f} ms"
        case Leave():
            await me.go()
            yield f"  {'':{wide}}  — {me.name} goes offline"
        case Return():
            await me.come()
            yield f"  {'':{wide}}  — {me.name} is back and catches up"
            for message_id, _ in me.waiting:
                got = await me.receive(message_id)
                await other.client.wait(message_id, "read")
                yield f"  {'':{wide}}    ✓✓ read now: {got.text}"
            me.waiting.clear()
