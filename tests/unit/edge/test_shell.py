"""The shell around an edge: what it takes from the engine in one turn."""

from __future__ import annotations

import asyncio
from typing import Any

from iris.core.catalogue import CloseCode, Limits
from iris.core.frames import CLOSE, HELLO, Hello
from iris.core.turn import Now
from iris.edge.edge import Edge
from iris.edge.sessions import EdgeSettings
from iris.edge.shell import EdgeShell
from iris.fabric.local import LocalFabric
from iris.wire.memory import MemoryEngine


class CountingEngine(MemoryEngine):
    """Remembers how many Hellos were taken each time."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[int] = []

    def drain(self, logins_max: int) -> list[tuple[Any, ...]]:
        frames = super().drain(logins_max)
        self.taken.append(sum(frame[0] == HELLO for frame in frames))
        return frames


def test_a_storm_of_logins_is_taken_a_few_at_a_time() -> None:
    """logins_per_turn_max."""

    async def case() -> None:
        engine = CountingEngine()
        limits = Limits(logins_per_turn_max=16)
        edge = Edge(EdgeSettings(1, bytes(8), 60_000), limits, dict)
        shell = EdgeShell(edge, engine, LocalFabric(), lambda: Now(0, 1_000_000, 0))
        engine.feed(*(Hello(HELLO, conn, "no token", 0, 0, (), "", "") for conn in range(1, 41)))
        shell.start()
        for _ in range(100):
            await asyncio.sleep(0)
        shell.stop()
        assert [count for count in engine.taken if count] == [16, 16, 8]
        closed = [frame for frame in engine.sent if frame[0] == CLOSE]
        assert [(frame[1], frame[2]) for frame in closed] == [(n, CloseCode.TOKEN_INVALID) for n in range(1, 41)]

    asyncio.run(case())
