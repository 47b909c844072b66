"""What is going to happen to a world, from its seed alone: its size, its limits, its speeds, and every step.

Swarm testing: each seed has its own mix. Some kinds of fault or operation do not occur at all, some often; some limits
are small enough to be met in a short run. A step carries its choices as numbers, so any subset of the steps can be
replayed (`only`). See Groce et al., Swarm Testing, ISSTA 2012.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from iris.core.catalogue import Limits
from iris_sim.names import FAULTS, OPERATIONS
from iris_sim.observer import Step

SECOND: Final = 1_000_000  # µs
CHOICES: Final = 1 << 30
MINUTE_MS: Final = 60_000
CLOCKS = frozenset({"skew", "skew_far"})  # faults by which servers' clocks differ
STEPS: Final = 320  # operations of a run, on average; a burst counts as one here

SMALL: dict[str, tuple[int, ...]] = {
    "send_window": (4, 8),
    "deliver_window": (3, 5, 16),
    "deliver_window_bytes": (64, 256),
    "register_window": (1, 3),
    "page_rows_max": (2, 3, 8),
    "trim_rows_min": (1, 3, 10),
    "users_in_memory_max": (1, 2, 4),
    "marks_in_memory_max": (1, 2),
    "names_in_memory_max": (1,),
    "outbox_window": (1, 2, 4),
    "outbox_rows_max": (3, 10),
    "mailbox_rows_max": (8, 20),
    "mailbox_bytes_max": (400,),
    "mailbox_lag_rows_max": (6, 25),
    "parked_commands_max": (2, 8),
    "conversations_max": (2, 3),
    "contacts_max": (2,),
    "blocks_max": (1, 2),
    "watchers_max": (1, 3),
    "watches_max": (2,),
    "commit_rows_max": (6, 20),
    "revoked_tokens_max": (1, 3),
    "sends_per_second_max": (2, 5),
    "user_sends_per_second_max": (3, 8),
    "signals_per_second_max": (1, 3),
    "refusals_per_minute_max": (5, 20),
    "devices_max": (2, 3),
    "outbox_messages_max": (8, 30),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. Times in µs unless they say otherwise."""

    seed: int
    nodes: int
    num_shards: int
    devices: tuple[int, ...]  # of each user at the start
    limits: tuple[tuple[str, int], ...]  # those that are not the defaults
    token_ms: int
    leeway_ms: int  # of servers, for tokens
    sqlite: bool
    disk: int  # a sync takes about so long
    read: int  # ... a load
    far: int  # ... the way between client and server
    near: int  # ... the way between servers
    local_noise: bool  # whether batches within one server may be lost, too
    sweep: int  # between two rounds of upkeep
    duration: int
    faults: frozenset[str]
    steps: tuple[Step, ...]
    early: bool = False  # whether Hello comes with the upgrade; not drawn, so that a seed stays what it was

    @classmethod
    def make(cls, seed: int, faults: frozenset[str] | None = None, *, steps: int = STEPS) -> Plan:
        """The plan of a seed. faults: the only kinds that may occur; None for all."""
        chance = random.Random(seed)
        nodes = chance.choice((1, 1, 2, 2, 3, 4))
        users = chance.randint(3, 6)
        devices = tuple(chance.choice((1, 1, 2, 3)) for _ in range(users))
        small = chance.choice((0.0, 0.15, 0.35, 0.6))
        limits = {name: chance.choice(values) for name, values in SMALL.items() if chance.random() < small}
        limits |= _times(chance)
        if "commit_rows_max" in limits:  # what no turn takes up has little room too
            limits["waiting_commands_max"] = limits["commit_rows_max"] // 2
        if "devices_max" in limits:
            devices = tuple(min(count, limits["devices_max"]) for count in devices)
        duration = chance.choice((30, 45, 70)) * SECOND
        mix = _mix(chance, OPERATIONS)
        kinds = {name: weight for name, weight in _mix(chance, FAULTS).items() if faults is None or name in faults}
        plan = cls(
            seed, nodes, chance.choice((4, 8, 16)), devices, tuple(limits.items()),
            token_ms := chance.choice((24 * 3_600_000, 3_600_000, 3_600_000, 40_000, 15_000)),
            _leeway(token_ms, kinds), chance.random() < 0.02,
            chance.choice((150, 1_000, 5_000)), chance.choice((50, 300, 3_000)),
            chance.choice((500, 5_000, 40_000)), chance.choice((50, 300, 2_000)), chance.random() < 0.4,
            chance.choice((3, 8)) * SECOND, duration, frozenset(kinds), (),
        )  # fmt: skip
        troubles = chance.choice((0, 4, 10, 25, 60))
        found = _draw(chance, mix, steps, duration, bursts=chance.choice((0.0, 0.5, 0.8)))
        found += _draw(chance, kinds, troubles, duration, bursts=0.2)
        found.sort()
        return dataclasses.replace(plan, steps=tuple(Step(n, *row) for n, row in enumerate(found)))

    def only(self, keep: Callable[[Step], bool]) -> Plan:
        """The same with fewer steps."""
        return dataclasses.replace(self, steps=tuple(step for step in self.steps if keep(step)))

    def limited(self, limits: Mapping[str, int]) -> Plan:
        """The same with these limits."""
        return dataclasses.replace(self, limits=tuple((dict(self.limits) | dict(limits)).items()))

    def limits_made(self) -> Limits:
        """The limits of this world."""
        return Limits(**dict(self.limits))


def _leeway(token_ms: int, kinds: Iterable[str]) -> int:
    """Short tokens end within a run only where clocks agree, and there they may end at once."""
    return 1_000 if token_ms < MINUTE_MS and not CLOCKS & set(kinds) else MINUTE_MS


def _times(chance: random.Random) -> dict[str, int]:
    """Periods: some seeds wait less, so that more happens."""
    found = {"lease_renew_ms": 1_000, "lease_ms": 3_000}
    if chance.random() < 0.5:
        found |= {"deliver_repeat_ms": 3_000, "send_repeat_ms": 3_000, "outbox_repeat_ms": 500}
    if chance.random() < 0.3:
        found["offline_grace_ms"] = 2_000
    if chance.random() < 0.3:
        found["reconnect_max_ms"] = 2_000
    return found


def _mix(chance: random.Random, weights: dict[str, float]) -> dict[str, float]:
    """Each kind left out, as it is, or often."""
    dull = chance.choice((0.1, 0.3, 0.6))
    return {
        name: weight * chance.choice((1, 1, 4))
        for name, weight in weights.items()
        if weight >= 8 or chance.random() >= dull
    }


def _draw(
    chance: random.Random, mix: dict[str, float], count: int, duration: int, *, bursts: float
) -> list[tuple[int, str, int, int, int]]:
    """`count` steps over the time. bursts: the share of them that come close upon another."""
    if not mix:
        return []
    names, weights = list(mix), list(mix.values())
    found: list[tuple[int, str, int, int, int]] = []
    at = 0
    for kind in chance.choices(names, weights, k=count):
        if not found or chance.random() >= bursts:
            at = chance.randrange(duration)
        else:
            at = min(duration - 1, at + chance.choice((0, 200, 3_000, 50_000)))
        found.append((at, kind, chance.randrange(CHOICES), chance.randrange(CHOICES), chance.randrange(CHOICES)))
    return found
