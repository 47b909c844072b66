"""The people of `iris demo`: bots on the real SDK, one habit each, so that a newcomer sees every state at once.

A bot answers whoever writes to it, and now and then begins by itself with the guest, but never when the guest has not
read what came before: a demo that is left alone falls silent. Times are those of `Habits`, times the demo's pace.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from iris.cli.join import join

if TYPE_CHECKING:
    from iris_sdk import Client, Message

UNREAD_MAX = 2  # messages of its own that a bot leaves unread with the guest before it waits
SEND_WAIT_S = 30.0  # for a message to be accepted before it is edited or deleted


@dataclass(frozen=True, slots=True)
class Habits:
    """What a bot does. Times in seconds."""

    name: str
    about: str
    opening: tuple[str, ...]
    answers: tuple[str, ...]
    later: tuple[str, ...] = ()  # what it says by itself, one at a time
    read_after: float = 0.5
    types_for: float = 1.5
    every: float = 60.0
    emoji: str = ""
    quotes: bool = False  # answers with a reply
    second_thoughts: str = ""  # edit or delete: what becomes of what it says by itself
    online: float = 0.0  # 0: always; else it stays so long and is away so long
    away: float = 0.0
    contacts_only: bool = False


CAST = (
    Habits(
        "mira", "reads and answers at once, and reacts",
        ("Hello! Write to me: I read at once, and your ticks change colour.", "And I react to what you write."),
        ("Nice!", "Tell me more.", "I had the same thought this morning."),
        ("Lovely weather on this loopback.", "Have you written to @ines? She comes and goes."),
        emoji="👍", every=50,
    ),
    Habits(
        "tom", "is online, and reads late: delivered, not read, for a while",
        ("Hi. I get everything at once, but I look at it later.",),
        ("Sorry, I was busy. What you wrote was delivered long ago, and I read it now.", "Late again, I know."),
        read_after=20, types_for=3, every=120,
    ),
    Habits(
        "ines", "goes offline and comes back: one tick until she does",
        ("I am on a train with many tunnels. What you write waits for me on the server.",),
        ("Out of the tunnel again! Your message was waiting.", "Here I am, for a moment."),
        read_after=1, every=90, online=25, away=25,
    ),
    Habits(
        "otto", "types a lot, quotes, and changes his mind",
        ("I quote, and I edit what I said. Watch.",),
        ("This answers what you wrote.", "Quoting you, so that nobody forgets."),
        ("There is a tyop in this one.", "Did you know that Iris is a flower, a part of the eye and a messnger?"),
        types_for=6, every=40, quotes=True, second_thoughts="edit", emoji="😂",
    ),
    Habits(
        "lena", "regrets and deletes",
        ("I say things, and then I take them back.",),
        ("You did not see that.", "Forget what I said."),
        ("I think that I left the oven on.", "My password is … no."),
        types_for=2, every=55, second_thoughts="delete", emoji="❤️",
    ),
    Habits(
        "vera", "takes messages from her contacts only: yours are refused",
        ("I may write to you, but I take messages from my contacts only: yours will be refused.",), (),
        contacts_only=True, every=0,
    ),
)  # fmt: skip
CORRECTIONS = {"tyop": "typo", "messnger": "messenger"}


class Bot:
    """One of the cast, in a profile of its own."""

    def __init__(self, habits: Habits, profile: Path, server: str, pace: float) -> None:
        self._habits, self._profile, self._server, self._pace = habits, profile, server, pace
        self._said = 0

    async def exist(self) -> None:
        """Register and log in, unless the profile is there already."""
        await join(self._profile, self._server, self._habits.name, moved=True)

    async def live(self, guest: str) -> None:
        """Come and go until cancelled."""
        from iris_sdk import Offline

        while True:
            with contextlib.suppress(Offline):  # the server is being stopped
                await self._come(guest)
            await self._pause(max(self._habits.away, 1.0))

    async def _come(self, guest: str) -> None:
        """Once online, as long as the habits say."""
        from iris_sdk import Client

        habits = self._habits
        async with Client(str(self._profile)) as me:
            if habits.contacts_only:
                await me.api.update_me(privacy={"messages": "contacts"})
            await self._open(me, guest)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(habits.online * self._pace if habits.online else None):
                    await self._be_there(me, guest)

    async def _be_there(self, me: Client, guest: str) -> None:
        tasks = [asyncio.create_task(self._answer_all(me)), asyncio.create_task(self._begin(me, guest))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _open(self, me: Client, guest: str) -> None:
        """The first words, once."""
        user = await me.resolve(guest)
        if not any(known.peer == user for known in me.conversations()):
            await me.api.update_me(name=self._habits.name.capitalize())
            for line in self._habits.opening:
                await me.send(user, line)

    async def _answer_all(self, me: Client) -> None:
        """One after the other: whoever writes much waits longer, and nothing piles up here."""
        from iris_sdk import Message

        async for event in me.events(after=me.printed):
            if isinstance(event, Message):
                await self._answer(me, event)
                await me.set_printed(event.n)

    async def _answer(self, me: Client, message: Message) -> None:
        habits = self._habits
        await self._pause(habits.read_after)
        await me.mark_read(message)
        if habits.emoji:
            await me.react(message, habits.emoji)
        await self._type(me, message.sender)
        line = habits.answers[self._said % len(habits.answers)] if habits.answers else ""
        self._said += 1
        if line and habits.quotes:
            await me.reply(message, line)
        elif line:
            await me.send(message.sender, line)

    async def _begin(self, me: Client, guest: str) -> None:
        """Say something by oneself now and then, while the guest reads it."""
        habits = self._habits
        user = await me.resolve(guest)
        for turn in range(1 << 30):
            await self._pause(habits.every or 3600)
            if habits.later and _unread(me, user) < UNREAD_MAX:
                await self._type(me, user)
                await self._say(me, user, habits.later[turn % len(habits.later)])

    async def _say(self, me: Client, user: str, line: str) -> None:
        from iris_sdk import Ref

        sent = await me.send(user, line)
        if not self._habits.second_thoughts:
            return
        await me.wait(sent.message_id, "accepted", SEND_WAIT_S)
        await self._pause(5)
        mine = Ref(me.user, sent.message_id)
        if self._habits.second_thoughts == "delete":
            await me.delete(mine)
        else:
            for wrong, right in CORRECTIONS.items():
                line = line.replace(wrong, right)
            await me.edit(mine, line)

    async def _type(self, me: Client, user: str) -> None:
        await me.set_typing(user)
        await self._pause(self._habits.types_for)
        await me.set_typing(user, False)

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self._pace)


def _unread(me: Client, user: str) -> int:
    """How many of the newest messages are mine and not read."""
    count = 0
    for shown in reversed(me.screen(user, UNREAD_MAX)):
        if shown.sender != me.user or shown.state == "read":
            break
        count += 1
    return count


async def play(
    server: str, folder: Path, guest: str, pace: float, ready: Callable[[], None], cast: Sequence[Habits] = CAST
) -> None:
    """Let them all live until cancelled; `ready` is called when all of them exist. Raises what ends one of them."""
    bots = [Bot(habits, folder / habits.name, server, pace) for habits in cast]
    for bot in bots:
        await bot.exist()
    ready()
    async with asyncio.TaskGroup() as group:
        for bot in bots:
            group.create_task(bot.live(guest))
