"""An echo bot. Log it in once with `iris login`, then: python examples/bot.py PROFILE"""

import asyncio
import sys

from iris_sdk import Client, Message


async def main(profile: str) -> None:
    async with Client(profile) as me:
        async for event in me.events(after=me.printed):  # also what came while the bot was not running
            if isinstance(event, Message):
                await me.send(event.sender, f"You said: {event.text}")
                await me.set_printed(event.n)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
