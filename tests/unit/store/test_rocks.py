"""What only the RocksDB adapter has: the sync off the loop, stalls, the witness, creation, closing."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import select
import shutil
import threading
from pathlib import Path

import pytest

from iris._engine import EngineError, LogSync
from iris.core.rows import CutMailbox
from iris.store import StoreError, StoreFailed, StoreForeign, folder, open_store
from iris.store.helper import Helper
from iris.store.rocks import RocksStore
from iris.store.rocks_db import Cursor, open_db, options, scan_prefix
from iris.store.rocks_open import open_rocks
from iris.store.witness import Witness
from tests.support.log_sync import GatedSync
from tests.support.store_rows import ADA, BOB, commit, message

DEADLINE_SECONDS = 30


def witness_of(path: Path) -> int:
    store = bytes.fromhex(json.loads((path / folder.IDENTITY).read_text())["store"])
    witness = Witness.open(path / folder.WITNESS, store, write=False)
    witness.close()
    return witness.commit


def test_the_event_loop_goes_on_while_the_disk_does_not(tmp_path: Path) -> None:
    async def case() -> None:
        sync = GatedSync()
        sync.hold()
        store = open_rocks(str(tmp_path / "s"), log_sync=sync)
        reported: asyncio.Future[StoreError | None] = asyncio.get_running_loop().create_future()
        store.submit([message(ADA, 1)], reported.set_result)
        assert sync.begun == 1
        assert not reported.done()
        assert witness_of(tmp_path / "s") == 2  # not before the sync
        sync.release()
        assert await asyncio.wait_for(reported, DEADLINE_SECONDS) is None
        assert witness_of(tmp_path / "s") == 3  # and before the report
        store.close()

    asyncio.run(case())


def test_the_real_sync_waits_for_the_disk_in_a_thread_of_its_own(tmp_path: Path) -> None:
    """The log is a pipe here: whoever opens it waits until somebody writes."""
    pipe = tmp_path / "000004.log"
    os.mkfifo(pipe)
    sync = LogSync(tmp_path)
    sync.sync()  # comes back although the disk has not
    assert sync.take() is None
    with pytest.raises(EngineError, match="not taken yet"):
        sync.sync()
    pipe.open("wb").close()
    assert select.select([sync], [], [], DEADLINE_SECONDS)[0]
    taken = sync.take()
    assert taken is not None
    assert isinstance(taken[0], OSError)  # a pipe cannot be synced, and nobody is told that it was
    sync.stop()


def test_the_memory_that_rocksdb_keeps_is_told(tmp_path: Path) -> None:
    async def case() -> None:
        store = open_rocks(str(tmp_path / "s"))
        before = store.stats().memtable_bytes
        await commit(store, [message(ADA, 1, os.urandom(100_000))])
        assert store.stats().memtable_bytes >= before + 100_000
        store._db.flush()
        cached = store.stats().cache_bytes
        assert len(await store.page_mailbox(ADA, 0, 1 << 53, 1000, 1 << 40)) == 1
        assert store.stats().cache_bytes > cached
        store.close()

    asyncio.run(case())


def test_a_stall_is_waited_for_off_the_loop_and_loses_nothing(tmp_path: Path) -> None:
    async def case() -> None:
        store = open_rocks(str(tmp_path / "s"))
        db = store._db
        triggers = ("file_num_compaction_trigger", "slowdown_writes_trigger", "stop_writes_trigger")
        db.set_options({f"level0_{name}": "2" for name in triggers})
        number = 0
        while store.stats().stalls == 0:
            assert number < 500, "RocksDB never stalled"
            await commit(store, [message(ADA, number := number + 1, os.urandom(2_000_000))])
            db.flush()
        reported: asyncio.Future[StoreError | None] = asyncio.get_running_loop().create_future()
        store.submit([message(ADA, number := number + 1)], reported.set_result)
        assert await asyncio.wait_for(reported, DEADLINE_SECONDS) is None
        found = await store.page_mailbox(ADA, 0, 1 << 53, 1000, 1 << 40)
        assert len(found) == number
        store.close()

    asyncio.run(case())


def test_the_witness_is_synced_when_nothing_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iris.store.helper.TICK_SECONDS", 0.01)
    synced = threading.Event()
    real = Witness.sync

    def note(witness: Witness) -> None:
        real(witness)
        if witness.commit == 3:
            synced.set()

    async def case() -> None:
        store = open_rocks(str(tmp_path / "s"))
        monkeypatch.setattr(Witness, "sync", note)
        await commit(store, [message(ADA, 1)])
        assert await asyncio.to_thread(synced.wait, DEADLINE_SECONDS)
        store.close()

    asyncio.run(case())


def test_a_witness_that_cannot_be_written_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(witness: Witness, number: int) -> None:
        raise OSError(28, "No space left on device")

    async def case() -> None:
        store = open_rocks(str(tmp_path / "s"))
        with monkeypatch.context() as patch:
            patch.setattr(Witness, "write", full)
            with pytest.raises(StoreFailed, match="No space left"):
                await commit(store, [message(ADA, 1)])
        with pytest.raises(StoreFailed):
            store.submit([], print)
        store.close()

    asyncio.run(case())


def test_after_a_failure_nothing_is_synced_again_not_even_by_close(tmp_path: Path) -> None:
    sync = GatedSync()
    sync.fail(OSError(5, "Input/output error"))

    async def case() -> RocksStore:
        store = open_rocks(str(tmp_path / "s"), log_sync=sync)
        with pytest.raises(StoreFailed, match="Input/output error"):
            await commit(store, [message(ADA, 1)])
        return store

    store = asyncio.run(case())
    size = {file: file.stat().st_size for file in (tmp_path / "s" / "rocks").glob("*.[ls]*")}
    store.close()
    store.close()
    assert sync.begun == 1
    assert {file: file.stat().st_size for file in (tmp_path / "s" / "rocks").glob("*.[ls]*")} == size
    assert witness_of(tmp_path / "s") == 2
    with pytest.raises(StoreError, match="in use"):  # until the process ends
        open_store(str(tmp_path / "s"))


def test_the_helper_reports_what_a_job_raised_and_goes_on() -> None:
    reported: list[Exception | None] = []
    thread = Helper(lambda: None)

    def broken() -> None:
        raise ValueError("no")

    thread.put(broken, reported.append)
    thread.put(lambda: None, reported.append)
    thread.stop()
    assert [type(error) for error in reported] == [ValueError, type(None)]


def test_the_helper_ticks_though_jobs_keep_coming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iris.store.helper.TICK_SECONDS", 0.0)
    done: list[str] = []
    helper = Helper(lambda: done.append("tick"))
    for _ in range(3):
        helper.put(lambda: done.append("job"), lambda error: None)
    helper.stop()
    assert [a + " " + b for a, b in itertools.pairwise(done)].count("job tick") == 3


def test_a_store_reports_to_the_loop_that_submits(tmp_path: Path) -> None:
    store = open_rocks(str(tmp_path / "s"))
    for number in (1, 2):
        asyncio.run(commit(store, [message(ADA, number)]))  # each has a loop of its own
    store.close()
    assert store.stats().commits == 2


def test_a_log_that_is_not_where_it_should_be_is_a_failure(tmp_path: Path) -> None:
    """Nothing is called durable whose bytes were not found."""

    async def case() -> None:
        store = open_rocks(str(tmp_path / "s"), log_sync=lambda folder: LogSync(folder.parent))
        with pytest.raises(StoreFailed, match="holds what was just written"):
            await commit(store, [message(ADA, 1)])
        store.close()

    asyncio.run(case())


CREATION_STEPS = ["write_identity", "open_db", "_write", "close_db", "sync_folder", "second write_identity"]


@pytest.mark.parametrize("step", CREATION_STEPS)
def test_a_creation_cut_short_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """The process dies before this step: the folder opens all the same, for nothing was ever stored in it."""

    class Killed(BaseException):
        pass

    path = tmp_path / "s"
    module = "iris.store.rocks_open"
    real = folder.write_identity
    calls = []

    def die(*_: object, **__: object) -> None:
        raise Killed

    def die_at_second(at: Path, identity: folder.Identity) -> None:
        calls.append(identity.state)
        if len(calls) == 2:
            raise Killed
        real(at, identity)

    with monkeypatch.context() as patch:
        second = step.startswith("second")
        patch.setattr(f"{module}.{step.split()[-1]}", die_at_second if second else die)
        with pytest.raises(Killed):
            open_rocks(str(path), num_shards=16)
    shutil.copytree(path, tmp_path / "copy")  # RocksDB may still be open in this process
    store = open_rocks(str(tmp_path / "copy"), num_shards=32)
    assert (store.epoch, store.num_shards) == (1, 32)
    asyncio.run(commit(store, [message(ADA, 1)]))
    store.close()
    assert calls in ([], ["creating", "ready"])


def test_a_new_store_has_the_default_shards_and_impossible_numbers_are_refused(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "deep" / "er" / "s"))
    assert store.num_shards == 4096
    store.close()
    for wrong in (0, -1, 65537):
        with pytest.raises(StoreError, match="from 1 to 65536"):
            open_store(str(tmp_path / f"s{wrong}"), num_shards=wrong)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"Not a directory|is a file"):
        open_store(str(tmp_path / "file" / "s"))


def test_lost_and_found_is_no_stranger(tmp_path: Path) -> None:
    (tmp_path / "s" / "lost+found").mkdir(parents=True)
    open_store(str(tmp_path / "s")).close()
    (tmp_path / "t" / "photos").mkdir(parents=True)
    with pytest.raises(StoreForeign):
        open_store(str(tmp_path / "t"))


def test_epochs_can_be_used_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iris.store.rocks_open.EPOCH_MAX", 2)
    open_store(str(tmp_path / "s")).close()
    open_store(str(tmp_path / "s")).close()
    with pytest.raises(StoreError, match="used up its 2 epochs"):
        open_store(str(tmp_path / "s"))


def test_our_options_hold_at_every_open(tmp_path: Path) -> None:
    """rocksdict would take the column family's from the last run's file."""
    db = open_db(tmp_path / "db", create=True)
    db.close()
    for _ in range(2):
        db = open_db(tmp_path / "db")
        db.close()
        text = max((tmp_path / "db").glob("OPTIONS-*"), key=lambda file: file.name).read_text()
        for line in (
            "write_buffer_size=8388608",
            "min_write_buffer_number_to_merge=4",
            "max_write_buffer_number=16",
            "compression=kLZ4Compression",
            "wal_recovery_mode=kPointInTimeRecovery",
            "wal_bytes_per_sync=0",
            "paranoid_checks=true",
            "filter_policy=bloomfilter",
        ):
            assert line in text
    assert options() is not options()


def test_iterators_keep_their_bounds_alive(tmp_path: Path) -> None:
    """With rocksdict's own handling the bound is freed memory, and reads run on into other rows."""
    db = open_db(tmp_path / "db", create=True)
    for prefix in (b"A", b"B", b"C"):
        for number in range(50):
            db[prefix + number.to_bytes(16, "big")] = prefix
    for turn in range(300):
        cursor = Cursor(db, b"B" + bytes(16), b"B" + (20).to_bytes(16, "big"))
        junk = [bytes([turn % 251]) * size for size in range(10, 60)]
        assert len(junk) == 50
        count = 0
        while cursor.it.valid():
            assert cursor.it.value() == b"B"
            count += 1
            cursor.it.next()
        assert count == 20
        assert {value for _, value in scan_prefix(db, b"A")} == {b"A"}
    db.close()


def test_range_deletes_do_not_slow_the_next_user_down_or_leak(tmp_path: Path) -> None:
    async def case() -> None:
        store = open_rocks(str(tmp_path / "s"))
        await commit(store, [message(user, number) for user in (ADA, BOB) for number in range(1, 2001)])
        await commit(store, [CutMailbox(ADA, (1 << 64) - 1)])
        store.close()
        store = open_rocks(str(tmp_path / "s"))
        assert await store.page_mailbox(ADA, 0, 1 << 53, 10, 1 << 20) == []
        assert len(await store.page_mailbox(BOB, 0, 1 << 53, 5000, 1 << 30)) == 2000
        store.close()

    asyncio.run(case())


@pytest.mark.parametrize("waits", [True, False], ids=["after the report", "before the report"])
def test_after_a_clean_close_the_witness_knows_the_last_commit(tmp_path: Path, waits: bool) -> None:
    async def case() -> None:
        store = open_rocks(str(tmp_path / "s"))
        await commit(store, [message(ADA, 1)])
        await commit(store, [message(ADA, 2)])
        reported: asyncio.Future[StoreError | None] = asyncio.get_running_loop().create_future()
        store.submit([message(ADA, 3)], reported.set_result)
        if waits:
            await reported
        store.close()
        assert await asyncio.wait_for(reported, DEADLINE_SECONDS) is None

    asyncio.run(case())
    assert witness_of(tmp_path / "s") == 5
