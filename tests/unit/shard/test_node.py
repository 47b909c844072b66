"""The shell around the shards: loads at once, failure of the store, settling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from iris.core.catalogue import Limits
from iris.core.commands import Wake
from iris.core.ids import invite_unit, user_unit
from iris.core.requests import CreateInvite, Done, Request
from iris.core.rows import NodeRow, UserRows
from iris.core.turn import Now
from iris.fabric.local import LocalFabric
from iris.shard.node import ShardNode
from iris.store.memory import MemoryStore
from iris.store.port import StoreError, StoreFailed


class SlowStore(MemoryStore):
    """Loads wait until they are let go; `most` is how many were under way at once."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.loading = self.most = self.loaded = 0

    async def load_user(self, user: bytes) -> UserRows:
        self.loading += 1
        self.most = max(self.most, self.loading)
        await self.gate.wait()
        self.loading -= 1
        self.loaded += 1
        return await super().load_user(user)


def node_for(store: MemoryStore, on_fatal: Callable[[StoreError], None], **limits: int) -> ShardNode:
    """A node on this store, whose clock stands still."""
    return ShardNode(store, LocalFabric(), Limits(**limits), lambda: Now(0, 1_000_000, 0), on_fatal)


def never(error: StoreError) -> None:
    """on_fatal of a node that must not fail."""
    raise error


def test_no_more_than_loads_max_are_under_way_and_none_is_forgotten() -> None:
    async def case() -> None:
        store = SlowStore()
        node = node_for(store, never, loads_max=2)
        for number in range(5):
            user = bytes(15) + bytes((number,))
            node.receive([(user_unit(user), Wake(user))])
            node.run()
        for _ in range(20):
            await asyncio.sleep(0)
        assert node.loads_waiting == 3
        store.gate.set()
        await node.settle()
        assert (store.most, store.loaded, node.loads_waiting) == (2, 5, 0)

    asyncio.run(case())


def test_reads_of_an_embedded_store_let_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reads do not wait for anything, so fifty of them in one go would hold up everybody's messages."""

    async def case() -> None:
        happened: list[str] = []

        class Store(MemoryStore):
            async def load_user(self, user: bytes) -> UserRows:
                happened.append("read")
                return await super().load_user(user)

        async def other() -> None:
            while happened.count("read") < 50:
                happened.append("other")
                await asyncio.sleep(0)

        node = node_for(Store(), never)
        node.receive([(user_unit(bytes(15) + bytes((n,))), Wake(bytes(15) + bytes((n,)))) for n in range(50)])
        await asyncio.gather(node.settle(), other())
        assert happened.count("read") == 50
        assert "readread" not in "".join(happened)
        assert len(node.residents) == 50

    monkeypatch.setattr("iris.shard.node.READING_S", 0.0)
    asyncio.run(case())


def test_after_a_failed_commit_nothing_more_is_released() -> None:
    async def case() -> None:
        store = MemoryStore(auto=False)
        failures: list[StoreError] = []
        node = node_for(store, failures.append)
        node.turn.write(NodeRow("one", 1))
        node.run()
        node.turn.write(NodeRow("two", 2))
        node.turn.to_edge(1, (5, 1))
        store.fail("the disk said no")
        assert [type(failure) for failure in failures] == [StoreFailed]
        assert node.stopped
        node.run()
        await node.settle()
        assert node.turn.effects.edge == {1: [(5, 1)]}  # still here: it never went out

    asyncio.run(case())


def test_a_rule_that_raises_stops_the_node_before_anything_is_stored() -> None:
    async def case() -> None:
        store = MemoryStore(auto=False)
        failures: list[StoreError] = []
        node = node_for(store, failures.append)
        node.turn.write(NodeRow("half done", 1))

        def broken() -> None:
            raise ZeroDivisionError

        node.turn.call_at(0, broken)
        try:
            node.run()
        except ZeroDivisionError:
            pass
        else:
            raise AssertionError("the mistake was hidden")
        assert len(failures) == 1
        assert not store.outstanding

    asyncio.run(case())


def test_what_waits_for_a_turn_goes_on_when_the_disk_has_answered() -> None:
    async def case() -> None:
        store = MemoryStore(auto=False)
        node = node_for(store, never, commit_rows_max=6)
        codes = [f"{number:020}" for number in range(40)]
        asked = [
            asyncio.ensure_future(node.ask(Request(0, invite_unit(code), None, CreateInvite(1)), 60.0))
            for code in codes
        ]
        held = False
        while store.outstanding or node.core.waiting or not held:
            for _ in range(20):  # turns of the loop, more than what can happen without the disk
                await asyncio.sleep(0)
            held |= node.core.waiting and not node.core.ready
            assert store.outstanding, f"{node.core.inbox.commands} commands were forgotten"
            store.sync()
        assert await asyncio.gather(*asked) == [Done()] * 40
        await node.settle()

    asyncio.run(case())
