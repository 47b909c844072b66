"""The driver's hand on one worker: its process, its gate, its devices and what they last said."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from iris_torture.adapter import TargetError
from iris_torture.gate import Gate
from iris_torture.history import Log
from iris_torture.rider import Job
from iris_torture.worker import Order

OPEN_S = 90.0  # for a worker to start and to link its devices
QUIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Where:
    """The server under test and the run's folder."""

    adapter: str
    url: str
    ca_file: str | None
    folder: Path

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme in ("https", "wss") else 80)

    def through(self, gate: int) -> tuple[str, tuple[str, int, int] | None]:
        """(URL, redirection) for a client that shall go through a gate on this port."""
        parts = urlsplit(self.url)
        if self.host in ("127.0.0.1", "localhost"):
            return f"{parts.scheme}://{self.host}:{gate}", None
        return self.url, (self.host, self.port, gate)


@dataclass
class Crew:
    """A worker with its devices, running or not."""

    where: Where
    jobs: list[Job]
    chance: random.Random
    process: asyncio.subprocess.Process | None = None
    said: dict[str, dict[str, Any]] = field(default_factory=dict)  # device → what it last said
    copies: list[Path] = field(default_factory=list)  # of the first device's profile, oldest first
    busy: bool = False  # a fault is being done to it
    errors: list[str] = field(default_factory=list)
    kept_skew_ms: int = 0
    left: bool = False  # logged out for good

    @property
    def name(self) -> str:
        """Of its first device."""
        return self.jobs[0].name

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def prepare(self) -> None:
        """The gate stands for the whole run: profiles remember its port. Raises OSError."""
        self.gate = Gate(self.where.host, self.where.port, self.chance)
        await self.gate.open()
        self.log = Log(self.where.folder / "history" / f"driver-{self.name}.jsonl", self.name)

    async def start(self, **changes: Any) -> None:
        """Start the worker; `changes` are fields of its jobs for this time. Raises TargetError."""
        changes = {"skew_ms": self.kept_skew_ms, **changes}
        jobs = [replace(job, seed=self.chance.getrandbits(32), **changes) for job in self.jobs]
        self.said = {}
        self.process = await self._spawn(jobs)
        self._reader = asyncio.create_task(self._read(self.process))
        try:
            async with asyncio.timeout(OPEN_S):
                while len(self.said) < len(jobs) and self.running and not self._failed():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise TargetError(f"the client of {self.name} did not start within {OPEN_S:.0f} s") from None
        if failed := self._failed():
            raise TargetError(failed)

    def _failed(self) -> str:
        return next((str(said["failed"]) for said in self.said.values() if "failed" in said), "")

    async def _spawn(self, jobs: list[Job], probe: bool = False) -> asyncio.subprocess.Process:
        url, via = self.where.through(self.gate.port)
        order = Order(self.where.adapter, url, self.where.ca_file, via, jobs, probe)
        with (self.where.folder / "workers.log").open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "iris_torture.worker",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(order.dump().encode() + b"\n")
        return process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if process is self.process:
                    self.said[said["device"]] = said
                if "error" in said and said["error"] not in self.errors:
                    self.errors.append(said["error"])

    def tell(self, word: str) -> None:
        """talk, quiet, screens or quit."""
        if self.running:
            assert self.process is not None
            assert self.process.stdin is not None
            with contextlib.suppress(ConnectionError):
                self.process.stdin.write(word.encode() + b"\n")

    def settled(self, state: str = "live") -> bool:
        """Whether every device is connected, has caught up and waits for no answer."""
        said = [self.said.get(job.name, {}) for job in self.jobs]
        return all(one.get("state") == state and one.get("waiting") == 0 for one in said)

    def count(self, what: str) -> int:
        return sum(int(said.get(what, 0)) for said in self.said.values())

    async def kill(self) -> None:
        """kill -9."""
        if self.running:
            assert self.process is not None
            self.process.kill()
        await self._end()

    async def quit(self) -> None:
        """End it cleanly, or kill it when it does not."""
        self.tell("quit")
        if self.running:
            assert self.process is not None
            try:
                await asyncio.wait_for(self.process.wait(), QUIT_S)
            except TimeoutError:
                self.errors.append(f"{self.name} did not end within {QUIT_S:.0f} s")
                self.process.kill()
        await self._end()

    async def _end(self) -> None:
        if self.process is not None:
            await self.process.wait()
            await self._reader

    def keep_copy(self) -> None:
        """Copy the first device's profile; only while nobody uses it."""
        copy = self.where.folder / "copies" / f"{self.name}-{len(self.copies)}"
        shutil.copytree(self.jobs[0].profile, copy)
        self.copies.append(copy)

    async def probe(self) -> None:
        """Start a second process on the first profile and let it record what it is told."""
        log = self.where.folder / "history" / f"second-{self.name}.jsonl"
        process = await self._spawn([replace(self.jobs[0], log=str(log))], probe=True)
        await process.wait()

    async def close(self) -> None:
        """Whatever state it is in: end it."""
        await self.kill()
        if hasattr(self, "gate"):
            await self.gate.close()
            self.log.close()
