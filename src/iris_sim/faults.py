"""What goes wrong, one function for each kind of fault. Each says in words what it did, "" for nothing.

A fault that lasts ends by itself, or when the run heals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from iris_sim.client import Device
from iris_sim.network import Link
from iris_sim.observer import Step
from iris_sim.operations import pick, start_again
from iris_sim.plan import CHOICES
from iris_sim.server import Server

if TYPE_CHECKING:
    from iris_sim.world import World

SECOND: Final = 1_000_000
DAY_MS: Final = 86_400_000
TOKENS = ("access_token", "access_until", "gen", "jti", "token_ends", "secret", "nonce")


def _server(world: World, number: int) -> Server:
    return world.servers[number % len(world.servers)]


def _period(world: World, duration: int, begin: Callable[[], None], end: Callable[[], None]) -> None:
    """It lasts so long, or until faults end."""

    def over() -> None:
        if over in world.periods:
            world.periods.remove(over)
            world.trouble()
            end()

    begin()
    world.periods.append(over)
    world.after(duration, over)


def _connected(world: World, number: int) -> Device | None:
    there = [device for device in world.devices if device.link is not None]
    return there[number % len(there)] if there else None


def _cut(world: World, step: Step) -> str:
    device = _connected(world, step.a)
    if device is None:
        return ""
    device.cut(step.b / CHOICES, silent=step.c % 5 == 0)
    return f"{device.name}'s connection breaks"


def _vanish(world: World, step: Step) -> str:
    device = _connected(world, step.a)
    if device is None or device.link is None:
        return ""
    duration = (1, 4, 12, 25)[step.b % 4] * SECOND
    way = step.c % 3
    device.link.stall(duration if way != 1 else 0, duration if way != 0 else 0)
    return f"{device.name} {('is not heard', 'does not hear', 'is cut off')[way]} for {duration // SECOND} s"


def _cut_off(world: World, step: Step) -> str:
    server = _server(world, step.a)
    duration = (1, 4, 25)[step.b % 3] * SECOND
    for conn in list(server.process.conns.values()):
        conn.stall(duration, duration)
    return f"the clients of server {server.number} are cut off for {duration // SECOND} s"


def _kill(world: World, step: Step) -> str:
    device = pick(world, step.a)
    if device is None or device.core is None:
        return ""
    device.kill(done=step.b % 2 == 0, silent=step.b % 8 == 1)
    world.after((1_000, 300_000, 3 * SECOND, 15 * SECOND)[step.c % 4], start_again, device)
    return f"{device.name} is killed"


def _slow_client(world: World, step: Step) -> str:
    device = pick(world, step.a)
    if device is None:
        return ""

    def begin() -> None:
        device.disk = (50_000, 500_000, 3 * SECOND)[step.b % 3]

    def end() -> None:
        device.disk = 200

    _period(world, (2 + step.c % 9) * SECOND, begin, end)
    return f"{device.name}'s disk is slow"


def _restore_profile(world: World, step: Step) -> str:
    device = pick(world, step.a)
    if device is None or not device.copies:
        return ""
    copy = device.copies[step.b % len(device.copies)]
    device.kill(done=True)
    old = device.profile
    device.profile = copy.copy()
    if step.c % 3:  # the tokens are newer than the backup of the rest, or were not used since
        device.profile.set_meta(**{name: old.meta(name) for name in TOKENS})
    device.restored = True
    world.after(200_000, start_again, device)
    return f"{device.name}'s profile is set back"


def _crash(world: World, step: Step) -> str:
    server = _server(world, step.a)
    if not server.alive:
        return ""
    server.crash(torn=step.b % 3 > 0, downtime=(10_000, 400_000, 4 * SECOND, 12 * SECOND)[step.c % 4])
    return f"server {server.number} crashes"


def _drain(world: World, step: Step) -> str:
    server = _server(world, step.a)
    if not server.alive or server.process.paused:
        return ""
    server.drain(downtime=(10_000, SECOND)[step.b % 2])
    return f"server {server.number} is stopped and started"


def _pause(world: World, step: Step) -> str:
    server = _server(world, step.a)
    if not server.alive or server.process.paused:
        return ""
    duration = (300_000, 2 * SECOND, 5 * SECOND, 12 * SECOND)[step.b % 4]
    server.process.pause(duration)
    world.trouble()
    return f"server {server.number} stands still for {duration // 1000} ms"


def _slow_disk(world: World, step: Step) -> str:
    server = _server(world, step.a)

    def begin() -> None:
        server.sync = (50_000, 400_000, 2 * SECOND)[step.b % 3]

    def end() -> None:
        server.sync = world.plan.disk

    _period(world, (1 + step.c % 8) * SECOND, begin, end)
    world.trouble()
    return f"server {server.number}'s disk is slow"


def _slow_reads(world: World, step: Step) -> str:
    server = _server(world, step.a)

    def begin() -> None:
        server.read = (20_000, 300_000, 2 * SECOND)[step.b % 3]

    def end() -> None:
        server.read = world.plan.read

    _period(world, (1 + step.c % 6) * SECOND, begin, end)
    world.trouble()
    return f"server {server.number} reads slowly"


def _full(world: World, step: Step) -> str:
    server = _server(world, step.a)
    if not server.alive:
        return ""
    server.full = True
    return f"server {server.number}'s disk is full"


def _noise(kind: str) -> Callable[[World, Step], str]:
    def do(world: World, step: Step) -> str:
        links = [
            link
            for one, row in enumerate(world.links)
            for other, link in enumerate(row)
            if one != other or world.plan.local_noise
        ]
        if not links:
            return ""
        if step.a % 2:
            links = [links[step.b % len(links)]]
        share = (0.02, 0.1, 0.4)[step.c % 3]
        _period(world, (1 + step.c % 13) * SECOND, *_shares(links, kind, share))
        return f"{share:.0%} of the batches between servers are {kind}"

    return do


def _shares(links: list[Link], kind: str, share: float) -> tuple[Callable[[], None], Callable[[], None]]:
    entry = (kind, share)

    def begin() -> None:
        for link in links:
            link.noise.append(entry)

    def end() -> None:
        for link in links:
            link.noise.remove(entry)

    return begin, end


def _partition(world: World, step: Step) -> str:
    nodes = len(world.servers)
    side = {number for number in range(nodes) if step.a >> number & 1}
    if not side or len(side) == nodes:
        return ""
    there = [world.links[one][other] for one in side for other in range(nodes) if other not in side]
    back = [world.links[other][one] for one in side for other in range(nodes) if other not in side]
    links = (there + back, there, there + back, back)[step.b % 4]

    def begin() -> None:
        for link in links:
            link.blocked += 1

    def end() -> None:
        for link in links:
            link.blocked -= 1

    duration = (300_000, 2 * SECOND, 6 * SECOND, 20 * SECOND)[step.c % 4]
    _period(world, duration, begin, end)
    world.trouble()
    one_way = "" if len(links) > len(there) else ", one way only"
    return f"servers {sorted(side)} and the others are parted for {duration // 1000} ms{one_way}"


def _no_answer(world: World, step: Step) -> str:
    def begin() -> None:
        world.api.loss = 0.5

    def end() -> None:
        world.api.loss = 0.0

    _period(world, (1 + step.a % 10) * SECOND, begin, end)
    return "half of the requests of the API get no answer"


def _restore_store(world: World, step: Step) -> str:
    server = _server(world, step.a)
    if not server.backups:
        return ""
    name = server.backups[step.b % len(server.backups)]
    server.restore(name, SECOND)
    return f"server {server.number}'s store is set back to {name}"


def _skew(world: World, step: Step) -> str:
    server = _server(world, step.a)
    by = (300, 4_000, 30_000, 100_000)[step.b % 4] * (1 if step.c % 2 else -1)
    server.shift += by
    world.trouble()
    return f"server {server.number}'s clock jumps by {by} ms"


def _skew_far(world: World, step: Step) -> str:
    server = _server(world, step.a)
    by = (2, 40, 100)[step.b % 3] * DAY_MS * (1 if step.c % 3 else -1)

    def begin() -> None:
        server.shift += by

    def end() -> None:
        server.shift -= by

    _period(world, (1 + step.c % 8) * SECOND, begin, end)
    world.trouble()
    return f"server {server.number}'s clock is {by // DAY_MS} days off"


def _skew_client(world: World, step: Step) -> str:
    device = pick(world, step.a)
    if device is None:
        return ""
    by = (2_000, 60_000, 3_600_000, 40 * DAY_MS)[step.b % 4] * (1 if step.c % 2 else -1)
    device.shift += by
    return f"{device.name}'s clock jumps by {by} ms"


def _leap(world: World, step: Step) -> str:
    days = (1, 8, 31, 65, 95)[step.a % 5]
    for device in world.devices:
        device.cut(1.0)
    world.leap(days * DAY_MS)
    return f"{days} days pass"


DO: dict[str, Callable[[World, Step], str]] = {
    "cut": _cut,
    "vanish": _vanish,
    "cut_off": _cut_off,
    "kill": _kill,
    "slow_client": _slow_client,
    "restore_profile": _restore_profile,
    "crash": _crash,
    "drain": _drain,
    "pause": _pause,
    "slow_disk": _slow_disk,
    "slow_reads": _slow_reads,
    "full": _full,
    "lose": _noise("lose"),
    "repeat": _noise("repeat"),
    "late": _noise("late"),
    "hollow": _noise("hollow"),
    "partition": _partition,
    "no_answer": _no_answer,
    "restore_store": _restore_store,
    "skew": _skew,
    "skew_far": _skew_far,
    "skew_client": _skew_client,
    "leap": _leap,
}
