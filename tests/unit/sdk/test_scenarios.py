"""The Python core passes every conformance scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.sdk.scenarios import FOLDER, INPUTS, Driver, load

FILES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_scenario(path: Path) -> None:
    scenario = load(path)
    driver = Driver(scenario)
    for number, step in enumerate(scenario["steps"]):
        found = driver.step(step["at"], step["do"])
        expected = {name: step[name] for name in ("then", "state", "next")}
        assert found == expected, f"step {number} of {scenario['name']!r}: {step['do']}"


def test_every_input_is_in_some_scenario() -> None:
    used = {name for path in FILES for step in load(path)["steps"] for name in step["do"]}
    assert used == set(INPUTS)
