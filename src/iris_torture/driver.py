"""A run from the first registration to the last screen: users, traffic, faults, calm, and the record on the disk."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from iris_torture import history
from iris_torture.adapter import Target, TargetError
from iris_torture.crew import Crew, Where
from iris_torture.faults import WEIGHTS, Fault, Run
from iris_torture.judge import Verdict, judge
from iris_torture.rider import Job

REGISTER_TRIES = 12
DEVICES_MAX = 4
STARTING_MAX = 4  # workers that start at once: each costs half a second of CPU


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. `rate`: sendings (of 1 to 40 messages) a second and device."""

    minutes: float = 2.0
    users: int = 4
    devices: int = 2
    seed: int = 1
    rate: float = 0.5
    calm_s: float = 90.0
    invite: str | None = None
    faults: tuple[Fault, ...] = tuple(WEIGHTS)
    fault_every_s: float = 0.8
    strangers: bool = True  # some messages go to a user who does not exist


@dataclass
class Outcome:
    """What a run did, and the verdict on it."""

    verdict: Verdict
    server: str
    seconds: float
    faults: dict[str, int]
    connections: int
    trouble: list[str] = field(default_factory=list)  # of the checker itself


class Driver:
    """One run. `show` gets a line of progress now and then."""

    def __init__(self, target: Target, where: Where, plan: Plan, show: Callable[[str], None]) -> None:
        self._target, self._where, self._plan, self._show = target, where, plan, show
        self._chance = random.Random(plan.seed)
        self.crews: list[Crew] = []
        self._users: list[str] = []  # ids
        self._accounts: list[tuple[str, str]] = []  # handle, password
        self._starting = asyncio.Semaphore(STARTING_MAX)
        self.calm = asyncio.Event()
        self.talking = False
        self._count = 0
        self._trouble: list[str] = []
        self._began = time.monotonic()

    async def run(self) -> Outcome:
        """Raises TargetError when the server cannot be used at all."""
        server = await self._target.check()
        try:
            await self.set_up()
            await self._hurt()
            verdict = await self.settle()
        finally:
            await self.close()
        trouble = [*self._trouble, *(error for crew in self.crews for error in crew.errors)]
        faults = self._faults()
        connections = sum(crew.gate.connections for crew in self.crews)
        return Outcome(verdict, server, time.monotonic() - self._began, faults, connections, trouble)

    def _faults(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for entry in self.record():
            if entry.what == "fault":
                found[entry.data["name"]] = found.get(entry.data["name"], 0) + 1
        return found

    def record(self) -> list[history.Entry]:
        """Everything so far."""
        return history.read(self._where.folder / "history")

    # --- set-up ---

    async def set_up(self) -> None:
        """Users with their devices, connected and talking. Raises TargetError."""
        plan = self._plan
        for _ in range(plan.users):
            self._accounts.append(await self._register())
            self._show(f"{len(self._accounts)} of {plan.users} users registered")
        for user in range(plan.users):
            self._crew(user, 1)
        await self._start(self.crews)
        self._users = [self._target.identity(Path(crew.jobs[0].profile)).user for crew in self.crews]
        more = [self._crew(user, number) for user in range(plan.users) for number in range(2, plan.devices + 1)]
        await self._start(more)
        for crew in self.crews:
            self.talk(crew)
        self.talking = True

    def talk(self, crew: Crew) -> None:
        """Let a crew's devices write to everybody else."""
        user = int(crew.name.partition(".")[0][1:]) - 1
        peers = [one for number, one in enumerate(self._users) if number != user]
        if self._plan.strangers:
            peers += [self._target.nobody()] if self._chance.random() < 0.3 else []
        for index, job in enumerate(crew.jobs):
            crew.jobs[index] = replace(job, peers=peers)
        crew.tell("talk " + _words(peers))

    async def _register(self) -> tuple[str, str]:
        password = secrets.token_urlsafe(18)
        for attempt in range(REGISTER_TRIES):
            handle = f"t{secrets.token_hex(6)}"
            try:
                await self._target.register(handle, password, self._plan.invite)
                return handle, password
            except TargetError:
                if attempt == REGISTER_TRIES - 1:
                    raise
                await asyncio.sleep(min(10.0, 0.3 * 2**attempt))
        raise AssertionError

    def _crew(self, user: int, number: int) -> Crew:
        name, folder = f"u{user + 1}.{number}", self._where.folder
        handle, password = self._accounts[user]
        job = Job(
            name, str(folder / "profiles" / name), str(folder / "history" / f"{name}.jsonl"), handle, password, [],
            self._plan.rate, 0,
        )  # fmt: skip
        crew = Crew(self._where, [job], random.Random(self._chance.getrandbits(64)))
        self.crews.append(crew)
        return crew

    async def _start(self, crews: list[Crew]) -> None:
        async def start(crew: Crew) -> None:
            await crew.prepare()
            async with self._starting:
                await crew.start()

        await asyncio.gather(*(start(crew) for crew in crews))
        self._show(f"{sum(crew.running for crew in self.crews)} devices linked")

    async def _link(self, crew: Crew) -> bool:
        """One more device for a crew's user; whether there is room for one."""
        user = crew.name.partition(".")[0]
        theirs = [one for one in self.crews if one.name.startswith(f"{user}.") and not one.left]
        if len(theirs) >= DEVICES_MAX:
            return False
        number = 1 + max(int(one.name.partition(".")[2]) for one in self.crews if one.name.startswith(f"{user}."))
        new = self._crew(int(user[1:]) - 1, number)
        new.busy = True
        await new.prepare()
        try:
            await new.start()
        except TargetError:
            new.left = True  # the server was away
            return False
        finally:
            new.busy = False
        self.talk(new)
        return True

    # --- the bad time ---

    async def _hurt(self) -> None:
        plan = self._plan
        until = time.monotonic() + plan.minutes * 60
        run = Run(self._chance, self.calm, max(5.0, plan.minutes * 60 / 5), self._link)
        tasks: set[asyncio.Task[None]] = set()
        shown = 0.0
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, self._chance.expovariate(1 / plan.fault_every_s)))
            ready = [crew for crew in self.crews if not crew.busy and not crew.left]
            if plan.faults and ready:
                crew = self._chance.choice(ready)
                [fault] = self._chance.choices(plan.faults, [WEIGHTS[one] for one in plan.faults])
                crew.busy = True
                task = asyncio.create_task(self._do(fault, crew, run))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            if time.monotonic() - shown > 1:
                shown = time.monotonic()
                self._show(f"{plan.minutes * 60 - left:.0f} of {plan.minutes * 60:.0f} s, {self.progress()}")
        self.calm.set()
        if tasks:
            await asyncio.wait(tasks)

    async def _do(self, fault: Fault, crew: Crew, run: Run) -> None:
        crew.log.add("fault", name=fault.__name__)
        self._count += 1
        try:
            await fault(crew, run)
        except (TargetError, OSError) as error:
            self._trouble.append(f"{fault.__name__} of {crew.name}: {error}")
        finally:
            crew.gate.heal()
            crew.busy = False

    def progress(self) -> str:
        """Of the traffic, from what the devices last said since they were started."""
        queued, shown = (sum(crew.count(what) for crew in self.crews) for what in ("queued", "shown"))
        return f"{queued:,} messages sent and {shown:,} shown by who runs now, {self._count:,} faults"

    # --- the calm ---

    async def settle(self) -> Verdict:
        """Let everything arrive, restart every client once more, compare the screens, judge."""
        self.calm.set()
        here = [crew for crew in self.crews if not crew.left]
        for crew in here:
            crew.gate.heal()
            if not crew.running:
                await crew.start()
            crew.tell("quiet")
        await self._until_calm(here)
        for crew in here:
            await crew.quit()
        await self._start_again(here)
        await self._until_calm(here)
        for crew in here:
            crew.tell("screens")
        await self._wait(here, lambda crew: all(said.get("screens") for said in crew.said.values()))
        for crew in here:
            await crew.quit()
        return self._judge()

    def _judge(self) -> Verdict:
        return judge(self.record())

    async def _start_again(self, crews: list[Crew]) -> None:
        async def start(crew: Crew) -> None:
            async with self._starting:
                await crew.start()

        await asyncio.gather(*(start(crew) for crew in crews))

    async def _until_calm(self, crews: list[Crew]) -> None:
        """Until nothing is owed, or the time is over: then the judge says what is."""
        for crew in crews:
            crew.said = {}
        await self._wait(crews, Crew.settled)
        until = time.monotonic() + self._plan.calm_s
        while time.monotonic() < until:
            verdict = await asyncio.to_thread(self._judge)  # the gates are of this process: they must go on
            self._show(f"waiting for calm: {len(verdict.violations):,} things are still due or wrong")
            if verdict.clean:
                return
            await asyncio.sleep(0.5)

    async def _wait(self, crews: list[Crew], wanted: Callable[[Crew], bool]) -> None:
        until = time.monotonic() + self._plan.calm_s
        while time.monotonic() < until and not all(wanted(crew) for crew in crews):
            left = sum(not wanted(crew) for crew in crews)
            self._show(f"waiting for {left} of {len(crews)} devices")
            await asyncio.sleep(0.2)

    async def close(self) -> None:
        """End everything that was started."""
        await asyncio.gather(*(crew.close() for crew in self.crews))


def _words(peers: list[str]) -> str:
    return "[" + ", ".join(f'"{peer}"' for peer in peers) + "]"
