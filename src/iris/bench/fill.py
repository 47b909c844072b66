"""Puts rows into a store that no server has open, by the store's own API: as much data as years would bring.

The rows are messages of users who do not exist, in mailboxes of a thousand, spread over all keys. The server never
loads them; they are in its tables, filters and compactions.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from iris.bench.errors import BenchError
from iris.core.ids import USER_BYTES
from iris.core.rows import ROW_MESSAGE, MessageRow
from iris.store import StoreError, open_store

ROWS_PER_MAILBOX = 1000
MAILBOXES_PER_COMMIT = 2
PAYLOAD_BYTES = 1024
POOL_BYTES = 1 << 20  # of chance, from which payloads are cut


def fill(folder: Path, size: int, progress: Callable[[str, int, int], None]) -> int:
    """Put in rows of `size` bytes in all, as they are written; how many rows. Raises BenchError."""
    try:
        return asyncio.run(_fill(folder, size, progress))
    except (StoreError, OSError) as error:
        raise BenchError(f"the store cannot be filled: {error}") from error


async def _fill(folder: Path, size: int, progress: Callable[[str, int, int], None]) -> int:
    store = open_store(str(folder))
    rows, pool = 0, os.urandom(POOL_BYTES)
    try:
        batch = _batch(store.epoch, pool)
        while (written := store.stats().bytes) < size:
            progress("MB of stored data", written >> 20, size >> 20)
            done = asyncio.get_running_loop().create_future()
            store.submit(batch, done.set_result)
            rows += len(batch)
            batch = _batch(store.epoch, pool)  # while the other one is synced
            error = await done
            if error is not None:
                raise error
    finally:
        store.close()
    return rows


def _batch(epoch: int, pool: bytes) -> list[MessageRow]:
    now = int(time.time() * 1000)
    rows: list[MessageRow] = []
    for _ in range(MAILBOXES_PER_COMMIT):
        user, sender = os.urandom(USER_BYTES), os.urandom(USER_BYTES)
        conversation = min(user, sender) + max(user, sender)
        ids = os.urandom(16 * ROWS_PER_MAILBOX)
        for number in range(1, ROWS_PER_MAILBOX + 1):
            message_id = ids[16 * (number - 1) : 16 * number]
            start = int.from_bytes(message_id[:4], "big") % (POOL_BYTES - PAYLOAD_BYTES)
            payload = pool[start : start + PAYLOAD_BYTES]
            rows.append(
                MessageRow(
                    user, epoch << 32 | number, ROW_MESSAGE, conversation, sender, 1, message_id, now, 0, payload, 1, 0,
                    number, number * PAYLOAD_BYTES, number,
                )
            )  # fmt: skip
    return rows


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except FileNotFoundError:  # compacted away meanwhile
                continue
    return total
