"""A few rounds of what `make crash` does a hundred times: kill -9 under load, and that the hunt finds a known bug."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos.kill import SETTINGS, hunt
from tests.support.server import serving

ROUNDS = 5
HUNTS_MAX = 6
LOSS = ("missing", "nowhere", "rows for")  # a word of these is in what is said of a lost message


@pytest.mark.timeout(300)
def test_nothing_accepted_is_lost_doubled_or_disordered_by_kills(tmp_path: Path) -> None:
    with serving(tmp_path / "data", settings=SETTINGS) as server:
        assert asyncio.run(hunt(server, tmp_path, ROUNDS, seed=20261124)) == []


@pytest.mark.timeout(400)
def test_the_hunt_finds_a_server_that_answers_before_it_writes(tmp_path: Path) -> None:
    """A kill need not hit the moment between answer and write: so several hunts, until one does."""
    early = {"module": "tests.chaos.variant", "environment": {"VARIANT": "early"}}
    wrong: list[str] = []
    lost: list[str] = []
    for seed in range(7, 7 + HUNTS_MAX):
        folder = tmp_path / str(seed)
        folder.mkdir()
        with serving(folder / "data", settings=SETTINGS, **early) as server:
            wrong = asyncio.run(hunt(server, folder, 2, seed=seed, settle_s=5))
        lost = [what for what in wrong if any(word in what for word in LOSS)]
        if lost:  # "got no answer in time" alone is a slow machine
            break
    assert lost, wrong
