"""kill -9 in the middle of writing, again and again: everything reported is there, and no commit is there in part."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from iris.store import Store, check, open_store
from tests.durability.start import start_writer
from tests.support.store_rows import ADA, BOB

ROWS = 7


async def look(store: Store) -> tuple[list[int], list[int]]:
    """Message numbers of both users, and the marker of each."""
    pages = [await store.page_mailbox(user, 0, 1 << 53, 100_000, 1 << 40) for user in (ADA, BOB)]
    seen = [(await store.load_user(user)).seen for user in (ADA, BOB)]
    return sorted(row.seq & 0xFFFFFFFF for rows in pages for row in rows), [row.at if row else 0 for row in seen]


@pytest.mark.parametrize("seed", range(6))
def test_nothing_reported_is_lost_by_a_kill(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "store"
    wanted = random.Random(seed).randrange(1, 300)
    for life in (1, 2):
        with start_writer(path, 0, ROWS) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline().split() == ["epoch", str(2 * life - 1)]
            reported = 0
            while reported < wanted:
                reported = int(writer.stdout.readline())
            writer.kill()
            reported = max([reported, *map(int, writer.stdout.read().split())])
        store = open_store(str(path))
        numbers, markers = asyncio.run(look(store))
        store.close()
        stored = max(markers)
        assert stored >= reported
        if life == 1:
            assert markers == [stored, stored]
            assert numbers == list(range(1, stored * ROWS + 1))
        assert set(range(1, reported * ROWS + 1)) <= set(numbers)
    assert check(str(path)).ok
