"""What every store must do, whatever it is made of: one suite, run against each adapter (see port.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from iris.core import rows
from iris.core.rows import CutMailbox, DropMark, DropUnit, Gone, Row, Write
from iris.store import Store, StoreError, StoreFailed
from iris.store.keys import BadRow
from tests.contract.rigs import DEADLINE_SECONDS, MemoryRig, Rig, RocksRig
from tests.support.store_rows import ADA, BOB, CYN, EPOCH, SAMPLES, account, commit, mark, message


@pytest.fixture(params=["memory", "rocks"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    made: Rig = MemoryRig() if request.param == "memory" else RocksRig(tmp_path)
    yield made
    made.end()


def run(case: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(case, DEADLINE_SECONDS))


class Reports:
    """What a store reported of the commits of a test."""

    def __init__(self) -> None:
        self.all: list[StoreError | None] = []
        self._came = asyncio.Event()

    def __call__(self, error: StoreError | None) -> None:
        self.all.append(error)
        self._came.set()

    async def first(self) -> StoreError | None:
        await self._came.wait()
        return self.all[0]


async def page(store: Store, user: bytes = ADA, after: int = 0, upto: int = 1 << 53) -> list[int]:
    """Numbers of the mailbox rows of a range."""
    found = await store.page_mailbox(user, after, upto, 1000, 1 << 30)
    return [row.seq & 0xFFFFFFFF for row in found]


async def outbox_users(store: Store) -> list[bytes]:
    return [user async for user in store.users_with_outbox()]


def of(user: bytes, row: Row) -> Any:
    """The same row of another user."""
    return row._replace(user=user)  # type: ignore[call-arg]


def test_every_row_is_found_again_also_after_a_restart(rig: Rig) -> None:
    async def look(store: Store) -> None:
        found = await store.load_user(ADA)
        for row in SAMPLES:
            if isinstance(row, rows.NameRow):
                assert await store.load_name(row.name) == row
            elif isinstance(row, rows.NodeRow):
                assert await store.node_value(row.key) == row.value
            elif isinstance(row, rows.MarkRow):
                assert await store.load_marks(ADA, BOB) == [row]
            elif isinstance(row, rows.MessageRow):
                assert row in await store.page_mailbox(ADA, 0, 1 << 53, 100, 1 << 20)
                assert row in (found.first, found.last)
            elif not isinstance(row, rows.DeadLetterRow):  # kept for people, not for the core
                kept = [part for part in found if part is not None]
                assert any(row == part or (isinstance(part, list) and row in part) for part in kept), row

    async def case() -> None:
        await commit(rig.store, SAMPLES)
        await look(rig.store)
        await look(rig.reopen())

    run(case())


def test_unknown_things_are_empty_not_errors(rig: Rig) -> None:
    async def case() -> None:
        found = await rig.store.load_user(CYN)
        assert not any(found)
        assert await rig.store.load_name(b"@nobody") is None
        assert await rig.store.load_marks(CYN, ADA) == []
        assert await page(rig.store, CYN) == []
        assert await rig.store.node_value("nothing") is None
        assert await rig.store.users(b"", 10) == []
        assert await outbox_users(rig.store) == []

    run(case())


def test_users_are_kept_apart(rig: Rig) -> None:
    async def case() -> None:
        near = [ADA[:-1] + b"b", ADA[:-1] + b"`", CYN, bytes(16)]
        await commit(rig.store, [of(user, row) for user in near for row in SAMPLES if "user" in row._fields])
        found = await rig.store.load_user(ADA)
        assert not any(found)
        assert await page(rig.store) == []
        assert await rig.store.load_marks(ADA, BOB) == []
        for user in near:
            assert (await rig.store.load_user(user)).account == of(user, account(ADA))

    run(case())


def test_lists_come_in_key_order(rig: Rig) -> None:
    async def case() -> None:
        items = [rows.OutboxItemRow(ADA, b"u" + BOB, EPOCH | n, (n,)) for n in (1, 2, 255, 256, 65536)]
        devices = [rows.DeviceRow(ADA, n, "", 0, b"", b"", 0) for n in (1, 2, 300)]
        marks = [mark(ADA, BOB, device, ordinal) for device in (1, 2) for ordinal in (1, 2, 31)]
        written: list[Write] = [*items, *devices, *marks]
        await commit(rig.store, written[::-1])
        found = await rig.store.load_user(ADA)
        assert found.outbox_items == items
        assert found.devices == devices
        assert await rig.store.load_marks(ADA, BOB) == marks

    run(case())


def test_writing_replaces_and_repeating_changes_nothing(rig: Rig) -> None:
    async def case() -> None:
        first: list[Write] = [account(ADA, "ada"), message(ADA, 1), mark(ADA, BOB, 1, 1)]
        await commit(rig.store, first)
        await commit(rig.store, first)  # a late repeat of the same commit
        assert await page(rig.store) == [1]
        assert await rig.store.load_marks(ADA, BOB) == [mark(ADA, BOB, 1, 1)]
        await commit(rig.store, [account(ADA, "eve"), mark(ADA, BOB, 1, 33)])
        assert (await rig.store.load_user(ADA)).account == account(ADA, "eve")
        assert await rig.store.load_marks(ADA, BOB) == [mark(ADA, BOB, 1, 33)]  # the ring's slot was taken over

    run(case())


ORDER_CASES: list[tuple[str, list[Write], list[int]]] = [
    ("the last write wins", [message(ADA, 1, b"old"), Gone(message(ADA, 1)), message(ADA, 1, b"new")], [1]),
    ("gone after a write", [message(ADA, 1), message(ADA, 2), Gone(message(ADA, 1))], [2]),
    ("cut after a write", [message(ADA, 1), message(ADA, 2), CutMailbox(ADA, EPOCH | 1)], [2]),
    ("a write after a cut", [CutMailbox(ADA, EPOCH | 9), message(ADA, 3)], [3]),
    ("dropped after a write", [message(ADA, 1), DropUnit(ADA)], []),
    ("a write after a drop", [message(ADA, 1), DropUnit(ADA), message(ADA, 2)], [2]),
]


@pytest.mark.parametrize(("writes", "left"), [c[1:] for c in ORDER_CASES], ids=[c[0] for c in ORDER_CASES])
def test_writes_of_a_commit_happen_in_order(rig: Rig, writes: list[Write], left: list[int]) -> None:
    async def case() -> None:
        await commit(rig.store, writes)
        assert await page(rig.store) == left
        assert await page(rig.reopen()) == left

    run(case())


def test_gone_takes_any_row_away(rig: Rig) -> None:
    async def case() -> None:
        await commit(rig.store, [*SAMPLES, of(BOB, account(BOB))])
        await commit(rig.store, [Gone(row) for row in SAMPLES])
        assert not any(await rig.store.load_user(ADA))
        assert await rig.store.load_name(b"@ada") is None
        assert await rig.store.node_value("horizon") is None
        assert await rig.store.load_marks(ADA, BOB) == []
        assert await rig.store.users(b"", 10) == [BOB]
        await commit(rig.store, [Gone(row) for row in SAMPLES])  # gone already

    run(case())


def test_cut_mailbox_leaves_the_rest(rig: Rig) -> None:
    async def case() -> None:
        await commit(rig.store, [message(user, n) for user in (ADA, BOB) for n in range(1, 11)])
        await commit(rig.store, [CutMailbox(ADA, EPOCH | 4)])
        assert await page(rig.store) == [5, 6, 7, 8, 9, 10]
        assert await page(rig.store, BOB) == list(range(1, 11))
        found = await rig.store.load_user(ADA)
        assert (found.first, found.last) == (message(ADA, 5), message(ADA, 10))
        await commit(rig.store, [CutMailbox(ADA, (1 << 64) - 1)])
        assert await page(rig.store) == []
        assert (await rig.store.load_user(ADA)).first is None

    run(case())


def test_drop_mark_takes_one_device_of_one_sender(rig: Rig) -> None:
    async def case() -> None:
        kept = [mark(ADA, BOB, 1, 1), mark(ADA, BOB, 3, 1), mark(ADA, CYN, 2, 1), mark(BOB, BOB, 2, 1)]
        await commit(rig.store, [*kept, *(mark(ADA, BOB, 2, n) for n in range(32))])
        await commit(rig.store, [DropMark(ADA, BOB, 2)])
        assert await rig.store.load_marks(ADA, BOB) == kept[:2]
        assert await rig.store.load_marks(ADA, CYN) == kept[2:3]
        assert await rig.store.load_marks(BOB, BOB) == kept[3:]

    run(case())


def test_drop_unit_takes_everything_and_later_rows_of_the_commit_stand(rig: Rig) -> None:
    async def case() -> None:
        await commit(rig.store, [*SAMPLES, *(of(CYN, row) for row in SAMPLES if "user" in row._fields)])
        gone = account(ADA)._replace(state=rows.STATE_DELETED)
        item = rows.OutboxItemRow(ADA, b"@ada", EPOCH | 1, (1,))
        await commit(rig.store, [message(ADA, 50), DropUnit(ADA), gone, item])
        for reopened in (False, True):
            store = rig.reopen() if reopened else rig.store
            found = await store.load_user(ADA)
            assert found.account == gone
            assert found.outbox_items == [item]
            assert [part for part in found if part] == [gone, [item]]
            assert await page(store) == []
            assert await store.load_marks(ADA, BOB) == []
            assert await page(store, CYN) == [5, 6]
            assert await store.load_name(b"@ada") is not None  # another unit

    run(case())


def test_page_mailbox_keeps_to_its_bounds(rig: Rig) -> None:
    async def case() -> None:
        sizes = [10, 0, 200, 10, 10]
        await commit(rig.store, [message(ADA, n, bytes(size)) for n, size in enumerate(sizes, 1)])

        async def numbers(after: int, upto: int, rows_max: int, bytes_max: int) -> list[int]:
            found = await rig.store.page_mailbox(ADA, after, upto, rows_max, bytes_max)
            return [row.seq & 0xFFFFFFFF for row in found]

        assert await numbers(0, 1 << 53, 100, 1 << 20) == [1, 2, 3, 4, 5]
        assert await numbers(EPOCH | 2, EPOCH | 4, 100, 1 << 20) == [3, 4]  # after is left out, upto is in
        assert await numbers(0, 1 << 53, 2, 1 << 20) == [1, 2]
        assert await numbers(0, 1 << 53, 0, 1 << 20) == []
        assert await numbers(0, 1 << 53, 100, 209) == [1, 2]
        assert await numbers(0, 1 << 53, 100, 210) == [1, 2, 3]
        assert await numbers(EPOCH | 2, 1 << 53, 100, 1) == [3]  # the first row always comes
        assert await numbers(EPOCH | 5, 1 << 53, 100, 1) == []
        assert await numbers(EPOCH | 3, EPOCH | 3, 100, 1) == []
        assert await numbers(EPOCH | 4, EPOCH | 2, 100, 1) == []

    run(case())


def test_paging_while_a_flush_is_held(rig: Rig) -> None:
    """Durable rows stay readable, nothing is reported before its time, and the store takes one commit at a time."""

    async def case() -> None:
        await commit(rig.store, [message(ADA, 1), message(ADA, 2)])
        rig.hold()
        reported = Reports()
        rig.store.submit([message(ADA, 3), account(ADA)], reported)
        for _ in range(20):
            await asyncio.sleep(0)  # what could be reported would be
            assert await page(rig.store, upto=EPOCH | 2) == [1, 2]
            assert set(await page(rig.store)) >= {1, 2}
            assert await rig.store.load_marks(ADA, BOB) == []
        assert reported.all == []
        with pytest.raises(RuntimeError, match="not reported yet"):
            rig.store.submit([message(ADA, 4)], reported)
        rig.release()
        assert await reported.first() is None
        await commit(rig.store, [message(ADA, 4)])
        assert await page(rig.store) == [1, 2, 3, 4]

    run(case())


def test_done_is_never_called_before_submit_returns(rig: Rig) -> None:
    async def case() -> None:
        reported = Reports()
        rig.store.submit([message(ADA, 1)], reported)
        assert reported.all == []
        assert await reported.first() is None

    run(case())


def test_the_next_commit_may_be_submitted_from_the_report(rig: Rig) -> None:
    async def case() -> None:
        last: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def go_on(number: int, error: StoreError | None) -> None:
            assert error is None
            if number == 20:
                last.set_result(None)
            else:
                rig.store.submit([message(ADA, number + 1)], lambda e: go_on(number + 1, e))

        go_on(0, None)
        await last
        assert await page(rig.store) == list(range(1, 21))
        assert rig.store.stats().commits == 20

    run(case())


def test_a_failure_is_reported_once_and_nothing_is_taken_after_it(rig: Rig) -> None:
    async def case() -> None:
        await commit(rig.store, [message(ADA, 1)])
        rig.fail()
        reported = Reports()
        rig.store.submit([message(ADA, 2)], reported)
        error = await reported.first()
        assert isinstance(error, StoreFailed)
        assert "the disk said no" in str(error)
        for _ in range(2):
            with pytest.raises(StoreFailed, match="the disk said no"):
                rig.store.submit([message(ADA, 3)], reported)
        await asyncio.sleep(0)
        assert reported.all == [error]
        assert 3 not in await page(rig.store)
        rig.store.close()

    run(case())


def test_a_row_that_does_not_fit_is_refused_whole_and_harms_nothing(rig: Rig) -> None:
    async def case() -> None:
        reported = Reports()
        for bad in (message(ADA, 1)._replace(seq=-1), message(b"short", 1), DropUnit(b"short")):
            with pytest.raises(BadRow):
                rig.store.submit([account(ADA), bad], reported)
        assert (await rig.store.load_user(ADA)).account is None
        await commit(rig.store, [message(ADA, 1)])
        assert await page(rig.store) == [1]
        assert reported.all == []

    run(case())


def test_the_epoch_rises_at_every_open(rig: Rig) -> None:
    async def case() -> None:
        epochs = [rig.store.epoch]
        for _ in range(3):
            await commit(rig.store, [message(ADA, 1)])
            epochs.append(rig.reopen().epoch)
        assert epochs == [1, 2, 3, 4]
        assert rig.store.num_shards == 16

    run(case())


def test_close_finishes_what_was_submitted(rig: Rig) -> None:
    async def case() -> None:
        reported = Reports()
        rig.store.submit([message(ADA, 1)], reported)
        rig.store.close()
        rig.store.close()
        assert await reported.first() is None
        with pytest.raises(RuntimeError, match="closed"):
            rig.store.submit([], reported)
        assert await page(rig.reopen()) == [1]

    run(case())


def test_users_come_in_pages_and_only_with_an_account(rig: Rig) -> None:
    async def case() -> None:
        users = sorted([ADA, BOB, CYN, bytes(16), b"m" * 16])
        await commit(rig.store, [account(user) for user in users])
        await commit(rig.store, [rows.SeenRow(b"n" * 16, 5), message(b"o" * 16, 1), rows.SeenRow(ADA, 5)])
        found: list[bytes] = []
        while step := await rig.store.users(found[-1] if found else b"", 2):
            assert len(step) <= 2
            found += step
        assert found == users

    run(case())


def test_users_with_outbox_are_those_with_work_left(rig: Rig) -> None:
    async def case() -> None:
        item = rows.OutboxItemRow(ADA, b"u" + BOB, EPOCH | 1, (1,))
        register = rows.OutboxRegisterRow(CYN, b"u" + BOB, 1, b"", 7)
        done = rows.OutboxItemRow(BOB, b"u" + ADA, EPOCH | 1, (1,))
        await commit(rig.store, [item, register, done, account(bytes(16))])
        await commit(rig.store, [Gone(done)])
        assert await outbox_users(rig.store) == [ADA, CYN]
        assert await outbox_users(rig.reopen()) == [ADA, CYN]
        await commit(rig.store, [Gone(item), DropUnit(CYN)])
        assert await outbox_users(rig.store) == []

    run(case())


def test_users_with_outbox_may_be_worked_off_while_they_are_listed(rig: Rig) -> None:
    async def case() -> None:
        users = [bytes([n]) * 16 for n in range(1, 9)]
        await commit(rig.store, [rows.OutboxItemRow(user, b"u" + ADA, 1, (1,)) for user in users])
        found = []
        async for user in rig.store.users_with_outbox():
            found.append(user)
            await commit(rig.store, [Gone(rows.OutboxItemRow(user, b"u" + ADA, 1, (1,)))])
        assert found == users

    run(case())


def test_stats_count_what_was_done(rig: Rig) -> None:
    async def case() -> None:
        before = rig.store.stats()
        await commit(rig.store, [message(ADA, 1), message(ADA, 2)])
        await commit(rig.store, [Gone(message(ADA, 1))])
        stats = rig.store.stats()
        assert (stats.commits, stats.rows, stats.syncs) == (before.commits + 2, before.rows + 3, before.syncs + 2)
        assert stats.disk_free_bytes > 0
        assert stats.sync_seconds >= stats.sync_seconds_max >= 0

    run(case())


def test_backup_of_a_running_store_goes_only_to_a_new_place(rig: Rig, tmp_path: Path) -> None:
    async def case() -> None:
        await commit(rig.store, SAMPLES)
        target = str(tmp_path / "backup")
        assert rig.store.backup(target) > 0
        with pytest.raises(StoreError, match="not empty"):
            rig.store.backup(target)
        await commit(rig.store, [message(ADA, 9)])
        assert await page(rig.store) == [5, 6, 9]

    run(case())
