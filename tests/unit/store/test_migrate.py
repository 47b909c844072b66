"""A store of an older schema is brought up step by step, also when that is cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from rocksdict import Rdict

from iris.core.rows import NodeRow
from iris.store.codec import encode
from iris.store.migrate import SCHEMA, STEPS, Change
from iris.store.rocks_db import META_SCHEMA, meta, scan_prefix
from iris.store.rocks_open import open_rocks
from tests.support.store_rows import ADA, commit, message


def test_there_is_a_step_for_every_older_version() -> None:
    assert len(STEPS) == SCHEMA - 1


def rename(db: Rdict) -> Iterator[Change]:
    """From the made-up version 1: every number of the node gets a new name, a few rows at a time."""
    for key, value in list(scan_prefix(db, b"Nold-")):
        new = b"Nnew-" + key[5:]

        def change(batch: object, key: bytes = key, new: bytes = new, value: bytes = value) -> None:
            batch[new] = value  # type: ignore[index]
            del batch[key]  # type: ignore[attr-defined]

        yield change


def count(db: Rdict) -> Iterator[Change]:
    """To the made-up version 3: a new row made of old ones."""
    key, value = encode(NodeRow("count", len(list(scan_prefix(db, b"Nnew-")))))
    yield lambda batch: batch.put(key, value)


def old_store(path: Path) -> None:
    async def case() -> None:
        store = open_rocks(str(path), schema=1, steps=())
        await commit(store, [*(NodeRow(f"old-{n}", n) for n in range(5)), message(ADA, 1)])
        store.close()

    asyncio.run(case())


async def look(path: Path) -> tuple[list[int | None], int | None]:
    store = open_rocks(str(path), schema=3, steps=(rename, count))
    try:
        assert [await store.node_value(f"old-{n}") for n in range(5)] == [None] * 5
        assert len(await store.page_mailbox(ADA, 0, 1 << 53, 10, 1 << 20)) == 1
        return [await store.node_value(f"new-{n}") for n in range(5)], await store.node_value("count")
    finally:
        store.close()


def test_steps_run_in_order_once_and_rows_stay(tmp_path: Path) -> None:
    old_store(tmp_path / "s")
    assert asyncio.run(look(tmp_path / "s")) == ([0, 1, 2, 3, 4], 5)
    assert asyncio.run(look(tmp_path / "s")) == ([0, 1, 2, 3, 4], 5)
    store = open_rocks(str(tmp_path / "s"), schema=3, steps=())
    assert meta(store._db, META_SCHEMA) == 3
    store.close()


@pytest.mark.parametrize("at", range(6))
def test_a_migration_cut_short_is_finished_at_the_next_open(tmp_path: Path, at: int) -> None:
    old_store(tmp_path / "s")

    class Killed(BaseException):
        pass

    def cut(db: Rdict) -> Iterator[Change]:
        for number, change in enumerate(rename(db)):
            if number == at:
                raise Killed
            yield change
        raise Killed

    with pytest.raises(Killed):
        open_rocks(str(tmp_path / "s"), schema=3, steps=(cut, count))
    assert asyncio.run(look(tmp_path / "s")) == ([0, 1, 2, 3, 4], 5)
