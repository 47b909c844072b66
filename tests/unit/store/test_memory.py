"""The fake loses what a real store may lose, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from iris.core.rows import Gone, NameRow, NodeRow, Write
from iris.store import StoreError, StoreFailed
from iris.store.memory import MemoryStore
from tests.support.store_rows import ADA, BOB, CYN, EPOCH, account, message


def result(call: Any) -> Any:
    """What a read returns. Without an event loop: reads of this store never wait."""
    with pytest.raises(StopIteration) as done:
        call.send(None)
    return done.value.value


def numbers(store: MemoryStore, user: bytes) -> list[int]:
    return [row.seq & 0xFFFFFFFF for row in result(store.page_mailbox(user, 0, 1 << 53, 100, 1 << 20))]


def submit(store: MemoryStore, writes: list[Write]) -> list[StoreError | None]:
    reported: list[StoreError | None] = []
    store.submit(writes, reported.append)
    return reported


def manual(seed: int = 0) -> MemoryStore:
    return MemoryStore(num_shards=8, seed=seed, auto=False)


def test_a_commit_is_durable_only_when_the_test_says() -> None:
    store = manual()
    reported = submit(store, [message(ADA, 1)])
    assert numbers(store, ADA) == [1]
    assert reported == []
    store.sync()
    assert reported == [None]
    with pytest.raises(RuntimeError, match="no commit"):
        store.sync()


def test_a_crash_takes_what_was_not_durable_and_the_report_never_comes() -> None:
    store = manual()
    submit(store, [message(ADA, 1), account(ADA)])
    store.sync()
    lost = submit(store, [message(ADA, 2), Gone(account(ADA)), message(BOB, 1)])
    again = store.crash()
    assert numbers(again, ADA) == [1]
    assert numbers(again, BOB) == []
    assert result(again.load_user(ADA)).account == account(ADA)
    assert (again.epoch, again.num_shards) == (2, 8)
    assert lost == []
    with pytest.raises(RuntimeError, match="closed"):
        submit(store, [])


def test_a_torn_commit_is_whole_or_absent_for_each_unit() -> None:
    """Over many seeds every combination comes up, and never a part of a unit."""
    units = [ADA, BOB, CYN]
    seen = set()
    for seed in range(200):
        store = manual(seed)
        rows = [row for user in units for row in (message(user, 1), account(user), message(user, 2))]
        submit(store, [*rows, NameRow(b"@ada", 1, (ADA,), ()), NodeRow("horizon", 1)])
        again = store.crash(torn=True)
        kept = []
        for user in units:
            found = (numbers(again, user), result(again.load_user(user)).account)
            assert found in (([], None), ([1, 2], account(user)))
            kept.append(bool(found[0]))
        seen.add((*kept, result(again.load_name(b"@ada")) is not None, result(again.node_value("horizon")) is not None))
    assert len(seen) == 2**5


def test_the_same_seed_tears_alike() -> None:
    def one(seed: int) -> list[list[int]]:
        store, found = manual(seed), []
        for number in range(1, 30):
            submit(store, [message(user, number) for user in (ADA, BOB, CYN)])
            store = store.crash(torn=True)
            found.append([len(numbers(store, user)) for user in (ADA, BOB, CYN)])
        return found

    assert one(5) == one(5)
    assert one(5) != one(6)


def test_durable_rows_survive_any_number_of_crashes() -> None:
    store = manual()
    for number in range(1, 20):
        submit(store, [message(ADA, number)])
        store.sync()
        submit(store, [message(BOB, number)])
        store = store.crash(torn=number % 2 == 0)
        assert numbers(store, ADA) == list(range(1, number + 1))
        assert store.epoch == number + 1


def test_a_failure_keeps_the_durable_rows() -> None:
    store = manual()
    submit(store, [message(ADA, 1)])
    store.sync()
    reported = submit(store, [message(ADA, 2)])
    store.fail("broken")
    assert isinstance(reported[0], StoreFailed)
    with pytest.raises(StoreFailed, match="broken"):
        submit(store, [])
    assert numbers(store.crash(), ADA) == [1]


def test_a_restore_goes_back_and_leaves_room_for_what_was_given_out() -> None:
    store = manual()
    submit(store, [message(ADA, 1)])
    store.sync()
    store.backup("monday")
    submit(store, [message(ADA, 2)])
    store.sync()
    for _ in range(5):
        store = store.reopen()
    old = store.restore("monday")
    assert numbers(old, ADA) == [1]
    assert old.epoch > 4096
    assert numbers(store, ADA) == [1, 2]


def test_auto_reports_in_the_next_turn_of_the_loop() -> None:
    async def case() -> None:
        store = MemoryStore()
        reported = submit(store, [message(ADA, 1)])
        assert reported == []
        await asyncio.sleep(0)
        assert reported == [None]
        assert numbers(store.crash(), ADA) == [1]

    asyncio.run(case())


def test_rows_below_a_cut_may_come_back_only_by_writing_them() -> None:
    store = manual()
    submit(store, [message(ADA, number) for number in (5, 3, 9, 1)])
    store.sync()
    assert numbers(store, ADA) == [1, 3, 5, 9]
    found = result(store.load_user(ADA))
    assert (found.first.seq, found.last.seq) == (EPOCH | 1, EPOCH | 9)
