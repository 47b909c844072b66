"""One device in a worker: sends, reads, and records everything that the device does and sees.

It survives the death of its process: the next one reads where the record ended and goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iris_torture.adapter import Device, Happened, Target, TargetError
from iris_torture.history import Log, parse

BURSTS = (1, 1, 1, 2, 3, 5, 12, 40)  # messages at once
SIZES = (0, 0, 0, 0, 20, 200, 2_000, 30_000)  # bytes after the label
LINK_TRIES = 5


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is told of one device."""

    name: str
    profile: str
    log: str
    handle: str
    password: str
    peers: list[str]  # user ids to write to
    rate: float  # sendings a second, on average
    seed: int
    slow_s: float = 0.0  # the reader's pause after each event
    skew_ms: int = 0
    restore: str | None = None  # a copy of the profile to go back to first
    leave: bool = False  # only log out


class Rider:
    """Runs one job."""

    def __init__(self, target: Target, job: Job) -> None:
        self._target, self._job = target, job
        self._profile, path = Path(job.profile), Path(job.log)
        self._last, self._made, self._known = _resume(path)
        self._log = Log(path, job.name)
        self._chance = random.Random(job.seed)
        self._device: Device | None = None
        self.peers = list(job.peers)
        self.talking = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._reading: dict[str, int] = {}
        self.done: dict[str, int] = {"queued": 0, "shown": 0}
        self.screens_written = False

    async def open(self) -> None:
        """Link the device when it is not, restore it when asked, then use it. Raises TargetError."""
        job = self._job
        if not self._target.exists(self._profile):
            await self._link()
        if job.leave:
            await self._drain()
            self._log.add("unlinking")
            await self._target.unlink(self._profile)
            return
        if job.restore is not None:
            await self._drain()
            shutil.rmtree(self._profile)
            shutil.copytree(job.restore, self._profile)
            await self._restored()
        self._log.add("opened", skew_ms=job.skew_ms)
        self._device = await self._target.open(self._profile)
        self._recover(self._device)
        self._tasks = [asyncio.create_task(work()) for work in (self._listen, self._talk)]

    async def _link(self) -> None:
        job = self._job
        for attempt in range(LINK_TRIES):
            try:
                await self._target.link(self._profile, job.handle, job.password, job.name)
                break
            except TargetError:
                if attempt == LINK_TRIES - 1:
                    raise
                await asyncio.sleep(0.5 * 2**attempt)
        me = self._target.identity(self._profile)
        self._log.add("linked", user=me.user, number=me.number)

    async def _drain(self) -> None:
        """Record what an earlier process took into the profile and did not live to record."""
        device = await self._target.open(self._profile, hold=False)
        try:
            self._recover(device)
            events = device.events(self._last)
            while (event := await _at_once(events)) is not None:
                self._record(event)
        finally:
            await device.close()

    async def _restored(self) -> None:
        device = await self._target.open(self._profile, hold=False)
        try:
            self._known = {row.id for row in device.held() if row.mine}
            self._last = device.position()
            held, waiting = device.held(), await device.waiting()
            self._log.add("restored", known={row.id: row.state for row in held}, waiting=waiting, last=self._last)
        finally:
            await device.close()

    def _recover(self, device: Device) -> None:
        """What is in the outbox although the process died before it could say so."""
        for row in device.held():
            if row.mine and row.id not in self._known:
                self._queued(row.id, row.text, row.to, row.n)

    def _queued(self, message: str, text: str, to: str, n: int) -> None:
        self._known.add(message)
        self.done["queued"] += 1
        self._log.add("queued", id=message, label=label_of(text), to=to, n=n)

    # --- what it does ---

    async def _listen(self) -> None:
        assert self._device is not None
        async for event in self._device.events(self._last):
            self._record(event)
            if event.what == "shown":
                self.done["shown"] += 1
                await self._perhaps_read(event.data)
            if self._job.slow_s:
                await asyncio.sleep(self._job.slow_s)

    def _record(self, event: Happened) -> None:
        data: dict[str, Any] = dict(event.data)
        if event.what == "shown":
            data["label"] = label_of(event.text)
        if event.n:
            data["n"] = event.n
            self._last = max(self._last, event.n)
        self._log.add(event.what, **data)

    async def _perhaps_read(self, data: dict[str, Any]) -> None:
        assert self._device is not None
        conversation, seq = str(data["conversation"]), int(data["seq"])
        if data["own"] or seq <= self._reading.get(conversation, 0) or self._chance.random() > 0.3:
            return
        self._reading[conversation] = seq
        self._log.add("reading", conversation=conversation, seq=seq)
        await self._device.read(conversation, seq)

    async def _talk(self) -> None:
        assert self._device is not None
        while True:
            await self.talking.wait()
            await asyncio.sleep(self._chance.expovariate(self._job.rate))
            if not self.talking.is_set() or not self.peers:
                continue
            to = self._chance.choice(self.peers)
            if self._chance.random() < 0.05:
                await self._device.chatter(to)
                continue
            texts = [self._text() for _ in range(self._chance.choice(BURSTS))]
            self._log.add("invoke", to=to, labels=[label_of(text) for text in texts])
            try:
                made = await self._device.send(to, texts)
            except TargetError as error:
                self._log.add("send_failed", why=str(error))
                continue
            for (message, n), text in zip(made, texts, strict=True):
                self._queued(message, text, to, n)

    def _text(self) -> str:
        self._made += 1
        return f"{self._job.name}-{self._made:06} " + "x" * self._chance.choice(SIZES)

    # --- what it tells ---

    async def status(self) -> dict[str, Any]:
        """For the driver."""
        said: dict[str, Any] = {"device": self._job.name, **self.done, "screens": self.screens_written}
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                said["error"] = f"{type(error).__name__}: {error}"
        if self._device is not None:
            said["state"], said["waiting"] = self._device.state(), await self._device.waiting()
        return said

    def write_screens(self) -> None:
        """Record every conversation as it is shown."""
        assert self._device is not None
        for peer, rows in self._device.screens().items():
            self._log.add("screen", peer=peer, rows=rows)
        self.screens_written = True

    async def close(self) -> None:
        """End cleanly; what is left unrecorded is recorded by the next process."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._device is not None:
            await self._device.close()
        self._log.close()


def label_of(text: str) -> str:
    """The name of a message, the first word of its text."""
    return text.partition(" ")[0]


def _resume(path: Path) -> tuple[int, int, set[str]]:
    """From the record so far: (the last place, messages made, ids of mine that are recorded in this life)."""
    last = made = 0
    known: set[str] = set()
    if path.exists():
        with path.open(encoding="utf-8") as file:
            for entry in parse(file):
                if entry.what == "restored":
                    last, known = entry.data["last"], set(entry.data["known"])
                elif entry.what == "queued":
                    known.add(entry.data["id"])
                elif entry.what == "invoke":
                    made = max(made, *(int(label.rpartition("-")[2]) for label in entry.data["labels"]))
                elif entry.what in ("shown", "state", "gap", "read_sync"):
                    last = max(last, entry.data["n"])
    return last, made, known


async def _at_once(events: AsyncIterator[Happened]) -> Happened | None:
    """The next event when there is one already; None when it has to be waited for."""
    task = asyncio.ensure_future(anext(events))
    for _ in range(5):  # reading a profile takes no turn of the loop; waiting for one does
        await asyncio.sleep(0)
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait([task])
    return None


async def probe(target: Target, profile: Path, log: Path, name: str) -> None:
    """Be a second process on a profile in use for a moment, and record what it is told."""
    record = Log(log, name)
    device = await target.open(profile)
    try:
        record.add("second", state=await _settled(device.events(1 << 60), device))
    finally:
        await device.close()
        record.close()


async def _settled(events: AsyncIterator[Happened], device: Device) -> str:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.5):
            while device.state() in ("offline", "connecting", "catching_up"):
                await anext(events)
    return device.state()
