"""The modules that `make compiled` makes do the same as their sources: simulated runs end with the same traces."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from scripts.compile import is_current
from tests.support.engine import eventually
from tests.support.server import serving

ROOT = Path(__file__).resolve().parents[2]
COMPILED = ROOT / "target" / "compiled"
SEEDS = 10
PRINT = f"""
import iris.core.shard, iris_sim.world
from iris_sim.plan import Plan
from iris_sim.seed import run_plan
print(iris.core.shard.__file__.endswith(".so"), iris_sim.world.__file__.endswith(".so"))
for seed in range({SEEDS}):
    outcome = run_plan(Plan.make(seed, None))
    print(seed, outcome.digest, outcome.failure, sorted(outcome.met.items()))
"""


def traces(source: Path) -> list[str]:
    """What a Python that finds the packages in this folder says."""
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run([sys.executable, "-c", PRINT], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.timeout(300)
def test_what_is_compiled_does_what_its_source_does() -> None:
    if not is_current():
        pytest.skip("nothing is compiled here, or not what the sources say (make compiled)")
    compiled, interpreted = traces(COMPILED), traces(ROOT / "src")
    assert compiled[0] == "True True"
    assert interpreted[0] == "False False"
    assert compiled[1:] == interpreted[1:]
    assert len(compiled) == 1 + SEEDS


def test_a_server_that_a_test_starts_is_the_one_that_is_shipped(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        told_where = "iris: admin on "  # the line after the one that `serving` waits for
        eventually(lambda: any(line.startswith(told_where) for line in server.lines), "it said where its metrics are")
        admin = next(line.split()[-1] for line in server.lines if line.startswith(told_where))
        text = httpx.get(f"{admin}/metrics", trust_env=False).text
    told = re.search(r"^iris_compiled (\S+)$", text, re.MULTILINE)
    assert told is not None
    assert float(told[1]) == is_current()


def test_compiled_or_not_a_figure_names_the_commit() -> None:
    if not is_current():
        pytest.skip("nothing is compiled here, or not what the sources say (make compiled)")
    said = [
        subprocess.run(
            [sys.executable, "-c", "from iris.bench.probe import commit; print(commit())"],
            env={**os.environ, "PYTHONPATH": str(source)}, capture_output=True, text=True, check=True,
        ).stdout
        for source in (COMPILED, ROOT / "src")
    ]  # fmt: skip
    assert said[0] == said[1]
    assert (ROOT / ".git").exists() == (said[0] != "None\n")
