"""The shell around an edge: takes frames from the engine and items from the fabric, hands on what the edge answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from iris.core.turn import Now
from iris.edge.edge import Edge
from iris.fabric.port import Fabric, Item, Renewed
from iris.wire.engine import EnginePort

log = logging.getLogger("iris.edge")


class EdgeShell:
    """One edge, its engine and its fabric, on one event loop."""

    def __init__(
        self,
        edge: Edge,
        engine: EnginePort,
        fabric: Fabric,
        clock: Callable[[], Now],
        note: Callable[[str, int, Sequence[object]], None] = lambda point, wall, batch: None,
    ) -> None:
        """note: told the trace point "delivered", the wall time and the frames that the engine was given."""
        self.edge = edge
        self._note = note
        self._engine = engine
        self._fabric = fabric
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._logins_max = edge.limits.logins_per_turn_max

    def start(self) -> None:
        """Begin to take frames."""
        self._loop.add_reader(self._engine.fileno(), self._readable)
        self._tick()

    def stop(self) -> None:
        """Take what the engine still has, then no more."""
        self._loop.remove_reader(self._engine.fileno())
        self._readable()
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = 0  # nothing is armed any more

    def receive(self, node: int, number: int, batch: Sequence[Item]) -> None:
        """Items from shards."""
        self.edge.now = self._clock()
        self.edge.on_items(node, number, batch)
        self._flush()

    def renewed(self, node: int, answer: Renewed) -> None:
        """A shard node has renewed the lease."""
        self.edge.now = self._clock()
        self.edge.on_renewed(node, answer)
        self._flush()

    def go_away(self) -> None:
        """Tell every client that this node is about to stop."""
        self.edge.go_away()
        self._flush()

    def close_all(self) -> None:
        """Close every connection."""
        self.edge.close_all()
        self._flush()

    def _readable(self) -> None:
        frames = self._engine.drain(self._logins_max)
        self.edge.now = self._clock()
        self.edge.on_frames(frames)
        self._flush()

    def _tick(self) -> None:
        edge = self.edge
        edge.now = self._clock()
        edge.run_timeouts(edge.now.mono)
        self._timer = None
        self._flush()

    def _flush(self) -> None:
        edge = self.edge
        if edge.to_engine:
            frames, edge.to_engine = edge.to_engine, []
            self._engine.send(frames)
            self._note("delivered", edge.now.wall, frames)
        for node, number, units in edge.take_units():
            self._fabric.to_node(node, edge.settings.number, number, units)
        if edge.mistakes:
            for trace in edge.mistakes:
                log.error("frame_failed: %s", trace)
            edge.mistakes.clear()
        if edge.renewals:
            renewals, edge.renewals = edge.renewals, []
            for node, number, sent in renewals:
                self._fabric.renew(node, edge.settings.number, number, sent)
        when = edge.next_timeout()
        if when is not None and (self._timer is None or when < self._timer_at):
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = when
            self._timer = self._loop.call_later(max(0, when - edge.now.mono) / 1000, self._tick)
