"""`python -m bench.peers` against the real ejabberd and the real Iris: the figures have their shape."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.performance import kept_by_peers

ROOT = Path(__file__).resolve().parents[2]
NO_PEER = "ejabberd cannot be had here: its packages come from apt"


@pytest.mark.timeout(300)  # the first time, the packages are downloaded
def test_a_peer_is_measured_and_tried(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.peers", "--quick", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=280, check=False)
    assert done.returncode == 0, done.stderr  # 1 too when a message was lost, doubled or out of order
    assert list(tmp_path.iterdir()) == [], "the data folders are gone"
    document = json.loads(done.stdout)
    (peer,) = document["peers"]
    if "skipped" in peer:
        pytest.skip(NO_PEER)
    assert peer.keys() == {"name", "version", "scenarios", "promises"}
    assert [one["name"] for one in peer["scenarios"]] == ["pairs-100-w1", "pairs-100-w8"]
    for one in peer["scenarios"]:
        assert one["messages"] > 0 < one["server_cpu_us_per_msg"]
        assert 0 < one["p50_ms"] <= one["p99_ms"]
        assert one["p50_ms"] < one["receipt_p50_ms"] <= one["receipt_p99_ms"]
    check_promises(peer["promises"], shown=200)
    assert document["iris"].keys() == {"promises"}
    check_promises(document["iris"]["promises"], shown=100)
    assert document["iris"]["promises"]["killed"]["delivered"] == 100
    table = kept_by_peers(document)
    assert f"| tried | Iris | ejabberd {peer['version']} |" in table
    assert "| … times they were shown in all | 100 | 200 |" in table


def check_promises(found: dict[str, Any], shown: int) -> None:
    """Both trials were made, and count what they should."""
    assert found["repeated"] == {"sent": 100, "shown": shown}
    killed = found["killed"]
    assert killed.keys() == {"accepted", "delivered", "flushes"}
    assert 0 <= killed["delivered"] <= killed["accepted"] == 100
    assert killed["flushes"] is None or killed["flushes"] >= 0
