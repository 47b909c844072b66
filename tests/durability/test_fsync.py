"""The store really waits for the disk: seen from below, by a preloaded shim that counts, delays and fails fdatasync."""

from __future__ import annotations

import asyncio
import itertools
import resource
import time
from pathlib import Path

from iris.store import open_store
from tests.durability.fsync_shim import FsyncShim, build_fsync_shim
from tests.durability.start import start_writer
from tests.support.store_rows import ADA, BOB


def shim_for(tmp_path: Path) -> tuple[Path, FsyncShim]:
    path = tmp_path / "store"
    open_store(str(path)).close()
    return path, build_fsync_shim(tmp_path, path)


def numbers(path: Path) -> list[int]:
    async def case() -> list[int]:
        store = open_store(str(path))
        try:
            pages = [await store.page_mailbox(user, 0, 1 << 53, 10_000, 1 << 40) for user in (ADA, BOB)]
            return sorted(row.seq & 0xFFFFFFFF for rows in pages for row in rows)
        finally:
            store.close()

    return asyncio.run(case())


def test_every_commit_is_one_fdatasync_of_the_log(tmp_path: Path) -> None:
    path, shim = shim_for(tmp_path)
    with start_writer(path, 50, 3, **shim.environment()) as writer:
        said, complaint = writer.communicate(timeout=60)
    assert said.split()[-1] == "50", complaint
    syncs = shim.syncs()
    assert {(sync.call, sync.error) for sync in syncs} == {("fdatasync", 0)}
    assert len(syncs) == 51  # the raised epoch, and each commit
    assert len({sync.file for sync in syncs}) == 1


def test_a_commit_is_synced_where_it_lies_when_rocksdb_begins_new_log_files(tmp_path: Path) -> None:
    path, shim = shim_for(tmp_path)
    with start_writer(path, 0, 3, WRITER_FLUSH_EVERY="3", **shim.environment()) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        last = 0
        while last < 50:
            last = int(writer.stdout.readline())
            ends = [(int(sync.file.removesuffix(".log")), sync.size) for sync in shim.syncs()]
            # Each report stands for a file that has grown since the last one, or for a newer file.
            assert len(ends) > last
            assert all(one < other for one, other in itertools.pairwise(ends))
        writer.kill()
    assert len({number for number, _ in ends}) >= 50 // 3
    assert set(range(1, 50 * 3 + 1)) <= set(numbers(path))


def test_nothing_is_reported_before_a_slow_sync_is_over(tmp_path: Path) -> None:
    path, shim = shim_for(tmp_path)
    with start_writer(path, 3, 1, **shim.environment(delay_ms=300)) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline().startswith("epoch")
        at = [time.monotonic()]
        for number in (1, 2, 3):
            assert int(writer.stdout.readline()) == number
            at.append(time.monotonic())
            assert len(shim.syncs()) >= 1 + number
        writer.communicate(timeout=60)
    assert at[-1] - at[0] >= 3 * 0.3 - 0.1  # the first sync may have begun before we looked at the clock


def test_a_failed_sync_is_reported_not_retried_and_nothing_is_lost(tmp_path: Path) -> None:
    path, shim = shim_for(tmp_path)
    with start_writer(path, 0, 2, **shim.environment(fail_at=21)) as writer:
        said, complaint = writer.communicate(timeout=60)
    assert writer.returncode == 1, complaint
    lines = said.splitlines()
    assert lines[-2] == "19"  # the first sync was the epoch's
    assert lines[-1].startswith("failed: ")
    assert "Input/output error" in lines[-1]
    syncs = shim.syncs()
    assert [sync.error for sync in syncs] == [0] * 20 + [5]  # and none after it, not even at exit
    assert set(range(1, 39)) <= set(numbers(path))


def test_a_failure_on_demand(tmp_path: Path) -> None:
    path, shim = shim_for(tmp_path)
    with start_writer(path, 0, 1, **shim.environment()) as writer:
        assert writer.stdout is not None
        reported = 0
        writer.stdout.readline()
        while reported < 10:
            reported = int(writer.stdout.readline())
        shim.fail_next()
        said, complaint = writer.communicate(timeout=60)
    assert writer.returncode == 1, complaint
    *more, last = said.splitlines()
    assert last.startswith("failed: ")
    reported = max([reported, *map(int, more)])
    assert [sync.error for sync in shim.syncs()] == [0] * (reported + 1) + [5]
    assert set(range(1, reported + 1)) <= set(numbers(path))


def test_a_disk_that_takes_no_more_is_reported_and_nothing_is_lost(tmp_path: Path) -> None:
    """No file may grow any more, which RocksDB meets as it meets a full disk: a write that fails half-way."""
    path, shim = shim_for(tmp_path)
    with start_writer(path, 0, 20, **shim.environment()) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        reported = 0
        while reported < 10:
            reported = int(writer.stdout.readline())
        resource.prlimit(writer.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
        said, complaint = writer.communicate(timeout=60)
    assert writer.returncode == 1, complaint
    *more, last = said.splitlines()
    assert last.startswith("failed: ")
    assert "File too large" in last
    reported = max([reported, *map(int, more)])
    assert all(sync.error == 0 for sync in shim.syncs())
    assert set(range(1, reported * 20 + 1)) <= set(numbers(path))
