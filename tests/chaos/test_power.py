"""A few of the power cuts that `make crash` makes by the score, and that they find a server that does not sync."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from tests.chaos.cache_disk import SECTOR, STYLES, survivors
from tests.chaos.loop import NO_DISK, PowerDisk, why_not
from tests.chaos.power import creation, hunt, server_on

CUTS = 3
needs_a_disk = pytest.mark.skipif(why_not() is not None, reason=NO_DISK)


@needs_a_disk
@pytest.mark.timeout(300)
def test_nothing_accepted_is_lost_by_power_cuts(tmp_path: Path) -> None:
    with PowerDisk(tmp_path / "disk") as disk:
        disk.on()
        server = server_on(disk)
        try:
            server.start()
            assert asyncio.run(hunt(disk, server, tmp_path, CUTS, seed=3)) == []
        finally:
            server.close()


@needs_a_disk
@pytest.mark.timeout(300)
def test_a_server_that_does_not_sync_is_caught_by_power_cuts(tmp_path: Path) -> None:
    with PowerDisk(tmp_path / "disk") as disk:
        disk.on()
        server = server_on(disk, "unsynced")
        try:
            server.start()
            wrong = asyncio.run(hunt(disk, server, tmp_path, 3, seed=5, variants=()))
        finally:
            server.close()
    assert any("commits that were acknowledged are missing" in what for what in wrong), wrong


@needs_a_disk
@pytest.mark.timeout(120)
@pytest.mark.parametrize("flushes", [2, 44])
def test_a_store_whose_creation_was_cut_is_made_anew_or_opens(tmp_path: Path, flushes: int) -> None:
    with PowerDisk(tmp_path / "disk") as disk:
        disk.on()
        asyncio.run(creation(disk, seed=flushes, style="sectors", flushes=flushes))


@needs_a_disk
def test_the_disk_keeps_what_was_flushed_and_nothing_else(tmp_path: Path) -> None:
    with PowerDisk(tmp_path / "disk") as disk:
        disk.on()
        kept, lost = disk.top / "kept", disk.top / "lost"
        with open(kept, "wb") as file:
            file.write(b"k" * 10_000)
            file.flush()
            disk_sync(file.fileno(), disk.top)
            lost.write_bytes(b"l" * 10_000)
            disk.cut(1, "flushed")
        disk.off()
        disk.on()
        assert kept.read_bytes() == b"k" * 10_000
        assert not lost.exists()


def disk_sync(fd: int, folder: Path) -> None:
    """A file and its name."""
    os.fsync(fd)
    parent = os.open(folder, os.O_RDONLY)
    os.fsync(parent)
    os.close(parent)


def test_what_survives_is_what_a_disk_may_keep() -> None:
    pending = [(0, b"a" * 2048), (1024, b"b" * 512), (8192, b"c" * 1024)]
    for style in STYLES:
        for seed in range(50):
            kept = survivors(pending, random.Random(seed), style)
            for at, data in kept:
                assert len(data) % SECTOR == 0
                assert any(first <= at and data in whole for first, whole in pending), (style, seed)
    assert survivors(pending, random.Random(1), "flushed") == []
    assert survivors(pending, random.Random(1), "all") == pending
