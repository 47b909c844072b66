"""People who never stop talking: real SDK clients, several devices each, that send, read and mark as read all the time.

What each of them is told goes into a Ledger. A roaming device is a process of its own (roamer.py), to be killed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from iris_sdk import Client, Message
from iris_sdk.catalogue import Limits
from tests.chaos.ledger import Device, Ledger
from tests.chaos.roamer import Roamer, text_of
from tests.support.people import join, live, until_shown
from tests.support.server import Server

BATCH_MAX = 6
PAUSE_S = (0.1, 0.5)
WAITING_MAX = 200  # unanswered messages of a device: above it, it waits for the server
READ_EVERY = 7
SETTLE_S = 90.0
EAGER = Limits(reconnect_max_ms=1000)  # a server that is killed every two seconds is not met by a client that waits 30


async def wait(seconds: float) -> None:
    """Let some time go by: the pace of the load, never a wait for something to be true."""
    moment = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, moment.set)
    await moment.wait()


class Crowd:
    """`people` users in a ring, each talking to both neighbours from every device; the first `roaming` have one more
    device that is a process of its own.
    """

    def __init__(self, server: Server, folder: Path, seed: int, *, people: int, devices: int, roaming: int) -> None:
        self.server, self.folder, self.seed = server, folder, seed
        self.people, self.per_person, self.roaming = people, devices, roaming
        self.ledger = Ledger()
        self.clients: dict[str, Client] = {}
        self.roamers: list[Roamer] = []
        self._peers: dict[str, list[str]] = {}
        self._heard: dict[str, int] = {}  # number of the last event by device
        self._tasks: list[asyncio.Task[None]] = []
        self._listeners: list[asyncio.Task[None]] = []
        self._talking = asyncio.Event()

    async def __aenter__(self) -> Crowd:
        """Everybody has registered, is connected and talks."""
        users: list[list[Device]] = []
        for n in range(self.people):
            profiles = await join(self.server, self.folder, f"p{n:02}", self.per_person + (n < self.roaming))
            users.append([await self._device(profile) for profile in profiles])
        for n, devices in enumerate(users):
            around = (users[(n + step) % len(users)][0].user for step in (1, -1))
            peers = [user for user in dict.fromkeys(around) if user != devices[0].user]
            for device in devices:
                self._peers[device.name] = peers
                self.ledger.join(device)
            for device in devices[: self.per_person]:
                self.clients[device.name] = await Client(device.profile, limits=EAGER).open()
            self.roamers += [Roamer(device, peers, self.ledger) for device in devices[self.per_person :]]
        for client in self.clients.values():
            await live(client)
        self._talking.set()
        for device in self.ledger.devices:
            if device.name in self.clients:
                self._listeners.append(asyncio.create_task(self._listen(device)))
                self._tasks.append(asyncio.create_task(self._talk(device)))
        for roamer in self.roamers:
            await roamer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._talking.clear()
        for task in (*self._tasks, *self._listeners):
            task.cancel()
        for roamer in self.roamers:
            await roamer.kill()
        for client in self.clients.values():
            with suppress(Exception):
                await client.close()

    async def _device(self, profile: Path) -> Device:
        async with Client(profile, hold=False) as me:
            return Device(me.user, me.handle, me.device, profile)

    async def _talk(self, device: Device) -> None:
        chance = random.Random(f"{self.seed} {device.name}")
        client = self.clients[device.name]
        while self._talking.is_set():
            peer = chance.choice(self._peers[device.name])
            said = self.ledger.sent[device.name, peer]
            part = [text_of(device.name, len(said) + n) for n in range(chance.randint(1, BATCH_MAX))]
            await client.send_many(peer, part)
            said += part
            await wait(chance.uniform(*PAUSE_S))
            while self._talking.is_set() and self.waiting(client) > WAITING_MAX:
                await wait(0.05)

    async def _listen(self, device: Device) -> None:
        client = self.clients[device.name]
        count = 0
        async for event in client.events(after=0):
            self.ledger.hear(device, event)
            self._heard[device.name] = getattr(event, "n", self._heard.get(device.name, 0))
            if isinstance(event, Message):
                count += 1
                if count % READ_EVERY == 0:
                    place = (device.user, event.sender)
                    self.ledger.marked[place] = max(self.ledger.marked[place], event.seq)
                    await client.mark_read(event)

    @staticmethod
    def waiting(client: Client) -> int:
        """Messages of a client that have no answer yet."""
        return int(client._reader.waiting())

    @property
    def under_way(self) -> int:
        """Unanswered messages of everybody in this process: what a crash now makes them send again."""
        return sum(self.waiting(client) for client in self.clients.values())

    def check_tasks(self) -> None:
        """Raise what a talker or listener has raised."""
        for task in (*self._tasks, *self._listeners):
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error

    async def settle(self, within_s: float = SETTLE_S) -> None:
        """Everybody stops talking, gets an answer to everything and reads everything; what is missing then is lost."""
        self._talking.clear()
        await asyncio.gather(*self._tasks)
        for roamer in self.roamers:  # once more alive, in this process
            await roamer.kill()
            client = await Client(roamer.device.profile, limits=EAGER).open()
            self.clients[roamer.device.name] = client
            for peer in roamer.peers:
                self.ledger.sent[roamer.device.name, peer] = roamer.texts(client, peer)
            self._listeners.append(asyncio.create_task(self._listen(roamer.device)))
        devices = {device.name: device for device in self.ledger.devices}
        unanswered = await asyncio.gather(*(client.flush(timeout=within_s) for client in self.clients.values()))
        if any(unanswered):
            self.ledger.blame(f"{sum(unanswered)} messages got no answer within {within_s:.0f} s")
        for name, client in self.clients.items():
            await self._in_time(
                until_shown(client, self.ledger.expected(devices[name]), within_s),
                f"{name} did not get everything",
                within_s,
            )
        for name, client in self.clients.items():
            for peer in self._peers[name]:
                place = (devices[name].user, peer)
                self.ledger.marked[place] = 1 << 62
                await client.mark_read(peer)
        for name, client in self.clients.items():
            await self._in_time(until_read(client, within_s), f"{name} was not told that all was read", within_s)
        for name, client in self.clients.items():
            await self._in_time(
                self._until_heard(name, client, within_s), f"{name} did not emit all its events", within_s
            )
        self.check_tasks()

    async def _until_heard(self, name: str, client: Client, within_s: float) -> None:
        """Wait until the listener of a quiet client has heard all that its profile says."""
        newest = client._reader._db.execute("SELECT max(changed) FROM history").fetchone()[0]
        async with asyncio.timeout(within_s):
            while self._heard.get(name, 0) < newest:
                await wait(0.02)

    async def _in_time(self, awaited: object, what: str, within_s: float) -> None:
        try:
            await awaited  # type: ignore[misc]
        except TimeoutError:
            self.ledger.blame(f"{what} within {within_s:.0f} s")

    def judge(self) -> Sequence[str]:
        """Everything that is wrong; empty when every promise was kept."""
        self.ledger.judge(self.clients)
        return self.ledger.wrong


async def until_read(client: Client, within_s: float) -> None:
    """Wait until everything that this user sent is read."""
    async with asyncio.timeout(within_s):
        events = client.events()
        while True:
            states = client._reader._db.execute(
                "SELECT count(*) FROM history WHERE kind IN ('sent', 'own') AND state <> 'read'"
            ).fetchone()
            if not states[0]:
                return
            await anext(events)
