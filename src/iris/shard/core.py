"""A shard node without I/O: takes commands, turns them into commits, and says what may happen once each is durable.

One turn (`run`) handles what has been received, until its writes are half of what a commit may hold; the rest waits for
the next turn (inbox.py). While a commit is under way the
next one is gathered, so throughput comes from group commit and latency stays one sync. Effects are handed out only
when their commit is durable, in commit order; loads and pages are effects too, so nothing is read that is not durable.
The shell (node.py, or the simulator) gives the time, carries out what `take` and `take_commit` hand over, and says
`durable`. After a commit that failed it must not call anything here again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from iris.core.catalogue import Limits
from iris.core.commands import EdgeGone, Loaded, MarksLoaded, NameLoaded, Paged
from iris.core.ids import shard_of, user_unit
from iris.core.requests import Result
from iris.core.rows import Write
from iris.core.shard import Residents, Shard
from iris.core.turn import Ask, Effects, Now, Turn
from iris.fabric.port import Renewed, ToUnits
from iris.shard.edges import EdgeLinks
from iris.shard.inbox import Inbox

ROUTES_MAX: Final = 1_000_000  # units whose shard is remembered
ANSWERS = {Loaded, NameLoaded, MarksLoaded, Paged}  # of the store; whole users and pages, which no trace may keep

Note = Callable[[str, int, Sequence[Any]], None]  # told a trace point, the wall time, and the batch that passes it


class Out:
    """What a node wants done now, each list in order."""

    __slots__ = ("asks", "edges", "renewed", "replies", "units")

    def __init__(self) -> None:
        self.edges: list[tuple[int, int, list[tuple[object, ...]]]] = []  # (edge, batch number, batch)
        self.units: list[tuple[bytes, tuple[object, ...]]] = []
        self.renewed: list[tuple[int, Renewed]] = []  # (edge, answer)
        self.replies: list[tuple[int, Result]] = []
        self.asks: list[Ask] = []


NOTHING = Out()  # what `take` hands over when there is nothing; a turn without anything to say is common
NO_EFFECTS = Effects()


class NodeCore:
    """All shards of one node."""

    def __init__(
        self, number: int, limits: Limits, epoch: int, num_shards: int, note: Note = lambda point, wall, batch: None
    ) -> None:
        """number: what edges call this node. epoch, num_shards: the store's."""
        self.number = number
        self.turn = Turn(limits, epoch, num_shards)
        self.residents = Residents(limits.users_in_memory_max, lambda user: self.shard(user_unit(user)))
        self.links = EdgeLinks(limits.lease_ms, epoch)
        self.shards: dict[int, Shard] = {}
        self.committing = False  # a commit was taken (or waits to be) and is not durable yet
        self._note = note
        self._routes: dict[bytes, Shard] = {}
        self.inbox = Inbox(limits)
        self._heard: set[int] = set()  # edges of which something may be in the inbox
        self._commit: list[Write] | None = None
        self._writes: list[Write] = []  # of the commit under way
        self._effects = NO_EFFECTS  # likewise
        self._out = Out()

    # --- in ---
    def receive(self, batch: ToUnits) -> None:
        """Commands for units of this node, from other units, the API or the store; for the next turn."""
        if batch:
            self.inbox.put(batch)

    def receive_from(self, edge: int, number: int, batch: ToUnits) -> None:
        """The batch of this number that an edge has sent."""
        self.links.got(edge, number)
        self._heard.add(edge)
        self.receive(batch)

    def renew(self, edge: int, number: int, sent: int, now: Now) -> None:
        """An edge renews its lease; after a gap its old sessions go first. sent: the number of its newest batch."""
        links = self.links
        if not links.renew(edge, sent, now.mono):
            self._edge_gone(edge, now)
        self._out.renewed.append((edge, Renewed(self.turn.epoch, number, links.sent(edge), links.losses(edge))))

    def run(self, now: Now) -> None:
        """One turn. Whatever a rule raises passes through: its half-done writes must not be stored, the node fails."""
        turn = self.turn
        turn.now = now
        for edge in self.links.lapsed(now.mono):
            self._edge_gone(edge, now)
        for edge in self._heard:
            self.links.heard(edge, now.mono)
        turn.run_timeouts(now.mono)
        inbox, routes = self.inbox, self._routes
        while inbox.commands:
            if turn.half_full and self._hold(now):
                break
            batch = inbox.take()
            if type(batch[0][1]) not in ANSWERS:
                self._note("received", now.wall, batch)
            for unit, command in batch:
                shard = routes.get(unit) or self._route(unit)
                shard.handle(command)  # type: ignore[arg-type]
        else:
            self._heard.clear()
        self._gather(now)

    def _hold(self, now: Now) -> bool:
        """The next commit is half full: whether the turn ends with it, and the rest of the inbox waits."""
        if not self.committing:
            self._gather(now)
            return True
        return not self.inbox.over()

    def durable(self, now: Now) -> None:
        """The commit under way is durable."""
        self.committing = False
        self._note("committed", now.wall, self._writes)
        effects, self._effects, self._writes = self._effects, NO_EFFECTS, []
        self._release(effects, now)
        self._gather(now)

    # --- out ---
    def take(self) -> Out:
        """What is to be done now."""
        out = self._out
        if not (out.edges or out.units or out.renewed or out.replies or out.asks):
            return NOTHING
        self._out = Out()
        return out

    def take_commit(self) -> list[Write] | None:
        """Writes to submit to the store; `durable` is to be called when they are."""
        commit, self._commit = self._commit, None
        return commit

    @property
    def waiting(self) -> bool:
        """Whether something has come that no turn has taken up, or is gathered and no commit yet."""
        turn = self.turn
        return bool(self.inbox.commands) or (not self.committing and bool(turn.writes or turn.effects))

    @property
    def ready(self) -> bool:
        """Whether a turn would have something to do now besides timeouts; else `durable` has to come first."""
        return self.waiting and not (self.committing and self.turn.half_full and not self.inbox.over())

    def next_timeout(self) -> int | None:
        """When a turn is due at the latest, mono ms."""
        timeout, lease = self.turn.next_timeout(), self.links.next_timeout()
        if timeout is None or (lease is not None and lease < timeout):
            return lease
        return timeout

    # --- turns ---
    def shard(self, unit: bytes) -> Shard:
        """The shard that owns a unit."""
        return self._routes.get(unit) or self._route(unit)

    def _route(self, unit: bytes) -> Shard:
        number = shard_of(unit, self.turn.num_shards)
        shard = self.shards.get(number)
        if shard is None:
            shard = self.shards[number] = Shard(self.turn, self.residents)
        if len(self._routes) >= ROUTES_MAX:
            self._routes.clear()
        self._routes[unit] = shard
        return shard

    def _edge_gone(self, edge: int, now: Now) -> None:
        self.turn.now = now
        self.turn.count("iris_lease_lost_total")
        for shard in self.shards.values():
            shard.edge_gone(EdgeGone(edge))

    def _gather(self, now: Now) -> None:
        """Make a commit of what the turn has gathered, unless one is under way: then it goes with the next."""
        turn = self.turn
        if self.committing or not (turn.writes or turn.effects):
            return
        writes, effects = turn.take()
        for batch in effects.edge.values():
            self._note("pumped", now.wall, batch)
        if writes:
            self.committing = True
            self._commit = self._writes = writes
            self._effects = effects
        elif effects:
            self._release(effects, now)

    def _release(self, effects: Effects, now: Now) -> None:
        """Everything that waited for a commit, in order."""
        out = self._out
        for edge, batch in effects.edge.items():
            self._note("handed", now.wall, batch)
            out.edges.append((edge, self.links.next_number(edge), batch))
        out.units += effects.units
        out.replies += effects.replies
        out.asks += effects.asks
