"""What the full-screen chat shows and does, without a screen: conversations, one open conversation, what is written.

    talks = Talks(me, changed=redraw)
    await talks.start("@bob")          # afterwards `entries`, `shown`, `title`, `status` are there to be drawn
    await talks.run()                  # until the client is closed; calls `changed` when something is to be drawn anew

Owns what is open, how many messages of it are shown, replies and edits under way, drafts, names, presence and typing.
Must not know widgets. Everything that was said is read from the profile, so that other programs on it are seen too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iris.cli.errors import CliError
from iris.cli.link import drawn, offer, told
from iris.cli.mentions import complete, find, pieces
from iris.cli.screen import clean

if TYPE_CHECKING:
    from iris_sdk import Client, Event, Shown

ENTRIES_MAX = 200  # conversations in the list, newest first; the others are found by name
PAGE = 50  # messages that are added when somebody scrolls up
SHOWN_MAX = 2000  # messages of the open conversation
PREVIEW_LETTERS = 60
WATCHES_MAX = 200  # people of the list whose presence is asked for
REFRESH_S = 0.05  # several changes within this are one
LOOK_AGAIN_S = 2.0  # for a handle that nobody has yet, or without a server
TYPING_EVERY_S = 3.0  # while keys are pressed
NAME_WAIT_S = 0.3  # for a name that must be asked for; then its id is shown until it is known
NAME_AGAIN_S = 30.0  # between two questions for a name that could not be answered
STATES = {
    "offline": "offline: what you write is kept and sent later",
    "connecting": "connecting …",
    "catching_up": "catching up …",
    "live": "connected",
    "held_elsewhere": "connected through another program",
    "closed": "closed",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list. `preview` says who, when it was me."""

    user: str
    name: str
    unread: int
    preview: str
    at: int
    presence: str  # online, offline, or "" when it is not told
    typing: bool


class Talks:
    """One person's conversations on one device."""

    def __init__(self, me: Client, changed: Callable[[], None]) -> None:
        self.me = me
        self.entries: list[Entry] = []
        self.open: str | None = None  # user id of the other one
        self.shown: list[Shown] = []
        self.more = False  # whether older messages can be asked for
        self.reply_to: Shown | None = None
        self.editing: Shown | None = None
        self.notice = ""  # what went wrong last, or what is waited for
        self.active = True  # somebody looks: what is shown is read
        self._changed = changed
        self._limit = PAGE
        self._names: dict[str, str] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}  # for names: at most one for each entry of the list
        self._presence: dict[str, str] = {}
        self._typing: set[str] = set()
        self._drafts: dict[str, str] = {}
        self._watched: list[str] = []
        self._dirty = asyncio.Event()
        self._finding: asyncio.Task[None] | None = None
        self._typed_at = 0.0

    # --- life ---

    async def start(self, to: str | None = None) -> None:
        """Read the profile, and look for somebody."""
        await self.refresh()
        if to is not None:
            self.look_for(to)
        elif self.entries:
            await self.choose(self.entries[0].user)

    async def run(self) -> None:
        """Follow what happens. Raises CliError when the server closes for good, and what the SDK raises."""
        events = self.me.events()
        if self.me.state == "closed":  # before anybody listened
            raise self._closed(self.me.closed_reason)
        drawing = asyncio.create_task(self._draw())
        try:
            async for event in events:
                await self._take(event)
                self._dirty.set()
        finally:
            tasks = [task for task in (drawing, self._finding, *self._asking.values()) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- what is drawn ---

    @property
    def title(self) -> str:
        """The open conversation's head: name, and what they do."""
        if self.open is None:
            return "nobody yet: press Ctrl+T and say whom to talk to"
        doing = "is typing …" if self.open in self._typing else self._presence.get(self.open, "")
        return f"@{self._names.get(self.open, self.open)}   {doing}".rstrip()

    @property
    def status(self) -> str:
        """The connection, and what waits in the outbox."""
        said = STATES.get(str(self.me.state), str(self.me.state))
        return f"@{self.me.handle} · {said}{f' · {self.notice}' if self.notice else ''}"

    @property
    def composing(self) -> str:
        """What the composer is for, when it is not for a plain message."""
        if self.editing is not None:
            return f"changing: {self._short(self.editing)}"
        if self.reply_to is not None:
            return f"answer to {self.name(self.reply_to.sender)}: {self._short(self.reply_to)}"
        return ""

    @property
    def draft(self) -> str:
        """What was being written to the one who is open."""
        return self._drafts.get(self.open or "", "")

    def name(self, user: str) -> str:
        """A handle for a user id; "you" for oneself."""
        return "you" if user == self.me.user else self._names.get(user, user[:8])

    def quoted(self, shown: Shown) -> str:
        """The message that one answers, in a line; "" for none."""
        if shown.reply_to is None:
            return ""
        target = self.me.shown(shown.reply_to)
        return "a message that is not here" if target is None else f"{self.name(target.sender)}: {self._short(target)}"

    # --- what people do ---

    async def choose(self, user: str) -> None:
        """Open the conversation with somebody."""
        self.open, self._limit = user, PAGE
        self.reply_to = self.editing = None
        await self._name(user)
        await self.refresh()

    def look_for(self, who: str) -> None:
        """Open the conversation with whoever has this handle, as soon as somebody does."""
        if self._finding is not None:
            self._finding.cancel()
        self._finding = asyncio.create_task(self._find(who))

    async def older(self) -> None:
        """Show a page more."""
        if self.more and self._limit < SHOWN_MAX:
            self._limit = min(self._limit + PAGE, SHOWN_MAX)
            await self.refresh()

    async def write(self, text: str) -> bool:
        """Send what was written, or change what is being edited; False when it could not be, and `notice` says why."""
        import iris_sdk as sdk

        if not text.strip():
            return False
        if self.open is None:
            self._tell("nobody to send it to yet")
            return False
        try:
            if self.editing is not None:
                await self.me.edit(self.editing, text, find(text, self._users))
            else:
                await self.me.send(self.open, text, reply_to=self.reply_to, mentions=find(text, self._users))
        except sdk.PayloadTooLarge:
            self._tell("that is too long for one message")
        except sdk.OutboxFull:
            self._tell("too many messages wait already")
        except (sdk.ApiError, ValueError) as error:
            self._tell(f"that was refused: {error}")
        else:
            self.reply_to = self.editing = None
            self.notice = ""
            self._drafts.pop(self.open, None)
            await self.refresh()
            return True
        return False

    async def typed(self, text: str) -> None:
        """Keys were pressed: keep the draft, and let the other one know now and then."""
        if self.open is None:
            return
        if self.editing is None:
            self._drafts[self.open] = text
        now = asyncio.get_running_loop().time()
        if text and now - self._typed_at >= TYPING_EVERY_S:
            self._typed_at = now
            await self.me.set_typing(self.open)

    def completed(self, text: str) -> str | None:
        """The text with the name that is begun at its end, of somebody who is known here."""
        return complete(text, self._users)

    def mentions_me(self, shown: Shown) -> bool:
        """Whether somebody else names me in it."""
        return shown.sender != self.me.user and any(one.user == self.me.user for one in shown.mentions)

    @property
    def _users(self) -> dict[str, str]:
        return {handle: user for user, handle in self._names.items() if user != self.me.user}

    def answer(self, shown: Shown) -> None:
        """What is written next answers this."""
        self.reply_to, self.editing = shown, None
        self._changed()

    def change(self, shown: Shown) -> bool:
        """What is written next takes the place of this; False when it is not a text of mine."""
        if shown.sender != self.me.user or shown.kind != "text":
            self._tell("only your own texts can be changed")
            return False
        self.reply_to, self.editing = None, shown
        self._changed()
        return True

    def cancel(self) -> None:
        """Write a plain message again."""
        self.reply_to = self.editing = None
        self.notice = ""
        self._changed()

    async def react(self, shown: Shown, emoji: str) -> None:
        """Put an emoji to a message; the same one again takes it back."""
        mine = {one.emoji for one in shown.reactions if self.me.user in one.users}
        await self._do(lambda: self.me.react(shown, "" if emoji in mine else emoji))

    async def forward(self, shown: Shown, to: str) -> None:
        """Send its words to somebody else."""
        await self._do(lambda: self.me.forward(shown, to))

    async def delete(self, shown: Shown) -> None:
        """Delete for everyone, when it is mine."""
        await self._do(lambda: self.me.delete(shown))

    async def hide(self, shown: Shown) -> None:
        """Delete for me, on this device."""
        await self._do(lambda: self.me.hide(shown))

    async def link(self) -> str | None:
        """What to show for a new device to be let in; None when there is no code now."""
        import iris_sdk as sdk

        try:
            line, code = await offer(self.me)
        except sdk.IrisError as error:
            self._tell(f"no code now: {error}")
            return None
        return "\n".join([drawn(line.line), *told(line, code)])

    async def look(self, active: bool) -> None:
        """Somebody looks at the screen, or no longer does."""
        self.active = active
        if active:
            await self.refresh()

    # --- inside ---

    async def refresh(self) -> None:
        """Read anew what is shown."""
        conversations = self.me.conversations()
        if self.open is not None:
            known = any(one.peer == self.open for one in conversations)
            page = self.me.screen(self.open, self._limit + 1) if known else []
            self.more = len(page) > self._limit
            self.shown = page[-self._limit :]
            if self.active and any(one.peer == self.open and one.unread for one in conversations):
                await self.me.mark_read(self.open)
                conversations = self.me.conversations()
        self.entries = [
            Entry(
                one.peer, await self._name(one.peer), one.unread, self._preview(one.peer), one.last_at,
                self._presence.get(one.peer, ""), one.peer in self._typing,
            )
            for one in conversations[:ENTRIES_MAX]
            if one.peer
        ]  # fmt: skip
        await self._watch()
        self._changed()

    async def _draw(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self.refresh()
            await asyncio.sleep(REFRESH_S)

    async def _take(self, event: Event) -> None:
        import iris_sdk as sdk

        match event:
            case sdk.Message():
                self._typing.discard(event.sender)
            case sdk.Presence():
                self._presence[event.user] = event.status if event.status in ("online", "offline") else ""
            case sdk.Typing():
                (self._typing.add if event.active else self._typing.discard)(event.sender)
            case sdk.HistoryGap():
                self.notice = "some older messages could not be kept for this device"
            case sdk.StateChange(state="refused"):
                self.notice = f"a message was refused ({event.code})"
            case sdk.ConnectionChange(state="closed"):
                raise self._closed(self.me.closed_reason or event.reason)

    def _closed(self, reason: str) -> Exception:
        return self.me.error or CliError(
            f"the server closed this device's connection: {reason}",
            "another program may have logged it out; log in again with `iris login`",
        )

    async def _find(self, who: str) -> None:
        import iris_sdk as sdk

        name = "@" + who.removeprefix("@")
        while True:
            try:
                user = await self.me.resolve(who)
                break
            except sdk.UnknownUser:
                self._tell(f"there is no {name} yet; waiting for them")
            except sdk.Offline:
                self._tell(f"the server cannot be reached; waiting to look for {name}")
            except sdk.ApiError as error:
                self._tell(f"cannot look for {name} now ({error.name}); waiting")
            await asyncio.sleep(LOOK_AGAIN_S)
        if user == self.me.user:
            self._tell("that is you; messages to oneself are not sent")
            return
        self.notice = ""
        await self.choose(user)

    async def _watch(self) -> None:
        wanted = [one.user for one in self.entries[:WATCHES_MAX]]
        if self.open is not None and self.open not in wanted:
            wanted = [self.open, *wanted[: WATCHES_MAX - 1]]
        if sorted(wanted) != sorted(self._watched):
            self._watched = wanted
            await self.me.watch(wanted)

    async def _name(self, user: str) -> str:
        """The name; for one that is slow to come, the id for now."""
        if user not in self._names and user not in self._asking:
            self._asking[user] = asyncio.create_task(self._ask_name(user))
            await asyncio.wait([self._asking[user]], timeout=NAME_WAIT_S)
        return self._names.get(user, user[:8])

    async def _ask_name(self, user: str) -> None:
        try:
            known = await self.me.handle_of(user)
            if known is None:
                await asyncio.sleep(NAME_AGAIN_S)  # until then nobody asks again
                return
            self._names[user] = known
        finally:
            del self._asking[user]
            self._dirty.set()

    async def _do(self, what: Callable[[], object]) -> None:
        import iris_sdk as sdk

        try:
            await what()  # type: ignore[misc]
        except (sdk.IrisError, ValueError, KeyError) as error:
            self._tell(f"not done: {error}")
        else:
            await self.refresh()

    def _preview(self, user: str) -> str:
        newest = self.me.screen(user, 1)
        if not newest:
            return ""
        who = "you: " if newest[0].sender == self.me.user else "mentions you: " if self.mentions_me(newest[0]) else ""
        return who + self._short(newest[0])

    def _short(self, shown: Shown) -> str:
        text = words(shown).replace("\n", " ")
        return text if len(text) <= PREVIEW_LETTERS else text[: PREVIEW_LETTERS - 1] + "…"

    def _tell(self, notice: str) -> None:
        self.notice = notice
        self._changed()


def named(shown: Shown) -> list[tuple[str, str]]:
    """(words, whom they name or "") of a message, safe for a terminal."""
    if shown.kind != "text":
        return [(words(shown), "")]
    return [(_safe(text), user) for text, user in pieces(shown.body, shown.mentions)]


def words(shown: Shown) -> str:
    """The words of a message, safe for a terminal."""
    if shown.kind == "deleted":
        return "this message was deleted"
    if shown.kind != "text":
        return "this version of Iris cannot show this message; a newer one can"
    return _safe(shown.body)


def _safe(text: str) -> str:
    return "\n".join(clean(line) for line in text.split("\n"))
