"""What upkeep does next, by hand."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from iris.core.catalogue import Limits
from iris.core.commands import Wake
from iris.core.ids import user_unit
from iris.core.rows import OutboxRegisterRow, UserRows
from iris.core.turn import Now
from iris.fabric.local import LocalFabric
from iris.shard import upkeep
from iris.shard.node import ShardNode
from iris.shard.upkeep import HORIZON_WRITE_MS, SWEEP_USERS, Audit, Horizon, Rounds
from iris.store.memory import MemoryStore
from tests.support.store_rows import account


def test_rounds_go_over_all_users_and_begin_anew() -> None:
    rounds = Rounds()
    assert rounds.after == b""
    assert rounds.wake([b"a" * 16, b"b" * 16]) == [(user_unit(n * 16), Wake(n * 16)) for n in (b"a", b"b")]
    assert rounds.after == b"b" * 16
    assert rounds.wake([]) == []
    assert rounds.after == b""


def test_the_horizon_is_written_at_the_start_and_then_now_and_again() -> None:
    rounds = Rounds()
    assert rounds.horizon_due(0)
    assert not rounds.horizon_due(HORIZON_WRITE_MS - 1)
    assert rounds.horizon_due(HORIZON_WRITE_MS + 1)
    assert not rounds.horizon_due(HORIZON_WRITE_MS + 2)


def test_users_with_something_on_its_way_are_woken_at_the_start_one_by_one() -> None:
    """There may be many after a crash, and the event loop is for everybody."""
    users = [bytes(15) + bytes((number,)) for number in range(30)]

    async def case() -> None:
        store = MemoryStore()
        stored = asyncio.Event()
        rows = [OutboxRegisterRow(user, b"u" + bytes(16), 1, bytes(32), 7) for user in users]
        store.submit([*map(account, users), *rows], lambda error: stored.set())
        await stored.wait()
        node = ShardNode(store, LocalFabric(), Limits(), lambda: Now(0, 1_000_000, 0), lambda error: None)
        running = asyncio.create_task(upkeep.run(node, store, Horizon(0, 0, 30, 2), Audit()))
        seen = [0]
        while len(node.residents) < len(users):
            await asyncio.sleep(0)
            seen.append(len(node.residents))
        running.cancel()
        assert all(after - before <= 2 for before, after in pairwise(seen))

    asyncio.run(case())


def test_every_user_is_woken_a_few_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two steps everybody else has the event loop: a hundred users read in one go held all messages up."""
    users = [bytes(15) + bytes((number,)) for number in range(3 * SWEEP_USERS + 1)]

    async def case() -> None:
        store = MemoryStore()
        loaded: Counter[bytes] = Counter()
        steps: list[int] = []

        class Store(MemoryStore):
            async def users(self, after: bytes, limit: int) -> list[bytes]:
                found = await store.users(after, limit)
                steps.append(len(found))
                return found

            async def load_user(self, user: bytes) -> UserRows:
                loaded[user] += 1
                if len(loaded) == len(users):
                    all_loaded.set()
                return await store.load_user(user)

        stored, all_loaded = asyncio.Event(), asyncio.Event()
        store.submit([account(user) for user in users], lambda error: stored.set())
        await stored.wait()
        watched = Store()
        node = ShardNode(watched, LocalFabric(), Limits(), lambda: Now(0, 1_000_000, 0), lambda error: None)
        running = asyncio.create_task(upkeep.run(node, watched, Horizon(0, 0, 30, 2), Audit()))
        await all_loaded.wait()
        running.cancel()
        assert set(loaded) == set(users)
        assert set(loaded.values()) == {1}, "all stay in memory"
        assert steps[:4] == [SWEEP_USERS, SWEEP_USERS, SWEEP_USERS, 1]

    monkeypatch.setattr(upkeep, "STEP_S", 0.0)
    asyncio.run(case())
