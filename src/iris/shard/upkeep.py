"""What a shard node does all day in the background: wake users that need it, move the horizon, audit the books.

Every user of the store is woken in turn (SWEEP_USERS a step), which expires messages and unlinks devices that were
not seen; users with outbox rows are woken at the start. The audit goes round the loaded users (AUDIT_USERS a step): due
must equal acked + pending + expired + cut + unlinked, to the last (row, device) pair. Steps are small, for everybody's
messages wait for one: it has the event loop for itself, and its users are read from the disk there. After a round is a
pause, so that a node with few users does not wake them all the time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from iris.core import mailbox
from iris.core.commands import Wake
from iris.core.expiry import next_horizon
from iris.core.ids import user_unit
from iris.core.rows import NodeRow
from iris.core.user import User
from iris.shard.node import ShardNode
from iris.store.port import Store

STEP_S: Final = 0.1
PAUSE_S: Final = 1.0  # between two rounds
SWEEP_USERS: Final = 10
AUDIT_USERS: Final = 100
HORIZON_WRITE_MS: Final = 60_000
HORIZON = "horizon"


class Horizon:
    """Messages from before it may expire; stored, so that no clock can move it faster than twice the uptime."""

    def __init__(self, stored: int | None, wall: int, message_days: int, pace: int) -> None:
        self._pace = pace
        self._days = message_days
        self.value = wall - message_days * mailbox.DAY_MS if stored is None else stored
        self._moved_at: int | None = None

    def move(self, mono: int, wall: int) -> int:
        """The horizon at this time."""
        elapsed = 0 if self._moved_at is None else mono - self._moved_at
        if elapsed or self._moved_at is None:
            self._moved_at = mono
            self.value = next_horizon(self.value, elapsed, wall, self._days, self._pace)
        return self.value


class Rounds:
    """Who is woken next, round after round over all users of the store, and when the horizon is written."""

    def __init__(self) -> None:
        self.after = b""  # the next users are those after this one
        self._written = 0  # mono ms, the horizon

    def wake(self, users: Sequence[bytes]) -> list[tuple[bytes, Wake]]:
        """Commands that wake these, the next ones of the store; none: the next round begins."""
        self.after = users[-1] if users else b""
        return [(user_unit(user), Wake(user)) for user in users]

    def horizon_due(self, mono: int) -> bool:
        """Whether the horizon is to be written now; it counts as written."""
        if self._written and mono - self._written < HORIZON_WRITE_MS:
            return False
        self._written = mono or 1
        return True


class Audit:
    """The conservation audit: sums of the last whole round over the loaded users."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.difference = 0
        self._round: Counter[str] = Counter()
        self._waiting: list[User] = []

    def step(self, users: Callable[[], list[User]]) -> None:
        """Look at the next users."""
        for user in self._waiting[:AUDIT_USERS]:
            counters = user.counters
            self._round["due"] += user.due
            self._round["acked"] += counters.acked + sum(device.acked for device in user.devices)
            self._round["pending"] += mailbox.pending(user)
            self._round["expired"] += counters.expired
            self._round["cut"] += counters.cut
            self._round["unlinked"] += counters.unlinked
            self._round["difference"] += abs(mailbox.imbalance(user))
        del self._waiting[:AUDIT_USERS]
        if not self._waiting:
            self.difference = self._round.pop("difference", 0)
            self.rows, self._round = self._round, Counter()
            self._waiting = users()


async def run(node: ShardNode, store: Store, horizon: Horizon, audit: Audit) -> None:
    """Runs until cancelled."""
    async for user in store.users_with_outbox():
        node.receive([(user_unit(user), Wake(user))])
        await asyncio.sleep(0)
    rounds = Rounds()
    while True:
        users = await store.users(rounds.after, SWEEP_USERS)
        node.receive(rounds.wake(users))
        audit.step(lambda: [user for shard in node.shards for user in shard.users.values()])
        if rounds.horizon_due(node.turn.now.mono):
            node.turn.write(NodeRow(HORIZON, horizon.value))
        await asyncio.sleep(STEP_S if users else PAUSE_S)
