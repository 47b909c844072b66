"""The API of a real server against its own OpenAPI document, by schemathesis: every operation with data that fits and
data that does not, and chains of operations; no 5xx, no undocumented status, header or form, nothing taken that the
document forbids.

IRIS_FUZZ_EXAMPLES (of each operation) and IRIS_FUZZ_SEED make it a longer or another run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import ROOT, serving

EXAMPLES = os.environ.get("IRIS_FUZZ_EXAMPLES", "10")
SEED = os.environ.get("IRIS_FUZZ_SEED", "1")
LIMITS = {
    "limits.logins_per_handle_per_minute_max": 1_000_000,
    "limits.logins_per_address_per_minute_max": 1_000_000,
    "limits.lookups_per_user_per_minute_max": 1_000_000,
}


@pytest.mark.timeout(3_600)
def test_the_api_keeps_to_its_document(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "run", "--checks=all", "--no-color", "--continue-on-failure"]
    command += [f"--max-examples={EXAMPLES}", f"--seed={SEED}", "--warnings=off", "--generation-database=none"]
    with serving(tmp_path / "data", settings=LIMITS) as server:
        environment = {
            **os.environ,
            "IRIS_FUZZ_URL": server.url,
            "SCHEMATHESIS_HOOKS": "tests.fuzz.api_hooks",
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [*command, f"{server.url}/v1/openapi.json"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert not [line for line in server.lines if '"level":"error"' in line.replace(" ", "").lower()]
