"""Writes commits into a store and says of each when it was reported; a test kills it or cuts its disk.

    python -m tests.durability.writer FOLDER COUNT ROWS   ends by SIGKILL after COUNT commits; 0 goes on for ever

Commit n holds ROWS rows with numbers from (n - 1) * ROWS + 1, alternating between two users, and a marker row in each
of the two, so that a torn commit can be told. After every $WRITER_FLUSH_EVERY commits, where that is set, RocksDB
writes its memory table out and begins another log file. A failure is printed as `failed: ...`, exit code 1.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from iris.core.rows import SeenRow
from iris.store import StoreFailed, open_store
from iris.store.rocks import RocksStore
from tests.support.store_rows import ADA, BOB, commit, message


async def main(path: str, count: int, rows: int) -> None:
    store = open_store(path)
    flush_every = int(os.environ.get("WRITER_FLUSH_EVERY", 0))
    print("epoch", store.epoch, flush=True)
    number = 0
    while count == 0 or number < count:
        number += 1
        first = (number - 1) * rows + 1
        writes = [message((ADA, BOB)[n & 1], n, b"x" * 200) for n in range(first, first + rows)]
        try:
            await commit(store, [SeenRow(ADA, number), *writes, SeenRow(BOB, number)])
        except StoreFailed as error:
            print("failed:", error, flush=True)
            raise SystemExit(1) from None
        print(number, flush=True)
        if flush_every and number % flush_every == 0:
            assert isinstance(store, RocksStore)
            store._db.flush()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
