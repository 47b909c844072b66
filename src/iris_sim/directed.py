"""Plans that are written by hand, for rows that chance meets less than once in thousands of seeds.

Each is a seed of its own: `iris sim --seed 1000000020 --seeds 1` runs it, and a run that must have met everything runs
all of them after its own seeds.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from iris_sim.observer import Step
from iris_sim.plan import SECOND, Plan

MS: Final = 1_000


class Directed(NamedTuple):
    """A plan, and the row that it is for."""

    row: str
    plan: Plan


def _told_off_while_catching_up() -> Plan:
    """A phone with a slow disk catches up, four messages at a time, at a server that is then parted from its shard.

    Meanwhile another device logs it out. No Close can reach the phone; it hears of it when its token wants renewal.
    """
    writers, bursts = (1, 2, 3), 10
    found = [(SECOND, "offline", 0, 0, 0)]
    found += [((1_500 + 50 * n) * MS, "burst", writers[n % 3], n, 5) for n in range(bursts)]
    found += [
        (8_500 * MS, "slow_client", 0, 2, 8),
        (9_000 * MS, "online", 0, 0, 0),
        (9_120 * MS, "partition", 1, 0, 2),
        (9_320 * MS, "logout_all", 3, 0, 0),
    ]
    return Plan(
        seed=1_000_000_020, nodes=2, num_shards=4, devices=(2, 1, 1),
        limits=(("lease_renew_ms", 1_000), ("lease_ms", 3_000), ("deliver_window", 4)),
        token_ms=15_000, leeway_ms=1_000, sqlite=False, disk=1_000, read=300, far=5_000, near=2_000, local_noise=False,
        sweep=8 * SECOND, duration=30 * SECOND, faults=frozenset({"partition", "slow_client"}),
        steps=tuple(Step(n, *row) for n, row in enumerate(found)),
    )  # fmt: skip


ALL: Final = (Directed("client CATCHING_UP LOGGED_OUT", _told_off_while_catching_up()),)
BY_SEED: Final = {directed.plan.seed: directed.plan for directed in ALL}


def plan_of(seed: int, faults: frozenset[str] | None = None) -> Plan:
    """The plan of a seed: made by chance, or one of these. faults: the only kinds that may occur; None for all."""
    plan = BY_SEED.get(seed)
    if plan is None:
        return Plan.make(seed, faults)
    return plan if faults is None else plan.only(lambda step: step.kind not in plan.faults or step.kind in faults)
