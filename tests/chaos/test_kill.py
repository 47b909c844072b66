"""A few rounds of what `make crash` does a hundred times: kill -9 under load, and that the hunt finds a known bug."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos.kill import SETTINGS, hunt
from tests.support.server import serving

ROUNDS = 5


@pytest.mark.timeout(300)
def test_nothing_accepted_is_lost_doubled_or_disordered_by_kills(tmp_path: Path) -> None:
    with serving(tmp_path / "data", settings=SETTINGS) as server:
        assert asyncio.run(hunt(server, tmp_path, ROUNDS, seed=20261124)) == []


@pytest.mark.timeout(300)
def test_the_hunt_finds_a_server_that_answers_before_it_writes(tmp_path: Path) -> None:
    early = {"module": "tests.chaos.variant", "environment": {"VARIANT": "early"}}
    with serving(tmp_path / "data", settings=SETTINGS, **early) as server:
        wrong = asyncio.run(hunt(server, tmp_path, 2, seed=7, settle_s=5))
    assert any("missing" in what or "nowhere" in what for what in wrong), wrong
