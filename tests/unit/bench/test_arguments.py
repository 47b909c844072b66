"""How many connections a benchmark takes, which is what it asks the system to allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from iris.bench.arguments import WHAT, connections_of
from iris.bench.options import Options


def test_each_scenario_asks_for_its_own_connections_only() -> None:
    options = Options(Path(), pairs=5000, window=8, devices=4, users=500)
    assert connections_of("pairs", options, 1) == connections_of("floor", options, 1) == 10_000
    assert connections_of("devices", options, 1) == 40_000
    assert connections_of("login", options, 1) == 500


@pytest.mark.parametrize("what", [name for name in WHAT if name not in ("scale", "all")])
def test_the_suite_asks_for_the_most_of_any(what: str) -> None:
    options = Options(Path(), pairs=25)
    assert connections_of("all", options, 5000) >= max(10_000, connections_of(what, options, 5000))
