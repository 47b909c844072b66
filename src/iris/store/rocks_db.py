"""RocksDB as we use it: options, opening, reading; and the one place where its errors become ours.

What was measured with rocksdict 0.3.29 (RocksDB 9.8.4), each behind a test in tests/durability or tests/unit/store:
- `flush_wal(sync=True)` is one fdatasync of the log a call (the first one also fsyncs the folder), and lets other
  threads run.
- get, iterators, write and checkpoint hold the GIL: reading in a worker thread would win nothing and costs a hand-over.
- An open reads the whole log and writes it into a table file that is synced, so what was only in the page cache
  before the open is durable after it.
- A read-only open leaves every file as it was. Both opens take a cut, torn, zeroed, flipped or missing log without a
  word.
- An iterator whose upper bound was garbage-collected reads anything: see Cursor.
- A batch is used up by `write`, also by one that fails. `close` syncs the log and flushes: see close_db.
- Without `column_families` rocksdict takes the column family's options from the OPTIONS file of the last run, not ours.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
)

from iris.store.keys import META, after
from iris.store.port import StoreDamaged, StoreError, StoreFailed, StoreLocked

MIB = 1 << 20
# Many small memory tables, four of which become one table file: a row finds its place in a small one through fewer
# steps that miss the CPU's caches. A large one takes half as much time again (docs/performance-history.md).
MEMTABLE_BYTES = 8 * MIB
MEMTABLES_MERGED = 4
MEMTABLES_MAX = 16  # all together are also the most that a restart has to read back
CACHE_BYTES = 64 * MIB
OPEN_FILES_MAX = 512  # table files; the rest of the file limit belongs to connections
META_COMMIT, META_EPOCH, META_SCHEMA = META + b"commit", META + b"epoch", META + b"schema"
META_SHARDS, META_STORE = META + b"num_shards", META + b"store"


def options(*, create: bool = False) -> Options:
    """The options of every open."""
    o = Options(raw_mode=True)
    o.create_if_missing(create)
    o.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
    o.set_wal_bytes_per_sync(0)  # only our own sync, once a commit
    o.set_bytes_per_sync(MIB)  # table files: write back steadily, or their final sync stalls ours
    o.set_paranoid_checks(True)
    o.set_write_buffer_size(MEMTABLE_BYTES)
    o.set_min_write_buffer_number_to_merge(MEMTABLES_MERGED)
    o.set_max_write_buffer_number(MEMTABLES_MAX)
    o.set_max_total_wal_size(MEMTABLES_MAX * MEMTABLE_BYTES)
    o.set_level_zero_file_num_compaction_trigger(4)
    o.set_level_zero_slowdown_writes_trigger(30)
    o.set_level_zero_stop_writes_trigger(50)
    o.set_max_background_jobs(2)
    o.set_max_open_files(OPEN_FILES_MAX)
    o.set_keep_log_file_num(3)
    o.set_max_log_file_size(4 * MIB)
    o.set_compression_type(DBCompressionType.lz4())
    o.set_bottommost_compression_type(DBCompressionType.zstd())
    # Bloom filters over whole keys, for names and marks. No prefix extractor: with one, a seek past its prefix is
    # undefined, and loads touch one to three blocks as it is.
    blocks = BlockBasedOptions()
    blocks.set_block_cache(Cache(CACHE_BYTES))
    blocks.set_bloom_filter(10, False)
    blocks.set_block_size(16 * 1024)
    blocks.set_cache_index_and_filter_blocks(True)
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(True)
    o.set_block_based_table_factory(blocks)
    return o


def open_db(path: Path, *, create: bool = False, read_only: bool = False) -> Rdict:
    """Open a database. Raises StoreDamaged, StoreLocked or StoreFailed."""
    o = options(create=create)
    access = AccessType.read_only(False) if read_only else AccessType.read_write()
    try:
        return Rdict(str(path), o, column_families={"default": o}, access_type=access)
    except Exception as error:
        raise translate(error, path) from error


_DAMAGE = re.compile(
    r"Corruption|No such file|does not exist|checksum|truncated|size mismatch|not an sstable|too short", re.IGNORECASE
)


def translate(error: Exception, path: Path) -> StoreError:
    """What an error of RocksDB means for us; rocksdict raises plain Exception with RocksDB's text."""
    text = " ".join(str(error).split())
    if "lock hold by" in text or "While lock file" in text:
        return StoreLocked(f"{path} is in use: is another program reading or writing it? ({text})")
    if _DAMAGE.search(text):
        return StoreDamaged(f"{path} is damaged: {text}")
    return StoreFailed(f"{path}: {text}")


def close_db(db: Rdict, error: BaseException | None = None) -> None:
    """Close a database; after a failed write or sync leave it open until the process ends instead.

    rocksdict's close, and its destructor, sync the log and write the memory table out: they would try again what
    failed.
    """
    if isinstance(error, StoreFailed):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(db))
        return
    with suppress(Exception):  # what was reported is in the synced log; damage elsewhere is told by the next open
        db.close()


def meta(db: Rdict, key: bytes) -> int | None:
    """One of the store's own numbers."""
    raw = db.get(key)
    return None if raw is None else int.from_bytes(raw, "big")


def put_meta(batch: WriteBatch, key: bytes, value: int) -> None:
    """Set one of the store's own numbers."""
    batch[key] = value.to_bytes(8, "big")


def batch_for(commit: int) -> WriteBatch:
    """A batch that says which commit it is."""
    batch = WriteBatch(raw_mode=True)
    put_meta(batch, META_COMMIT, commit)
    return batch


class Cursor:
    """An iterator at the first key at or above `first` that ends before `end`: it never walks over what lies behind.

    RocksDB keeps a pointer into the bytes of `end`, and rocksdict does not keep them alive: this object does. (What it
    calls the lower bound sets the upper one; it is not used.)
    """

    __slots__ = ("_end", "it")

    def __init__(self, db: Rdict, first: bytes, end: bytes) -> None:
        self._end = end
        bounds = ReadOptions()
        bounds.set_iterate_upper_bound(end)
        self.it: RdictIter = db.iter(bounds)
        self.it.seek(first)


def scan(db: Rdict, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values with first <= key < end. Raises RocksDB's own error when a block is unreadable."""
    cursor = Cursor(db, first, end)
    it = cursor.it
    while it.valid():
        yield it.key(), it.value()
        it.next()
    it.status()  # an unreadable block ends the iteration like the end of the data; only this tells


def scan_prefix(db: Rdict, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values that start with `prefix`."""
    return scan(db, prefix, after(prefix))
