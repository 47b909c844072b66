"""Backup and restore: the same rows, never the same numbers again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from iris.store import StoreError, StoreForeign, StoreLocked, backup, check, open_store, restore
from iris.store.rocks_open import open_rocks
from tests.support.store_rows import ADA, BOB, SAMPLES, account, commit, message


def numbers(path: Path, user: bytes) -> list[int]:
    async def case() -> list[int]:
        store = open_store(str(path))
        try:
            found = await store.page_mailbox(user, 0, 1 << 53, 100_000, 1 << 30)
            return [row.seq & 0xFFFFFFFF for row in found]
        finally:
            store.close()

    return asyncio.run(case())


def made(path: Path) -> None:
    async def case() -> None:
        store = open_store(str(path))
        await commit(store, [*SAMPLES, *(message(BOB, number) for number in range(1, 1001))])
        store.close()

    asyncio.run(case())


def test_a_stopped_store_is_copied_and_restored(tmp_path: Path) -> None:
    made(tmp_path / "s")
    before = check(str(tmp_path / "s"))
    size = backup(str(tmp_path / "s"), str(tmp_path / "b"))
    assert size == sum(f.stat().st_size for f in (tmp_path / "b").rglob("*") if f.is_file() and f.name != "LOCK")
    assert check(str(tmp_path / "s")) == before
    of_copy = check(str(tmp_path / "b"))
    assert (of_copy.state, of_copy.ok, of_copy.rows) == ("backup", True, before.rows)
    report = restore(str(tmp_path / "b"), str(tmp_path / "r"), wall_ms=0)
    assert (report.ok, report.rows, report.state) == (True, before.rows, "ready")
    assert report.epoch == before.epoch + 4096
    store = open_store(str(tmp_path / "r"))
    assert store.epoch == before.epoch + 4097
    store.close()
    assert numbers(tmp_path / "r", BOB) == list(range(1, 1001))


def test_a_running_store_is_copied_as_of_one_commit_and_goes_on(tmp_path: Path) -> None:
    async def case() -> int:
        store = open_rocks(str(tmp_path / "s"))
        loop = asyncio.get_running_loop()
        await commit(store, [account(ADA)])
        copying = loop.run_in_executor(None, store.backup, str(tmp_path / "b"))
        number = 0
        while not copying.done() or number < 20:
            number += 1
            await commit(store, [message(ADA, number), message(BOB, number)])
        assert await copying > 0
        store.close()
        return number

    total = asyncio.run(case())
    restore(str(tmp_path / "b"), str(tmp_path / "r"))
    ada, bob = numbers(tmp_path / "r", ADA), numbers(tmp_path / "r", BOB)
    assert ada == bob == list(range(1, len(ada) + 1))
    assert len(ada) <= total
    assert numbers(tmp_path / "s", ADA) == list(range(1, total + 1))
    assert not (tmp_path / "s" / "copy").exists()


def test_a_backup_shares_no_file_with_the_store(tmp_path: Path) -> None:
    async def case() -> None:
        store = open_rocks(str(tmp_path / "s"))
        await commit(store, [message(ADA, 1)])
        assert backup(store, str(tmp_path / "b")) > 0
        store.close()

    asyncio.run(case())
    assert {f.stat().st_nlink for f in (tmp_path / "b").rglob("*") if f.is_file()} == {1}


def test_a_backup_is_not_opened_itself(tmp_path: Path) -> None:
    made(tmp_path / "s")
    backup(str(tmp_path / "s"), str(tmp_path / "b"))
    with pytest.raises(StoreForeign, match="iris store restore"):
        open_store(str(tmp_path / "b"))
    assert check(str(tmp_path / "b")).ok


def test_a_restored_store_and_a_backup_of_a_backup_can_be_copied_again(tmp_path: Path) -> None:
    made(tmp_path / "s")
    backup(str(tmp_path / "s"), str(tmp_path / "b"))
    backup(str(tmp_path / "b"), str(tmp_path / "bb"))
    restore(str(tmp_path / "bb"), str(tmp_path / "r"), wall_ms=0)
    assert restore(str(tmp_path / "r"), str(tmp_path / "rr"), wall_ms=0).epoch == 1 + 2 * 4096


def test_no_epoch_is_given_twice_however_often_one_restores(tmp_path: Path) -> None:
    """The same backup again, and an older one after a newer one: each line of the story has its own numbers."""
    made(tmp_path / "store")
    backup(str(tmp_path / "store"), str(tmp_path / "old"))
    used = {1}
    for round_, name in enumerate(["old", "old", "new", "old", "new"]):
        (tmp_path / "store").rename(tmp_path / f"store.{round_}")
        restore(
            str(tmp_path / name if (tmp_path / name).exists() else tmp_path / "old"), str(tmp_path / "store"), wall_ms=0
        )
        for _ in range(3):
            store = open_store(str(tmp_path / "store"))
            assert store.epoch not in used
            assert store.epoch > max(used)
            used.add(store.epoch)
            store.close()
        if round_ == 1:
            backup(str(tmp_path / "store"), str(tmp_path / "new"))


def test_a_restore_elsewhere_is_told_from_an_earlier_one_by_time(tmp_path: Path) -> None:
    made(tmp_path / "s")
    backup(str(tmp_path / "s"), str(tmp_path / "b"))
    day = 86_400_000
    now = 1_795_478_400_000  # 2026-11-24
    epochs = [
        restore(str(tmp_path / "b"), str(tmp_path / place / "store"), wall_ms=now + number * day).epoch
        for number, place in enumerate(["here", "there"])
    ]
    assert epochs[0] < epochs[1] - 100
    assert epochs[1] < 100_000, "epochs are few: there must be enough for decades"


def test_a_clock_that_is_wrong_by_decades_does_not_use_up_the_epochs(tmp_path: Path) -> None:
    made(tmp_path / "s")
    backup(str(tmp_path / "s"), str(tmp_path / "b"))
    far = restore(str(tmp_path / "b"), str(tmp_path / "r"), wall_ms=1 << 43).epoch
    assert far == 1 + 4096
    early = restore(str(tmp_path / "b"), str(tmp_path / "q" / "store"), wall_ms=-1).epoch
    assert early == 1 + 4096


@pytest.mark.parametrize("work", [backup, restore])
def test_only_new_or_empty_targets_are_taken(tmp_path: Path, work: object) -> None:
    assert callable(work)
    made(tmp_path / "s")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "letter").write_text("dear")
    with pytest.raises(StoreError, match="not empty"):
        work(str(tmp_path / "s"), str(tmp_path / "t"))
    assert os.listdir(tmp_path / "t") == ["letter"]
    (tmp_path / "u").mkdir()
    work(str(tmp_path / "s"), str(tmp_path / "u"))


@pytest.mark.parametrize("work", [backup, restore])
def test_a_running_or_foreign_source_is_refused(tmp_path: Path, work: object) -> None:
    assert callable(work)
    store = open_store(str(tmp_path / "s"))
    with pytest.raises(StoreLocked, match="is another iris running"):
        work(str(tmp_path / "s"), str(tmp_path / "t"))
    store.close()
    with pytest.raises(StoreForeign, match="holds no store"):
        work(str(tmp_path / "nothing"), str(tmp_path / "t"))
    assert not (tmp_path / "t").exists()


def test_a_copy_cut_short_is_named_for_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "s")
    backup(str(tmp_path / "s"), str(tmp_path / "b"))

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("iris.store.copies.copy_file", die)
        for work, source, target in ((backup, "s", "b2"), (restore, "b", "r2")):
            with pytest.raises(Killed):
                work(str(tmp_path / source), str(tmp_path / target))
    for target, words in (("b2", "a backup that was never finished"), ("r2", "a restore that was never finished")):
        with pytest.raises(StoreForeign, match=words):
            open_store(str(tmp_path / target))
    with pytest.raises(StoreForeign, match="never finished"):
        restore(str(tmp_path / "b2"), str(tmp_path / "r3"))


def test_a_full_disk_while_copying_harms_only_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def case() -> None:
        store = open_rocks(str(tmp_path / "s"))
        await commit(store, [message(ADA, 1)])
        with monkeypatch.context() as patch:
            patch.setattr("iris.store.copies.copy_file", full)
            with pytest.raises(StoreError, match="No space left"):
                store.backup(str(tmp_path / "b"))
        await commit(store, [message(ADA, 2)])
        assert not (tmp_path / "s" / "copy").exists()
        assert store.backup(str(tmp_path / "b3")) > 0
        store.close()

    asyncio.run(case())
    assert numbers(tmp_path / "s", ADA) == [1, 2]


def test_what_a_killed_backup_left_in_the_store_is_swept(tmp_path: Path) -> None:
    made(tmp_path / "s")
    (tmp_path / "s" / "copy").mkdir()
    (tmp_path / "s" / "copy" / "000009.sst").write_bytes(b"x" * 1000)
    open_store(str(tmp_path / "s")).close()
    assert not (tmp_path / "s" / "copy").exists()
