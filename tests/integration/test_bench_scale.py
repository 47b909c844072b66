"""`iris bench scale` against the real server, as small as it goes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def scaled(*words: str, folder: Path) -> dict[str, Any]:
    """Curves of a run that went well, by name."""
    small = ("--quick", "--pairs", "4", "--rate", "100", "--seconds", "1", "--folder", str(folder), "--json")
    command = [sys.executable, "-m", "iris", "bench", "scale", *small, *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == [], "the data folder is gone"
    return {one["name"]: one for one in json.loads(done.stdout)["scenarios"]}


def test_curves_have_points_that_grow(tmp_path: Path) -> None:
    words = "--connections 150 --backlog 400 --stored-gb 0.02 --minutes 0.1"
    found = scaled(*words.split(), folder=tmp_path)
    assert found.keys() == {"scale-connections", "scale-backlog", "scale-stored", "scale-sustained"}
    for one in found.values():
        assert len(one["points"]) > 1
        xs = [point["x"] for point in one["points"]]
        assert xs == sorted(set(xs))
        for point in one["points"]:
            assert point["server_cpu_us_per_msg"] > 0
            assert point["p99_ms"] > 0
            assert point["rss_mb"] > 10
            assert point["change"].keys() == one["flat"].keys()
    assert [point["x"] for point in found["scale-connections"]["points"]] == [100, 150]
    assert found["scale-backlog"]["points"][-1]["x"] == found["scale-backlog"]["taken"] == 400
    last = found["scale-stored"]["points"][-1]
    assert last["x"] == pytest.approx(last["folder_gb"], rel=0.5)
    assert last["rows_added"] > 10_000
    assert last["settled_cpu_us_per_msg"] > 0
    assert last["settled_after_s"] > 0


def test_only_the_curves_that_are_asked_for_are_measured(tmp_path: Path) -> None:
    assert scaled("--curves", "backlog", "--backlog", "100", folder=tmp_path).keys() == {"scale-backlog"}
