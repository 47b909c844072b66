"""`iris tail`: prints what happens to a profile, a line per event, and remembers how far it has printed.

Scripts read what is printed with --json: the shapes made by `Lines` stay as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iris.cli.errors import CliError, run_async
from iris.cli.output import put

if TYPE_CHECKING:
    from iris_sdk import Client, Event

EVENTS_MAX = 256  # read from the profile ahead of printing; the printed position is kept once for so many
NAME_TIMEOUT_S = 3.0  # a line is not held up longer by a handle that must be asked for
NAME_FRESH_S, NAME_RETRY_S = 600.0, 30.0
NAMES_MAX = 10_000
NO_WORDS = "[deleted, or of a later version]"
WATCHES_MAX = 256  # people of past conversations whose presence is shown


def tail(profile: Path, as_json: bool, count: int | None, timeout: float | None, after: int | None, read: bool) -> int:
    """Print until `count` messages, `timeout` seconds or Ctrl-C; returns the exit code."""

    async def work() -> int:
        from iris_sdk import Client

        async with Client(str(profile)) as me:
            tailing = _Tailing(me, as_json, count, after, read)
            try:
                async with asyncio.timeout(timeout):
                    return await tailing.run()
            except TimeoutError:
                if count is None:
                    return 0
                raise CliError(f"{tailing.messages} of {count} messages came within {timeout:g} s") from None

    return run_async(work())


class _Tailing:
    def __init__(self, me: Client, as_json: bool, count: int | None, after: int | None, read: bool) -> None:
        self._me = me
        self._as_json = as_json
        self._count = count
        self._read = read
        self._after = me.printed if after is None else after
        self._lines = Lines(me)
        self._watched: list[str] = []
        self.messages = 0

    async def run(self) -> int:
        """Print until `count` messages; raises CliError when the connection is closed for good."""
        events: asyncio.Queue[Event | None] = asyncio.Queue(EVENTS_MAX)
        reading = asyncio.create_task(self._read_events(events))
        try:
            await self._watch(*[known.peer for known in self._me.conversations()][:WATCHES_MAX])
            while True:
                batch = [await events.get()]
                while len(batch) < EVENTS_MAX and not events.empty():
                    batch.append(events.get_nowait())
                if not await self._print([event for event in batch if event is not None]):
                    return 0
                if batch[-1] is None:
                    await reading  # raises what ended it
                    raise CliError("the events ended")
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await reading

    async def _read_events(self, events: asyncio.Queue[Event | None]) -> None:
        try:
            async for event in self._me.events(after=self._after):
                await events.put(event)
        except Exception:
            await events.put(None)
            raise
        await events.put(None)  # not when cancelled: then nobody takes from a queue that may be full

    async def _print(self, batch: list[Event]) -> bool:
        """Print, flush, and only then move the printed position; False when `count` is reached."""
        import iris_sdk as sdk

        printed = 0
        out: list[str] = []
        closed: sdk.ConnectionChange | None = None
        newest: sdk.Message | None = None
        for event in batch:
            if isinstance(event, sdk.ConnectionChange):
                closed = event if event.state == "closed" else closed
                continue
            line = await self._lines.of(event)
            if line is not None:
                out.append((json.dumps(line, ensure_ascii=False) if self._as_json else human(line)) + "\n")
            printed = getattr(event, "n", 0) or printed
            if isinstance(event, sdk.Message):
                newest = event
                self.messages += 1
                await self._watch(event.sender)
                if self.messages == self._count:
                    break
        if out:
            await put("".join(out))
        if printed > self._me.printed:
            await self._me.set_printed(printed)
        if self._read and newest is not None:
            await self._me.mark_read(newest)
        if self._count is not None and self.messages >= self._count:
            return False
        if closed is not None and self._me.error is not None:
            raise self._me.error
        if closed is not None:
            reason = self._me.closed_reason or closed.reason or "for good"
            raise CliError(f"the server closed this device's connection: {reason}", "log in again with `iris login`")
        return True

    async def _watch(self, *users: str) -> None:
        new = [user for user in users if user not in self._watched]
        if new:
            self._watched = (self._watched + new)[-WATCHES_MAX:]
            await self._me.watch(self._watched)


class Lines:
    """Turns events into the objects that are printed, with handles instead of user ids where they are known."""

    def __init__(self, me: Client) -> None:
        self._me = me
        self._names: dict[str, tuple[str, float]] = {}  # user id → (handle, until when that is good)

    async def of(self, event: Event) -> dict[str, Any] | None:
        """The line of an event; None when it has none."""
        import iris_sdk as sdk

        match event:
            case sdk.Message():
                return {
                    "event": "message", "from": await self._name(event.sender), "message_id": event.message_id,
                    "seq": event.seq, "text": event.text, "at": event.at, "n": event.n,
                }  # fmt: skip
            case sdk.OwnCopy():
                return {
                    "event": "own", "to": await self._name(event.peer), "message_id": event.message_id,
                    "seq": event.seq, "text": event.text, "at": event.at, "state": event.state, "n": event.n,
                }  # fmt: skip
            case sdk.Acted():
                said = getattr(event.action, "emoji", getattr(event.action, "body", None))
                return {
                    "event": event.action.kind, "from": await self._name(event.sender), "message_id": event.message_id,
                    "target": event.action.target.message_id, "text": said, "seq": event.seq, "at": event.at,
                    "n": event.n,
                }  # fmt: skip
            case sdk.StateChange(state="delivered" | "read"):
                return {
                    "event": "receipt", "from": await self._name(event.peer), "message_id": event.message_id,
                    "state": event.state, "seq": event.seq, "at": event.at, "n": event.n,
                }  # fmt: skip
            case sdk.Presence():
                return {
                    "event": "presence", "from": await self._name(event.user), "status": event.status,
                    "last_seen": event.last_seen,
                }  # fmt: skip
            case sdk.Typing():
                return {"event": "typing", "from": await self._name(event.sender), "active": event.active}
            case sdk.HistoryGap():
                return {"event": "gap", "at": event.at, "n": event.n}
        return None

    async def _name(self, user: str) -> str:
        name, until = self._names.get(user, ("", 0.0))
        if time.monotonic() >= until:
            known = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(NAME_TIMEOUT_S):
                    known = await self._me.handle_of(user)
            name = known or name or user
            if len(self._names) >= NAMES_MAX:
                self._names.clear()
            self._names[user] = (name, time.monotonic() + (NAME_FRESH_S if known else NAME_RETRY_S))
        return name


def human(line: dict[str, Any]) -> str:
    """A line for people."""
    who = "@" + str(line.get("from") or line.get("to") or "")
    clock = datetime.fromtimestamp(line["at"] / 1000).astimezone().strftime("%H:%M") if line.get("at") else "     "
    match line["event"]:
        case "message":
            what = f"{who}: {line['text'] if line['text'] is not None else NO_WORDS}"
        case "own":
            what = f"you to {who}: {line['text'] if line['text'] is not None else NO_WORDS}"
        case "reaction":
            what = f"{who} put {line['text']} to" if line["text"] else f"{who} took the reaction back from"
            what += f" {line['target'][:8]}"
        case "edit":
            what = f"{who} changed {line['target'][:8]}: {line['text'] or ''}"
        case "delete":
            what = f"{who} deleted {line['target'][:8]}"
        case "receipt":
            what = f"{who} {'has read' if line['state'] == 'read' else 'has got'} {line['message_id'][:8]}"
        case "presence":
            what = f"{who} is {line['status']}"
        case "typing":
            what = f"{who} {'is typing' if line['active'] else 'stopped typing'}"
        case _:
            what = "older messages could not be kept for this device"
    return f"{clock}  {what}"
