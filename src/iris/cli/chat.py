"""`iris chat`: full-screen on a terminal (fullscreen.py); elsewhere, or with --plain, a line at a time, which is here.

Ties the SDK's events and the keyboard to the screen; holds no rules of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from iris.cli.editor import End, Line, LineEditor
from iris.cli.errors import CliError, run_async
from iris.cli.invitation import is_invitation, parse
from iris.cli.join import PROFILES, join
from iris.cli.keyboard import raw_terminal, read_input
from iris.cli.link import drawn, offer, told
from iris.cli.link import parse as parse_link
from iris.cli.mentions import find
from iris.cli.screen import BOLD, DIM, GREEN, RED, Screen, clean

if TYPE_CHECKING:
    from iris_sdk import Acted, Client, Event, Shown

HISTORY_LINES = 20
PEER_WAIT_S = 2.0  # between two looks for a handle that nobody has yet
LAST_ACCEPTED_S = 5.0  # at the end of piped input
TEXTS_MAX = 1000  # newest messages whose ticks can change
HELP = """\
  type a line to send it       /to @NAME   talk to somebody else
  /who   people you know       /link       let a new device of yours in
  /quit  leave (so do Ctrl-C and Ctrl-D)
  ticks: · queued  ✓ accepted  ✓✓ delivered  ✓✓ (green) read  ✗ refused"""
STATES = {
    "offline": "offline, what you write is kept and sent later",
    "connecting": "connecting",
    "catching_up": "catching up",
    "live": "connected",
    "held_elsewhere": "another program holds this profile's connection; what you write goes out through it",
    "closed": "closed",
}


def chat(
    profile: Path | None,
    server: str | None,
    handle: str | None,
    to: str | None,
    password: str | None,
    invite: str | None,
    ca: Path | None,
    plain: bool = False,
    link: str | None = None,
) -> int:
    """Chat until somebody leaves; returns the exit code. `server` may be an invitation, `link` is a link line."""
    fingerprint: str | None = None
    code: str | None = None
    if link is not None:
        try:
            shown = parse_link(link)
        except ValueError as error:
            raise CliError(str(error), "paste the whole line that `iris devices --link` showed") from None
        server, handle, code, fingerprint = shown.server or server, shown.handle, shown.code, shown.fingerprint
    if server is not None and is_invitation(server):
        try:
            said = parse(server)
        except ValueError as error:
            raise CliError(str(error), "paste the whole line that `iris invite` printed") from None
        server, invite, fingerprint = said.server, invite or said.code, said.fingerprint
    if profile is None:
        if handle is None:
            raise CliError("who are you?", "say --as NAME, or give the folder of a device with --profile DIR")
        profile = PROFILES / handle.removeprefix("@").lower()
    folder = profile

    async def work() -> int:
        from iris_sdk import Client

        await join(
            folder,
            server,
            handle,
            password=password,
            invite=invite,
            ca=ca,
            fingerprint=fingerprint,
            code=code,
            say=print,
        )
        async with Client(str(folder)) as me:
            if not plain and full_screen():
                from iris.cli.fullscreen import run

                return await run(me, to)
            with raw_terminal() as live:
                return await Chat(me, live).run(to)

    return run_async(work())


def full_screen() -> bool:
    """Whether there is a terminal that can be drawn on."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Chat:
    """One chat: whom we talk to, what is known of them, and the lines on screen."""

    def __init__(self, me: Client, live: bool) -> None:
        self._me = me
        self._live = live
        self._screen = Screen(_write, live=live, size=_size)
        self._editor = LineEditor()
        self._peer: str | None = None  # user id
        self._peer_name = ""
        self._presence: dict[str, str] = {}
        self._typing: set[str] = set()
        self._texts: dict[str, str] = {}  # message id → text, of what is on screen
        self._finding: asyncio.Task[None] | None = None

    async def run(self, to: str | None) -> int:
        """Chat until the input ends or the server closes the connection for good."""
        self._say(f"you are @{self._me.handle} on {self._me.server}; /help shows what can be typed")
        tasks = [asyncio.create_task(self._events()), asyncio.create_task(self._input())]
        try:
            await asyncio.sleep(0)  # let the events begin, so that none falls between history and them
            for known in self._me.conversations():
                if known.unread:
                    self._say(f"{known.unread} unread from @{await self._name(known.peer)}")
            if to is not None:
                self._look_for(to)
            else:
                self._say("say whom to talk to: /to @NAME")
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return max(task.result() for task in done)
        finally:
            for task in [*tasks, *([self._finding] if self._finding else [])]:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
            self._screen.end()

    # --- what comes from the server ---

    async def _events(self) -> int:
        import iris_sdk as sdk

        async for event in self._me.events():
            if isinstance(event, sdk.ConnectionChange) and event.state == "closed":
                if self._me.error is not None:
                    raise self._me.error
                raise CliError(
                    f"the server closed this device's connection: {self._me.closed_reason or event.reason}",
                    "another program may have logged it out; log in again with `iris login`",
                )
            await self._show(event)
            self._prompt()
        return 0

    async def _show(self, event: Event) -> None:
        import iris_sdk as sdk

        match event:
            case sdk.Message():
                self._typing.discard(event.sender)
                here = event.sender == self._peer
                mine = (one.user == self._me.user for one in getattr(event.content, "mentions", ()))
                hint = ("   (mentions you)" if any(mine) else "") + ("" if here else "   (/to answers)")
                self._message(event.message_id, await self._name(event.sender), event.at, event.text, None, hint)
                if here:
                    await self._me.mark_read(event)
            case sdk.OwnCopy():
                to = "" if event.peer == self._peer else f" to @{await self._name(event.peer)}"
                self._message(event.message_id, f"you{to}", event.at, event.text, event.state)
            case sdk.Acted():
                await self._acted(event)
            case sdk.StateChange() if event.message_id in self._texts:
                self._screen.update(event.message_id, event.state, self._texts[event.message_id])
                if event.state == "refused":
                    self._say(f"that was refused ({event.code})", RED)
            case sdk.Presence():
                self._presence[event.user] = event.status
                if event.user == self._peer and not self._live:
                    self._say(f"@{self._peer_name} is {event.status}")
            case sdk.Typing():
                (self._typing.add if event.active else self._typing.discard)(event.sender)
                if event.sender == self._peer and event.active and not self._live:
                    self._say(f"@{self._peer_name} is typing")
            case sdk.ConnectionChange() if not self._live:
                self._say(STATES.get(event.state, event.state))
            case sdk.HistoryGap():
                self._say("some older messages could not be kept for this device")

    async def _acted(self, event: Acted) -> None:
        """A line of its own: what has scrolled away cannot be painted over. Only what counts is told."""
        import iris_sdk as sdk

        target = event.action.target
        shown = self._me.shown(target)
        if shown is None:
            return
        who = "you" if event.sender == self._me.user else f"@{await self._name(event.sender)}"
        about = self._texts.get(target.message_id, "a message")
        match event.action:
            case sdk.Reaction(emoji=emoji):
                self._say(
                    f"{who} put {clean(emoji)} to: {about}" if emoji else f"{who} took a reaction back from: {about}"
                )
            case sdk.Edit() if event.sender == target.sender and shown.kind == "text":
                self._say(f"{who} changed: {about}  to: {clean(shown.body)}")
                self._texts[target.message_id] = clean(shown.body)
            case sdk.Delete() if event.sender == target.sender:
                self._say(f"{who} deleted: {about}")
                self._texts.pop(target.message_id, None)
        if event.sender == self._peer:
            await self._me.mark_read(event.sender)

    # --- what is typed ---

    async def _input(self) -> int:
        keys: asyncio.Queue[bytes] = asyncio.Queue()
        read_input(keys)
        self._prompt()
        while data := await keys.get():
            before = self._editor.text
            lines = self._editor.feed(data)
            self._prompt()
            for done in lines:
                if isinstance(done, End) or (isinstance(done, Line) and not await self._line(done.text)):
                    return 0
            if self._live and self._peer and self._editor.text not in ("", before) and self._editor.text[0] != "/":
                await self._me.set_typing(self._peer)
            self._prompt()
        if self._editor.text:
            await self._line(self._editor.text)
        await self._me.flush(timeout=LAST_ACCEPTED_S)
        return 0

    async def _line(self, text: str) -> bool:
        """Do what a line says; False when it says to leave."""
        command, _, rest = text.strip().partition(" ")
        if not command.startswith("/"):
            if text.strip():
                await self._send(text)
        elif command in ("/quit", "/exit", "/q"):
            return False
        elif command == "/to" and rest.strip():
            self._look_for(rest.strip())
        elif command == "/link":
            await self._link()
        elif command == "/who":
            for known in self._me.conversations():
                status = self._presence.get(known.peer, "")
                self._say(f"  @{await self._name(known.peer):20} {known.unread or 'no'} unread  {status}".rstrip())
        else:
            self._say(HELP)
        return True

    async def _send(self, text: str) -> None:
        import iris_sdk as sdk

        if self._peer is None:
            self._say("nobody to send it to yet: /to @NAME", RED)
            return
        try:
            sent = await self._me.send(self._peer, text, mentions=find(text, {self._peer_name: self._peer}))
        except sdk.PayloadTooLarge:
            self._say("that is too long for one message", RED)
        except sdk.OutboxFull:
            self._say("too many messages wait already; they go out when the server can be reached", RED)
        except sdk.ApiError as error:
            self._say(f"that was refused ({error.name})", RED)
        else:
            status = self._me.status(sent.message_id)
            self._message(sent.message_id, "you", _now_ms(), text, status.state if status else "queued")

    async def _link(self) -> None:
        import iris_sdk as sdk

        try:
            line, code = await offer(self._me)
        except sdk.IrisError as error:
            self._say(f"no code now: {error}", RED)
            return
        self._say("\n".join([drawn(line.line), *told(line, code)]), "")

    # --- whom we talk to ---

    def _look_for(self, who: str) -> None:
        if self._finding is not None:
            self._finding.cancel()
        self._finding = asyncio.create_task(self._open(who))

    async def _open(self, who: str) -> None:
        """Find `who`, waiting until they exist and the server can be reached; then show the conversation."""
        import iris_sdk as sdk

        name, told = "@" + who.removeprefix("@"), ""
        while True:
            try:
                user = await self._me.resolve(who)
                break
            except sdk.UnknownUser:
                problem = f"there is no {name} yet; waiting for them"
            except sdk.Offline:
                problem = f"the server cannot be reached; waiting to look for {name}"
            except sdk.ApiError as error:
                problem = f"cannot look for {name} now ({error.name}); waiting"
            if told != problem:
                self._say(problem)
                told = problem
            await asyncio.sleep(PEER_WAIT_S)
        if user == self._me.user:
            self._say("that is you; messages to oneself are not sent", RED)
            return
        self._peer, self._peer_name = user, await self._name(user)
        await self._me.watch([user])
        self._say(f"you talk to @{self._peer_name}", GREEN)
        for one in self._me.screen(user, limit=HISTORY_LINES):
            mine = one.sender == self._me.user
            who = "you" if mine else self._peer_name
            self._message(one.message_id, who, one.at or _now_ms(), _words(one), one.state if mine else None)
        await self._me.mark_read(user)
        self._prompt()

    # --- how it looks ---

    def _message(self, message_id: str, who: str, at: int, text: str | None, state: str | None, hint: str = "") -> None:
        if message_id in self._texts:  # shown by the history already
            if state is not None:
                self._screen.update(message_id, state, self._texts[message_id])
            return
        shown = "[this version cannot show it]" if text is None else clean(text)
        self._texts[message_id] = shown
        while len(self._texts) > TEXTS_MAX:
            del self._texts[next(iter(self._texts))]
        clock = self._screen.colour(DIM, datetime.fromtimestamp(at / 1000).astimezone().strftime("%H:%M"))
        name = self._screen.colour(BOLD, clean(who))
        self._screen.line(f"{clock} {name}  {shown}{self._screen.colour(DIM, hint)}", tick=state, key=message_id)

    def _say(self, text: str, colour: str = DIM) -> None:
        for line in text.splitlines():
            self._screen.line(self._screen.colour(colour, line))

    def _prompt(self) -> None:
        state = str(self._me.state)
        connected = state in ("live", "held_elsewhere")
        parts = [] if connected else [f"[{state.replace('_', ' ')}] "]
        if self._peer is not None:
            parts.append(f"@{self._peer_name}")
            if connected and self._peer in self._typing:
                parts.append(" is typing…")
            elif connected and self._presence.get(self._peer) in ("online", "offline"):
                parts.append(f" ({self._presence[self._peer]})")
        self._screen.input("".join(parts).strip() + " > ", self._editor.text, self._editor.cursor)

    async def _name(self, user: str) -> str:
        return await self._me.handle_of(user) or user


def _words(shown: Shown) -> str | None:
    """A message on one line; None for what this version cannot show."""
    if shown.kind != "text":
        return "(deleted)" if shown.kind == "deleted" else None
    reactions = "".join(f" {one.emoji}{len(one.users) if len(one.users) > 1 else ''}" for one in shown.reactions)
    return f"{shown.body}{' (edited)' if shown.edited_at else ''}{f'  [{reactions[1:]}]' if reactions else ''}"


def _size() -> tuple[int, int]:
    columns, rows = shutil.get_terminal_size()
    return columns, rows


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _now_ms() -> int:
    return int(time.time() * 1000)
