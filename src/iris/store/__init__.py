"""The store: what the server keeps, behind one port (port.py) with one contract suite.

`open_store` gives the embedded one on RocksDB; `iris.store.memory.MemoryStore` is the fake of tests and simulator.
"""

from __future__ import annotations

from iris.store.checks import Report, check
from iris.store.copies import backup, restore
from iris.store.port import (
    Durable,
    Store,
    StoreDamaged,
    StoreError,
    StoreFailed,
    StoreForeign,
    StoreLocked,
    StoreStats,
)
from iris.store.rocks_open import open_rocks


def open_store(path: str, *, num_shards: int | None = None) -> Store:
    """Open the store in folder `path`, or make one (with 4,096 shards) where the folder is missing or empty.

    `num_shards` must be that of the store when given; a new one gets it.

    Blocks until the log is read. Raises StoreLocked, StoreForeign, StoreDamaged or StoreError; nothing is changed then.
    """
    return open_rocks(path, num_shards=num_shards)


__all__ = [
    "Durable",
    "Report",
    "Store",
    "StoreDamaged",
    "StoreError",
    "StoreFailed",
    "StoreForeign",
    "StoreLocked",
    "StoreStats",
    "backup",
    "check",
    "open_store",
    "restore",
]
