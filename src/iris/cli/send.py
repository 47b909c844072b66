"""`iris send`: puts messages into the profile's outbox, waits for each, prints a JSON line for each, in order.

Scripts read what is printed here: the shapes and exit codes of `render` and `send` stay as they are.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from iris.cli.errors import QUEUED, CliError, explain, run_async, show

if TYPE_CHECKING:
    from iris_sdk import Client, Status

LINES_MAX = 1000  # read from standard input ahead of the outbox, and put into it in one transaction
UNPRINTED_MAX = 20_000  # messages in the outbox whose line is not printed yet; above it reading waits
LOG_IN = "log in again with `iris login`; what is queued goes out then"
REACHED = {"accepted": ("accepted", "delivered", "read"), "delivered": ("delivered", "read"), "read": ("read",)}


class Pending(NamedTuple):
    """A message whose line is still to be printed: in the outbox, or refused before it got there (`code`)."""

    message_id: str
    deadline: float
    code: str


def send(profile: Path, to: str, text: str | None, wait: str, timeout: float) -> int:
    """Send `text`, or each line of standard input when it is None; returns the exit code."""

    async def work() -> int:
        from iris_sdk import Client

        async with Client(str(profile)) as me:
            return await _Sending(me, to, wait, timeout).run(
                _one(text) if text is not None else lines(sys.stdin.buffer)
            )

    return run_async(work())


class _Sending:
    def __init__(self, me: Client, to: str, wait: str, timeout: float) -> None:
        self._me = me
        self._to = to
        self._wait = wait
        self._timeout = timeout
        self._pending: asyncio.Queue[Pending | None] = asyncio.Queue(UNPRINTED_MAX)
        self._worst = 0

    async def run(self, batches: AsyncIterator[list[str]]) -> int:
        """Feed the outbox and print the answers, both at once; returns the exit code."""
        printing = asyncio.create_task(self._print())
        try:
            async for texts in batches:
                for pending in await self._put(texts):
                    await self._pending.put(pending)
            await self._pending.put(None)
            await printing
        finally:
            printing.cancel()
        if self._worst == QUEUED and self._me.closed_reason:
            told = None if self._me.error is None else explain(self._me.error)
            show(told or CliError(f"the server closed this device's connection: {self._me.closed_reason}", LOG_IN))
        return self._worst

    async def _put(self, texts: Sequence[str]) -> list[Pending]:
        """Put a batch into the outbox in one transaction; when that is refused, message by message."""
        import iris_sdk as sdk

        loop = asyncio.get_running_loop()
        try:
            sent = await self._me.send_many(self._to, list(texts))
        except sdk.ApiError as error:
            if error.name not in ("UNKNOWN_USER", "SELF"):
                raise  # such as RATE_LIMITED: says nothing about the messages
            return [Pending("", 0, error.name)] * len(texts)
        except (sdk.PayloadTooLarge, sdk.OutboxFull) as error:
            if len(texts) == 1:
                code = "OUTBOX_FULL" if isinstance(error, sdk.OutboxFull) else "PAYLOAD_TOO_LARGE"
                return [Pending("", 0, code)]
            return [pending for text in texts for pending in await self._put([text])]
        deadline = loop.time() + self._timeout
        return [Pending(one.message_id, deadline, "") for one in sent]

    async def _print(self) -> None:
        while (pending := await self._pending.get()) is not None:
            status = None if pending.code else await self._answer(pending)
            line, code = render(status, self._wait, pending.code)
            # 75 beats 1: what is queued still has to be waited for, whatever else was rejected.
            self._worst = max(self._worst, code)
            print(line, flush=self._pending.empty())
        sys.stdout.flush()

    async def _answer(self, pending: Pending) -> Status | None:
        import iris_sdk as sdk

        left = max(0.0, pending.deadline - asyncio.get_running_loop().time())
        try:
            return await self._me.wait(pending.message_id, self._wait, timeout=left)
        except (sdk.MessageRefused, sdk.MessageExpired) as error:
            return error.status
        except (TimeoutError, sdk.LoggedOut, sdk.Offline, sdk.WrongCertificate):
            return self._me.status(pending.message_id)


def render(status: Status | None, wait: str, code: str = "") -> tuple[str, int]:
    """The JSON line of a message and its exit code. `code` names a refusal that came before the outbox."""
    if status is None:
        return json.dumps({"state": "rejected", "code": code}), 1
    if status.state == "refused":
        return json.dumps({"state": "rejected", "code": status.code}), 1
    if status.state == "queued":
        return json.dumps({"state": "queued"}), QUEUED
    line = {"message_id": status.message_id, "state": status.state, "seq": status.seq, "at": status.at}
    if status.state == "expired":
        return json.dumps(line), 1
    if wait == "accepted":
        line["state"] = "accepted"
    return json.dumps(line), 0 if status.state in REACHED[wait] else QUEUED


async def _one(text: str) -> AsyncIterator[list[str]]:
    yield [text]


async def lines(source: IO[bytes]) -> AsyncIterator[list[str]]:
    """The lines of `source` as they come, in batches of what is there; at most LINES_MAX are read ahead.

    A thread reads, so that it works alike for pipes, files and terminals.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[str | None] = asyncio.Queue()
    room = threading.Semaphore(LINES_MAX)

    def read() -> None:
        try:
            for raw in source:
                room.acquire()
                text = raw.decode(errors="replace")
                text = text.removesuffix("\n").removesuffix("\r")
                loop.call_soon_threadsafe(waiting.put_nowait, text)
            loop.call_soon_threadsafe(waiting.put_nowait, None)
        except RuntimeError:
            pass  # the loop has ended before the input did

    threading.Thread(target=read, name="standard input", daemon=True).start()
    ended = False
    while not ended:
        batch = [await waiting.get()]
        while not waiting.empty():
            batch.append(waiting.get_nowait())
        ended = batch[-1] is None
        texts = [text for text in batch if text is not None]
        for _ in texts:
            room.release()
        if texts:
            yield texts
