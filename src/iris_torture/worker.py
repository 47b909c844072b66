"""A process with one device or a few: `python -m iris_torture.worker`, started and killed by the driver.

The first line of its input is the order of work; then come words: talk, quiet, screens, quit. It prints a line of JSON
about each device twice a second. When the input ends it ends too, so that no driver's death leaves it behind.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from iris_torture.adapter import Target, TargetError
from iris_torture.iris_adapter import IrisTarget
from iris_torture.rider import Job, Rider, probe

STATUS_S = 0.5
ADAPTERS: dict[str, Callable[[str, str | None], Target]] = {"iris": IrisTarget}


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is started for. `via`: connections to (host, port) go to this loopback port instead."""

    adapter: str
    url: str
    ca_file: str | None
    via: tuple[str, int, int] | None
    jobs: list[Job]
    probe: bool = False  # be a second process on the first job's profile for a moment

    def dump(self) -> str:
        return json.dumps(asdict(self))


def load(line: str) -> Order:
    """The other way round."""
    said = json.loads(line)
    jobs = [Job(**job) for job in said.pop("jobs")]
    via = said.pop("via")
    return Order(**said, via=None if via is None else (via[0], via[1], via[2]), jobs=jobs)


def main() -> int:
    """Run until told otherwise."""
    order = load(sys.stdin.readline())
    if order.via is not None:
        redirect(*order.via)
    if order.jobs[0].skew_ms:
        skew(order.jobs[0].skew_ms)
    target = ADAPTERS[order.adapter](order.url, order.ca_file)
    if order.probe:
        job = order.jobs[0]
        asyncio.run(probe(target, Path(job.profile), Path(job.log), job.name))
        return 0
    return asyncio.run(_work(target, order.jobs))


def redirect(host: str, port: int, via: int) -> None:
    """Names are resolved as ever, but for this one: certificates are checked against the name, so TLS works too."""
    resolve = socket.getaddrinfo

    def resolved(name: Any, service: Any, *rest: Any, **options: Any) -> Any:
        wanted = name.decode() if isinstance(name, bytes) else name
        if wanted == host and str(service) == str(port):
            return resolve("127.0.0.1", via, *rest, **options)
        return resolve(name, service, *rest, **options)

    socket.getaddrinfo = resolved  # type: ignore[assignment]


def skew(by_ms: int) -> None:
    """This process's wall clock is wrong from here on."""
    right_ns, right = time.time_ns, time.time
    time.time_ns = lambda: right_ns() + by_ms * 1_000_000
    time.time = lambda: right() + by_ms / 1000


async def _work(target: Target, jobs: list[Job]) -> int:
    riders = [Rider(target, job) for job in jobs]
    try:
        for rider in riders:
            await rider.open()
    except TargetError as error:
        _say({"device": jobs[0].name, "failed": str(error)})
        return 1
    if jobs[0].leave:
        return 0
    told = asyncio.create_task(_tell(riders))
    try:
        await _obey(riders)
    finally:
        told.cancel()
        for rider in riders:
            await rider.close()
    return 0


async def _obey(riders: list[Rider]) -> None:
    loop = asyncio.get_running_loop()
    words = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    while line := await words.readline():
        word, _, rest = line.decode().strip().partition(" ")
        for rider in riders:
            if word == "talk":
                rider.peers = json.loads(rest) if rest else rider.peers
                rider.talking.set()
            elif word == "quiet":
                rider.talking.clear()
            elif word == "screens":
                rider.write_screens()
        if word == "quit":
            return


async def _tell(riders: list[Rider]) -> None:
    while True:
        for rider in riders:
            _say(await rider.status())
        await asyncio.sleep(STATUS_S)


def _say(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
