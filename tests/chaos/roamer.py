"""A device in a process of its own, so that it can be killed in the middle of anything.

    python -m tests.chaos.roamer PROFILE PEER...   talks and listens; a line of JSON for every message it has shown

It numbers what it says from its own profile: what was put there before a kill is not said again.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from iris_sdk import Client, Message, OwnCopy, Row
from iris_sdk.catalogue import Limits

if TYPE_CHECKING:
    from tests.chaos.ledger import Device, Ledger

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0


def text_of(device: str, number: int) -> str:
    """What a device says: every text once, and of every length, so that commits cross sectors and blocks."""
    return f"{device} {number:06} " + "x" * (number * 97 % 1500)


class Roamer:
    """The process, seen from the test."""

    def __init__(self, device: Device, peers: list[str], ledger: Ledger) -> None:
        self.device, self.peers, self._ledger = device, peers, ledger
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.kills = 0

    async def start(self) -> None:
        """A new life; returns when its profile is open."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.chaos.roamer", str(self.device.profile), *self.peers,
            cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), START_S)
        assert line, f"the roaming device {self.device.name} did not start"
        self._reading = asyncio.create_task(self._read(self._process.stdout))

    async def kill(self) -> None:
        """kill -9, and read what it had printed."""
        if self._process is None or self._reading is None:
            return
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading
        self._process = None
        self.kills += 1

    async def _read(self, lines: asyncio.StreamReader) -> None:
        life: set[str] = set()
        while (line := await lines.readline()).endswith(b"\n"):
            said = json.loads(line)
            if "marked" in said:
                place = (self.device.user, said["writer"])
                self._ledger.marked[place] = max(self._ledger.marked[place], said["marked"])
                continue
            if said["shown"] in life:
                self._ledger.blame(f"{self.device.name} showed {said['shown']} twice in one life")
            life.add(said["shown"])
            self._ledger.order[self.device.name].append(said["shown"])

    def texts(self, client: Client, peer: str) -> list[str]:
        """What this device has said to somebody; blames a hole, which would be a message that the profile lost."""
        rows = client._reader._db.execute(
            "SELECT text FROM history WHERE kind = 'sent' AND conversation = ? ORDER BY n",
            (bytes.fromhex(self._conversation(client, peer)),),
        )
        texts = [str(text) for (text,) in rows]
        if texts != [text_of(self.device.name, n) for n in range(len(texts))]:
            self._ledger.blame(f"{self.device.name} lost what it had put into its own outbox")
        return texts

    @staticmethod
    def _conversation(client: Client, peer: str) -> str:
        from iris_sdk.ids import direct_conversation, user_from_text

        return direct_conversation(user_from_text(client.user), user_from_text(peer)).hex()


async def live_on(profile: str, peers: list[str]) -> None:
    """Talk and listen until killed."""
    chance = random.Random()
    async with Client(profile, limits=Limits(reconnect_max_ms=1000)) as me:
        print("{}", flush=True)
        name = f"{me.handle}.{me.device}"

        async def talk() -> None:
            said = {peer: sum(row.kind == "sent" for row in everything(me, peer)) for peer in peers}
            while True:
                peer = chance.choice(peers)
                count = chance.randint(1, 4)
                await me.send_many(peer, [text_of(name, said[peer] + n) for n in range(count)])
                said[peer] += count
                await asyncio.get_running_loop().run_in_executor(None, _PAUSE.wait, chance.uniform(0.1, 0.5))

        talking = asyncio.create_task(talk())
        async for event in me.events(after=me.printed):
            if isinstance(event, Message | OwnCopy):
                print(json.dumps({"shown": event.message_id}), flush=True)
                await me.set_printed(event.n)
            if isinstance(event, Message) and chance.random() < 0.1:
                print(json.dumps({"marked": event.seq, "writer": event.sender}), flush=True)
                await me.mark_read(event)
            if talking.done():
                talking.result()


def everything(me: Client, peer: str) -> list[Row]:
    """All rows of a conversation."""
    rows: list[Row] = []
    after = 0
    while page := me.history(peer, after=after):
        rows += page
        after = page[-1].n
    return rows


if __name__ == "__main__":
    import threading

    _PAUSE = threading.Event()
    asyncio.run(live_on(sys.argv[1], sys.argv[2:]))
