"""What is done to clients and their connections, each a short story about one crew.

A fault leaves its crew running (or logged out for good) and its gate healed; it ends soon once `calm` is set.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from iris_torture.crew import Crew
from iris_torture.gate import DOWN, UP

SKEWS_MS = (-86_400_000, -60_000, -3_000, 3_000, 60_000, 86_400_000)
COPIES_MAX = 4


@dataclass
class Run:
    """What faults need to know of the run. `scale`: long absences, in seconds."""

    chance: random.Random
    calm: asyncio.Event
    scale: float
    link: Callable[[Crew], Awaitable[bool]]

    async def pause(self, least: float, most: float) -> None:
        """Some time, less when the calm begins."""
        try:
            async with asyncio.timeout(self.chance.uniform(least, most)):
                await self.calm.wait()
        except TimeoutError:
            pass

    async def again(self, crew: Crew, **changes: object) -> None:
        """Start a crew that is down."""
        await crew.start(**changes)
        if not self.calm.is_set():
            crew.tell("talk")


async def cut(crew: Crew, run: Run) -> None:
    """The connection is reset."""
    crew.gate.cut()


async def tear(crew: Crew, run: Run) -> None:
    """The connection is reset in the middle of a frame."""
    crew.gate.tear()
    await run.pause(0.5, 2)
    crew.gate.heal()


async def swallow(crew: Crew, run: Run) -> None:
    """Answers are lost, then the connection: the client has to send again."""
    crew.gate.weather.swallow = True
    await run.pause(0.1, 3)
    crew.gate.heal()


async def silence_up(crew: Crew, run: Run) -> None:
    """What the client says does not arrive, and nobody is told."""
    crew.gate.silence(UP)
    await run.pause(1, 25)
    crew.gate.heal()


async def silence_down(crew: Crew, run: Run) -> None:
    """What the server says does not arrive, and nobody is told."""
    crew.gate.silence(DOWN)
    await run.pause(1, 25)
    crew.gate.heal()


async def stall(crew: Crew, run: Run) -> None:
    """Nothing passes for some seconds, then everything at once."""
    crew.gate.silence(UP, DOWN)
    await run.pause(1, 8)
    crew.gate.heal()


async def latency(crew: Crew, run: Run) -> None:
    """A slow network with jitter."""
    crew.gate.weather.delay_s = run.chance.uniform(0, 0.3)
    crew.gate.weather.jitter_s = run.chance.uniform(0, 0.5)
    await run.pause(3, 15)
    crew.gate.heal()


async def slow_reader(crew: Crew, run: Run) -> None:
    """A client that takes little a second from its socket."""
    crew.gate.weather.bytes_per_second = run.chance.choice((300, 3_000, 30_000))
    await run.pause(3, 15)
    crew.gate.heal()


async def slow_app(crew: Crew, run: Run) -> None:
    """A client whose application takes its time for each message."""
    await crew.quit()
    await run.again(crew, slow_s=0.05)
    await run.pause(3, 15)
    await crew.kill()
    await run.again(crew)


async def kill(crew: Crew, run: Run) -> None:
    """kill -9 of the client."""
    await crew.kill()
    if len(crew.copies) < COPIES_MAX:
        crew.keep_copy()
    await run.pause(0, 1)
    await run.again(crew)


async def offline(crew: Crew, run: Run) -> None:
    """A client that is away for long."""
    await crew.quit()
    await run.pause(run.scale / 2, run.scale)
    await run.again(crew)


async def restore(crew: Crew, run: Run) -> None:
    """The profile goes back to an older copy."""
    if not crew.copies:
        await kill(crew, run)
        await run.pause(1, 10)
    await crew.kill()
    await run.again(crew, restore=str(run.chance.choice(crew.copies)), skew_ms=0)


async def second(crew: Crew, run: Run) -> None:
    """A second process on the profile in use."""
    if crew.settled() or crew.said.get(crew.name, {}).get("state") == "live":
        await crew.probe()


async def skew(crew: Crew, run: Run) -> None:
    """A client whose clock is wrong, from here on."""
    await crew.kill()
    # A restored copy with a clock of another day would renew with a token that is used up: that is theft by the rules.
    crew.kept_skew_ms = run.chance.choice(SKEWS_MS[1:-1] if crew.copies else SKEWS_MS)
    await run.again(crew)


async def link(crew: Crew, run: Run) -> None:
    """One more device for the user."""
    await run.link(crew)


async def unlink(crew: Crew, run: Run) -> None:
    """The device is logged out."""
    if crew.name.endswith((".1", ".2")):
        return
    await crew.quit()
    crew.left = True
    await crew.start(leave=True)
    await crew.kill()


Fault = Callable[[Crew, Run], Awaitable[None]]
WEIGHTS: dict[Fault, int] = {
    cut: 6, tear: 6, swallow: 6, silence_up: 2, silence_down: 2, stall: 2, latency: 3, slow_reader: 3, slow_app: 2,
    kill: 6, offline: 2, restore: 3, second: 2, skew: 2, link: 1, unlink: 1,
}  # fmt: skip
FAULTS: dict[str, Fault] = {fault.__name__: fault for fault in WEIGHTS}


def named(names: str) -> list[Fault]:
    """From a list with commas; "all" and "none" too, and -name takes one away. Raises ValueError."""
    words = [word.strip() for word in names.split(",") if word.strip()]
    chosen = [] if words and words[0] == "none" else list(FAULTS)
    if words and words[0] not in ("all", "none") and not words[0].startswith("-"):
        chosen = []
    for word in words:
        name = word.removeprefix("-")
        if word in ("all", "none"):
            continue
        if name not in FAULTS:
            raise ValueError(f"{name!r} is none of {', '.join(FAULTS)}")
        if word.startswith("-"):
            chosen = [one for one in chosen if one != name]
        else:
            chosen.append(name)
    return [FAULTS[name] for name in chosen]
