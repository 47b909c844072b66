"""What is damaged, cut, foreign or newer is refused with what and how much, and left exactly as it was."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from iris.store import StoreDamaged, StoreError, StoreForeign, StoreLocked, check, open_store, restore
from iris.store.folder import IDENTITY, LOCK, ROCKS, WITNESS
from iris.store.rocks_open import open_rocks
from iris.store.witness import Witness
from tests.durability.start import start_writer
from tests.support.store_rows import ADA, BOB, commit, message

COMMITS = 100
ALL = COMMITS + 2  # creation and the epoch are commits too


def write(path: Path, commits: int, rows: int = 1) -> None:
    """A store with that many commits whose writer was killed right after the last report."""
    with start_writer(path, commits, rows) as writer:
        said, complaint = writer.communicate(timeout=60)
    assert said.split()[-1] == str(commits), complaint


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("killed") / "store"
    write(path, COMMITS)
    return path


@pytest.fixture
def store(killed: Path, tmp_path: Path) -> Path:
    """A copy of the killed store, for a test to damage."""
    return Path(shutil.copytree(killed, tmp_path / "store"))


def the(store: Path, pattern: str) -> Path:
    """The newest file of the database of one kind."""
    return max((store / ROCKS).glob(pattern))


def tree(path: Path) -> dict[str, tuple[int, str]]:
    """Every file but the locks, with its size and content."""
    return {
        str(file.relative_to(path)): (file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != LOCK
    }


def refused(path: Path, kind: type[StoreError], **arguments: int) -> str:
    """Opening fails in this way, twice, and changes nothing. Returns what it says."""
    before = tree(path)
    said = []
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            open_store(str(path), **arguments).close()
        assert type(caught.value) is kind, caught.value
        said.append(str(caught.value))
    assert tree(path) == before
    assert said[0] == said[1]
    assert str(path) in said[0]
    return said[0]


def numbers(path: Path) -> list[int]:
    """The message numbers of both users of the writer."""

    async def case() -> list[int]:
        opened = open_store(str(path))
        try:
            found = [await opened.page_mailbox(user, 0, 1 << 53, 100_000, 1 << 40) for user in (ADA, BOB)]
            return sorted(row.seq & 0xFFFFFFFF for rows in found for row in rows)
        finally:
            opened.close()

    return asyncio.run(case())


def flip(file: Path, at: int) -> None:
    with open(file, "r+b") as opened:
        opened.seek(at)
        byte = opened.read(1)[0]
        opened.seek(at)
        opened.write(bytes([byte ^ 0x40]))


def overwrite(file: Path, at: int, data: bytes) -> None:
    with open(file, "r+b") as opened:
        opened.seek(at)
        opened.write(data)


def append(file: Path, data: bytes) -> None:
    with open(file, "ab") as opened:
        opened.write(data)


def test_after_a_kill_everything_reported_is_there(store: Path) -> None:
    assert numbers(store) == list(range(1, COMMITS + 1))


def test_an_open_of_a_whole_store_reports_no_problems(store: Path) -> None:
    report = check(str(store))
    assert (report.problems, report.ok) == ([], True)
    assert report.rows == {"MessageRow": COMMITS, "SeenRow": 2}
    assert report.commit == report.witness == ALL


LOG_DAMAGE: list[tuple[str, Callable[[Path, int], None], int]] = [
    ("cut in the middle", lambda log, size: os.truncate(log, size // 2), 51),
    ("cut by a few bytes", lambda log, size: os.truncate(log, size - 7), 1),
    ("a bit flipped in the middle", lambda log, size: flip(log, size // 2), 51),
    ("a bit flipped in the last record", lambda log, size: flip(log, size - 20), 1),
    ("a sector of zeros in the middle", lambda log, size: overwrite(log, size // 2, bytes(512)), 51),
    ("emptied", lambda log, size: os.truncate(log, 0), ALL - 1),
    ("removed", lambda log, size: log.unlink(), ALL - 1),
]


@pytest.mark.parametrize(("damage", "missing"), [c[1:] for c in LOG_DAMAGE], ids=[c[0] for c in LOG_DAMAGE])
def test_a_damaged_log_is_refused_with_the_count(
    store: Path, damage: Callable[[Path, int], None], missing: int
) -> None:
    """RocksDB itself opens every one of these without a word, in the mode we use: this shows that it still does."""
    log = the(store, "*.log")
    damage(log, log.stat().st_size)
    words = refused(store, StoreDamaged)
    count = int(words.split(": ", 1)[1].split()[0])
    assert abs(count - missing) <= 2  # where exactly a record lies is RocksDB's business
    assert "commits that were acknowledged are missing" in words
    assert "iris store restore" in words
    report = check(str(store))
    assert report.witness == ALL
    assert report.commit == ALL - count
    assert report.problems[0] == words


@pytest.mark.parametrize("tail", [b"\x00" * 500, b"\xa5" * 500, os.urandom(3)], ids=["zeros", "garbage", "few bytes"])
def test_what_a_power_cut_leaves_behind_the_last_sync_is_no_damage(store: Path, tail: bytes) -> None:
    append(the(store, "*.log"), tail)
    assert numbers(store) == list(range(1, COMMITS + 1))


def test_a_torn_commit_that_was_never_acknowledged_is_no_damage(store: Path) -> None:
    """As after a power cut in the middle of a sync: the witness does not know of the last commit."""
    os.truncate(the(store, "*.log"), the(store, "*.log").stat().st_size - 7)
    identity = json.loads((store / IDENTITY).read_text())
    (store / WITNESS).unlink()
    Witness.create(store / WITNESS, bytes.fromhex(identity["store"]), ALL - 1).close()
    assert numbers(store) == list(range(1, COMMITS))


def test_commits_cut_between_logs_are_noticed(tmp_path: Path) -> None:
    """Rows in table files and in the log: the log alone going back to nothing is still a loss."""
    path = tmp_path / "store"
    write(path, 10)
    write(path, 10)  # the first ten were written to a table file by this open
    the(path, "*.log").unlink()
    words = refused(path, StoreDamaged)
    assert "11 commits that were acknowledged are missing" in words


@pytest.fixture
def with_table(tmp_path: Path) -> Path:
    """A store whose rows lie in a table file."""
    path = tmp_path / "store"
    write(path, 30, rows=50)
    open_store(str(path)).close()
    return path


def test_a_missing_or_cut_table_file_is_refused(with_table: Path) -> None:
    table = max((with_table / ROCKS).glob("*.sst"), key=lambda file: file.stat().st_size)
    whole = table.read_bytes()
    os.truncate(table, len(whole) // 2)
    words = refused(with_table, StoreDamaged)
    assert table.name in words
    assert "33 commits were acknowledged" in words
    assert "bytes lie in" in words
    table.unlink()
    words = refused(with_table, StoreDamaged)
    assert table.name in words
    table.write_bytes(whole)
    assert len(numbers(with_table)) == 1500


def test_a_flipped_bit_in_a_table_file_is_found_by_check_and_by_reading(with_table: Path) -> None:
    table = max((with_table / ROCKS).glob("*.sst"), key=lambda file: file.stat().st_size)
    flip(table, table.stat().st_size // 3)
    report = check(str(with_table))
    assert not report.ok
    assert any("checksum" in problem for problem in report.problems), report.problems
    with pytest.raises(StoreDamaged, match="checksum"):
        numbers(with_table)


@pytest.mark.parametrize("what", ["MANIFEST-*", "CURRENT"])
@pytest.mark.parametrize("how", ["cut", "emptied", "removed"])
def test_a_damaged_table_of_contents_is_refused(store: Path, what: str, how: str) -> None:
    file = the(store, what)
    if how == "removed":
        file.unlink()
    else:
        os.truncate(file, file.stat().st_size // 2 if how == "cut" else 0)
    words = refused(store, StoreDamaged)
    assert f"{ALL} commits were acknowledged" in words
    assert "bytes lie in" in words
    report = check(str(store))
    assert report.problems == [words]


def test_small_files_of_the_database_that_can_be_made_anew_do_no_harm(store: Path) -> None:
    for pattern in ("OPTIONS-*", "IDENTITY", "rocksdict-config.json"):
        os.truncate(the(store, pattern), 0)
    assert numbers(store) == list(range(1, COMMITS + 1))


@pytest.mark.parametrize("how", ["removed", "emptied", "both slots flipped", "of another store"])
def test_without_a_witness_nothing_is_opened(store: Path, how: str) -> None:
    witness = store / WITNESS
    if how == "removed":
        witness.unlink()
    elif how == "emptied":
        os.truncate(witness, 0)
    elif how == "of another store":
        witness.unlink()
        Witness.create(witness, b"stranger", 5).close()
    else:
        flip(witness, 18)
        flip(witness, 4096 + 18)
    words = refused(store, StoreDamaged)
    assert "witness" in words
    assert "--accept-loss" in words


def test_one_damaged_slot_of_the_witness_falls_back_to_the_other(store: Path) -> None:
    flip(store / WITNESS, 4096 * (ALL & 1) + 18)
    assert numbers(store) == list(range(1, COMMITS + 1))


def test_an_unreadable_or_missing_identity_is_refused(store: Path) -> None:
    whole = (store / IDENTITY).read_text()
    (store / IDENTITY).write_text(whole[: len(whole) // 2])
    assert "unreadable" in refused(store, StoreDamaged)
    (store / IDENTITY).unlink()
    assert "IRIS is gone" in refused(store, StoreDamaged)
    (store / IDENTITY).write_text(whole)
    assert len(numbers(store)) == COMMITS


def change_identity(path: Path, fields: dict[str, object]) -> None:
    identity = json.loads((path / IDENTITY).read_text())
    (path / IDENTITY).write_text(json.dumps(identity | fields))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"layout": 2}, "newer iris (layout 2, this one knows 1)"),
        ({"format": "photos"}, "holds 'photos', not a store of iris"),
        ({"store": "00" * 8}, "witness"),
        ({"state": "backup"}, "is a backup"),
        ({"state": "copying"}, "backup that was never finished"),
        ({"state": "restoring"}, "restore that was never finished"),
        ({"state": "dancing"}, "unknown state 'dancing'"),
    ],
)
def test_a_folder_that_is_something_else_is_refused(store: Path, fields: dict[str, object], words: str) -> None:
    change_identity(store, fields)
    kind = StoreDamaged if "store" in fields else StoreForeign
    assert words in refused(store, kind)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store"
    open_rocks(str(path), schema=7).close()
    assert "newer iris (schema 7, this one knows 1)" in refused(path, StoreForeign)
    with pytest.raises(StoreForeign, match="schema 7"):
        check(str(path))


def test_another_number_of_shards_is_refused(store: Path) -> None:
    words = refused(store, StoreForeign, num_shards=16)
    assert "num_shards = 4096" in words
    assert "says 16" in words
    open_store(str(store), num_shards=4096).close()
    change_identity(store, {"num_shards": 16})  # someone edited the file: the database knows better
    assert "contradict" in refused(store, StoreDamaged)


def test_the_database_of_another_store_is_refused(store: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", COMMITS)
    shutil.rmtree(store / ROCKS)
    shutil.copytree(tmp_path / "other" / ROCKS, store / ROCKS)
    assert "belongs to another store" in refused(store, StoreForeign)


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        (photos / name).write_bytes(b"x")
    words = refused(photos, StoreForeign)
    assert "holds 4 other files (a.jpg, b.jpg, c.jpg, ...)" in words
    assert sorted(os.listdir(photos)) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    words = refused(photos / "a.jpg", StoreForeign)
    assert "is a file, not a folder" in words


def test_a_store_in_use_is_refused(store: Path) -> None:
    opened = open_store(str(store))
    for use in (open_store, check, lambda path: restore(path, path + "-copy")):
        with pytest.raises(StoreLocked, match=f"in use by process {os.getpid()}: is another iris running"):
            use(str(store))
    asyncio.run(commit(opened, [message(ADA, 1000)]))
    opened.close()
    assert 1000 in numbers(store)


def test_accepting_the_loss_saves_what_is_readable(store: Path, tmp_path: Path) -> None:
    log = the(store, "*.log")
    os.truncate(log, log.stat().st_size // 2)
    before = tree(store)
    with pytest.raises(StoreDamaged, match="missing"):
        restore(str(store), str(tmp_path / "plain"))
    assert not (tmp_path / "plain").exists()
    report = restore(str(store), str(tmp_path / "saved"), accept_loss=True, wall_ms=0)
    assert report.ok
    assert report.epoch == 1 + 4096
    assert tree(store) == before
    found = numbers(tmp_path / "saved")
    assert found == list(range(1, len(found) + 1))
    assert 45 < len(found) < 55


def test_accepting_the_loss_also_rebuilds_a_lost_table_of_contents(with_table: Path, tmp_path: Path) -> None:
    the(with_table, "MANIFEST-*").unlink()
    report = restore(str(with_table), str(tmp_path / "saved"), accept_loss=True)
    assert report.ok
    assert len(numbers(tmp_path / "saved")) == 1500
